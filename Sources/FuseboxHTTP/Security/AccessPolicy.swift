package import HTTPTypes
import NIOHTTP1
import OTLP
package import TelemetryModel

/// Who may do what: bearer tokens, one set for each role. A role without tokens is open to whoever reaches the port.
package struct AccessPolicy: Sendable {
    /// What a request wants.
    package enum Role: Sendable {
        /// To send telemetry.
        case ingest
        /// To read what is stored, and the metrics.
        case read
        /// To judge what is stored; those who may also read.
        case judge
    }

    package var ingestTokens: [TokenDigest] = []
    package var readTokens: [TokenDigest] = []
    /// Without any, whoever may read may judge.
    package var judgeTokens: [TokenDigest] = []
    /// Tokens that let read one project, which is named, and nothing else. They ask for tokens of reading, as those for everything do.
    package var projectTokens: [ProjectToken] = []
    /// Browsers that have shown a token; `nil` where there are none.
    package var signIns: SignIns?
    /// Who else may say who somebody is.
    package var proxy = ProxyPolicy()
    package var hosts = HostPolicy()
    package var origins = OriginPolicy()

    package init() {}

    /// Whether who reaches the port may read all.
    private var readsFreely: Bool { readTokens.isEmpty && projectTokens.isEmpty }

    /// Whether who reads must show a token.
    var asksReaders: Bool { !readsFreely }

    /// The digest of a token that was never made.
    private static let nobody = TokenDigest(token: "")

    /// The tokens that give a role; none when it is open.
    private func tokens(for role: Role) -> [TokenDigest] {
        switch role {
        case .ingest: ingestTokens
        case .read: readsFreely ? [] : readTokens + judgeTokens + projectTokens.map(\.digest)
        // A token of one project keeps everybody else from judging, and lets nobody.
        case .judge: judgeTokens.isEmpty ? readsFreely ? [] : readTokens + [Self.nobody] : judgeTokens
        }
    }

    /// Checks the token of a request, or that its browser has signed in; says whether one was asked for and shown.
    ///
    /// Every digest of all roles is compared, so that the time tells nothing of which one matched, or how far.
    package func authorize(_ headers: HTTPFields, _ role: Role) throws -> Bool {
        let required = tokens(for: role)
        if required.isEmpty { return false }
        guard let token = Self.bearerToken(headers) else {
            if let rights = signIns?.rights(headers), role != .ingest {
                if role == .read || rights.mayJudge { return true }
                throw Self.forbidden(role)
            }
            throw Self.unauthenticated("this needs a token: send Authorization: Bearer …")
        }
        let digest = TokenDigest(token: token)
        var isAllowed = false
        var isOther = false
        for candidate in required where candidate.isSame(as: digest) { isAllowed = true }
        for candidate in ingestTokens + readTokens + judgeTokens + projectTokens.map(\.digest) where candidate.isSame(as: digest) { isOther = true }
        if isAllowed && !token.isEmpty { return true }
        guard isOther else { throw Self.unauthenticated("the token is not one that is known here") }
        throw Self.forbidden(role)
    }

    /// What a token that lets read lets do; `nil` for one that does not let read.
    func rights(ofToken token: some StringProtocol) -> ReadingRights? {
        let digest = TokenDigest(token: token)
        var reads = false
        var rights = ReadingRights()
        for candidate in tokens(for: .read) where candidate.isSame(as: digest) { reads = true }
        for candidate in tokens(for: .judge) where candidate.isSame(as: digest) { rights.mayJudge = true }
        rights.project = project(of: digest)
        return reads && !token.isEmpty ? rights : nil
    }

    /// The only project that a token lets read; `nil` for one that lets read all, or nothing.
    private func project(of digest: TokenDigest) -> String? {
        var found: String?
        for candidate in projectTokens where candidate.digest.isSame(as: digest) { found = candidate.project }
        // The same token for everything beside it: it lets read all.
        for candidate in readTokens + judgeTokens where candidate.isSame(as: digest) { found = nil }
        return found
    }

    /// The only project that who sent these header fields may read.
    private func project(_ headers: HTTPFields) -> String? {
        if readsFreely { return nil }
        guard let token = Self.bearerToken(headers) else { return signIns?.rights(headers)?.project }
        return project(of: TokenDigest(token: token))
    }

    private static func forbidden(_ role: Role) -> Refusal {
        let message =
            switch role {
            case .ingest: "this token may read, not send"
            case .read: "this token may send, not read"
            case .judge: "this token may not judge"
            }
        return Refusal(status: .forbidden, code: .permissionDenied, message: message)
    }

    /// Lets a request in that sends something, or says why not.
    package func checkSender(_ request: HTTPRequest) throws {
        try origins.check(request)
        let hasToken = try authorize(request.headerFields, .ingest)
        // Programs may reach us by any name; pages in a browser, which tell their origin, may not.
        if !hasToken && request.headerFields[.origin] != nil { try hosts.check(request.authority) }
    }

    /// The same by a head as HTTP/1 brings it. A program that need not show a token is let in without more ado.
    ///
    /// - Parameter isFromPage: whether its header fields tell of a page in a browser.
    func checkSender(_ head: HTTPRequestHead, isFromPage: Bool, isEncrypted: Bool) throws {
        guard isFromPage || !ingestTokens.isEmpty else { return }
        guard let request = HTTPRequest(head, isEncrypted: isEncrypted) else {
            throw Refusal(status: .badRequest, code: .invalidArgument, message: "the request's method is none")
        }
        try checkSender(request)
    }

    /// Lets a request in that reads or judges something, or says why not.
    ///
    /// - Parameter address: of the machine that sent it.
    func checkReader(_ request: HTTPRequest, _ role: Role = .read, from address: String? = nil) throws -> Visitor {
        var visitor = Visitor()
        visitor.user = try proxy.user(request.headerFields, from: address)
        // Whom the proxy signed in may read, and judge where those who read may.
        if visitor.user == nil || role == .judge && !judgeTokens.isEmpty {
            // Who shows a token is no page that a browser was tricked into loading.
            if try !authorize(request.headerFields, role) { try hosts.check(request.authority) }
        }
        // Whom the proxy names may read all, whatever token comes along.
        if visitor.user == nil { visitor.project = project(request.headerFields) }
        try origins.check(request)
        return visitor
    }

    /// Lets a request in that reads what is no project's, or says why not.
    package func checkReaderOfAll(_ request: HTTPRequest) throws {
        guard let project = try checkReader(request).project else { return }
        throw Refusal(
            status: .forbidden, code: .permissionDenied,
            message: "this token may read project '\(project)' alone, and \(request.path ?? "") cannot be limited to one project")
    }

    /// Lets a request for a file of the page in: the files tell nothing, and a browser needs them to ask for a token.
    func checkPage(_ request: HTTPRequest, from address: String? = nil) throws {
        let user = try proxy.user(request.headerFields, from: address)
        if readsFreely && user == nil { try hosts.check(request.authority) }
        try origins.check(request)
    }

    /// The answer to a preflight from an allowed origin; `nil` when it is none.
    package func preflight(_ request: HTTPRequest, methods: String) throws -> HTTPFields? {
        try origins.preflight(request, methods: methods)
    }

    /// What lets an allowed page read an answer, and keeps a browser from doing more with it than show it.
    package func mark(_ headers: inout HTTPFields, for request: HTTPRequest) {
        SecurityHeaders.mark(&headers)
        origins.mark(&headers, for: request)
    }

    private static func bearerToken(_ headers: HTTPFields) -> Substring? {
        guard let value = headers[.authorization] else { return nil }
        let parts = value.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return parts[1].drop { $0 == " " }
    }

    private static func unauthenticated(_ message: String) -> Refusal {
        Refusal(
            status: .unauthorized, code: .unauthenticated, message: message,
            headers: [.wwwAuthenticate: "Bearer realm=\"fusebox\""])
    }
}
