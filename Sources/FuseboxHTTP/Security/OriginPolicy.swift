import HTTPTypes
import OTLP

/// Which web pages may talk to us. None but our own unless the configuration names their origins.
package struct OriginPolicy: Sendable {
    /// Origins as browsers send them: `https://app.example.com`, in lower case.
    package var allowed: Set<String> = []

    /// Seconds that a browser may remember the answer to a preflight.
    private static let preflightSecondsMax = "7200"

    package init() {}

    /// Refuses what a page of another origin asks for in a browser, a link that is followed excepted.
    func check(_ request: HTTPRequest) throws {
        let headers = request.headerFields
        if let origin = headers[.origin] {
            guard !isAllowed(origin), !isOwn(origin, request) else { return }
        } else {
            guard headers[.secFetchSite] == "cross-site", headers[.secFetchMode] != "navigate" else { return }
        }
        throw Refusal(
            status: .forbidden, code: .permissionDenied,
            message:
                "pages of \(headers[.origin] ?? "other sites") may not do this; if they should, add their origin to cors_origins")
    }

    func isAllowed(_ origin: String) -> Bool {
        allowed.contains(origin.lowercased())
    }

    /// Whether the page came from the host that it talks to.
    private func isOwn(_ origin: String, _ request: HTTPRequest) -> Bool {
        guard let authority = request.authority?.lowercased() else { return false }
        let origin = origin.lowercased()
        return origin == "http://" + authority || origin == "https://" + authority
    }

    /// The answer to a preflight from an allowed origin; `nil` when it is none.
    func preflight(_ request: HTTPRequest, methods: String) throws -> HTTPFields? {
        let headers = request.headerFields
        guard request.method == .options, let origin = headers[.origin], headers[.accessControlRequestMethod] != nil,
            !allowed.isEmpty
        else { return nil }
        guard isAllowed(origin) else {
            try check(request)
            return nil
        }
        var answer: HTTPFields = [.accessControlAllowMethods: methods, .accessControlMaxAge: Self.preflightSecondsMax]
        // What the page wants to send is up to it: headers alone authorize nothing without a token.
        if let names = headers[.accessControlRequestHeaders] { answer[.accessControlAllowHeaders] = names }
        return answer
    }

    /// What lets an allowed page read an answer.
    func mark(_ headers: inout HTTPFields, for request: HTTPRequest) {
        guard !allowed.isEmpty else { return }
        headers[values: .vary].append("Origin")
        guard let origin = request.headerFields[.origin], isAllowed(origin) else { return }
        headers[.accessControlAllowOrigin] = origin
        headers[.accessControlExposeHeaders] = "Retry-After"
    }
}

extension HTTPField.Name {
    // All are valid names, so what stands behind `??` is never taken.
    static let secFetchSite = Self("Sec-Fetch-Site") ?? .trailer
    static let secFetchMode = Self("Sec-Fetch-Mode") ?? .trailer
    static let referrerPolicy = Self("Referrer-Policy") ?? .trailer
    static let frameOptions = Self("X-Frame-Options") ?? .trailer
    static let crossOriginResourcePolicy = Self("Cross-Origin-Resource-Policy") ?? .trailer
}

/// Headers that keep a browser from doing more with an answer than show it.
enum SecurityHeaders {
    static let all: HTTPFields = [
        .xContentTypeOptions: "nosniff", .contentSecurityPolicy: "default-src 'none'; frame-ancestors 'none'",
        .frameOptions: "DENY", .referrerPolicy: "no-referrer", .crossOriginResourcePolicy: "same-origin",
        .cacheControl: "no-store",
    ]

    /// Adds those that the answer does not set itself.
    static func mark(_ headers: inout HTTPFields) {
        for field in all where headers[field.name] == nil { headers.append(field) }
    }
}
