package import HTTPTypes
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
    }

    package var ingestTokens: [TokenDigest] = []
    package var readTokens: [TokenDigest] = []
    package var hosts = HostPolicy()
    package var origins = OriginPolicy()

    package init() {}

    /// Checks the token of a request; says whether one was asked for and shown.
    ///
    /// Every digest of both roles is compared, so that the time tells nothing of which one matched, or how far.
    package func authorize(_ headers: HTTPFields, _ role: Role) throws -> Bool {
        let required = role == .ingest ? ingestTokens : readTokens
        if required.isEmpty { return false }
        guard let token = Self.bearerToken(headers) else {
            throw Self.unauthenticated("this needs a token: send Authorization: Bearer …")
        }
        let digest = TokenDigest(token: token)
        var isAllowed = false
        var isOther = false
        for candidate in required where candidate.isSame(as: digest) { isAllowed = true }
        for candidate in role == .ingest ? readTokens : ingestTokens where candidate.isSame(as: digest) { isOther = true }
        if isAllowed { return true }
        guard isOther else { throw Self.unauthenticated("the token is not one that is known here") }
        throw Refusal(
            status: .forbidden, code: .permissionDenied,
            message: role == .ingest ? "this token may read, not send" : "this token may send, not read")
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
