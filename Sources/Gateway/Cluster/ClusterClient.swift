import GatewayRules
import NIOCore
import NIOPosix
import OutboundHTTP
import TelemetryModel

/// Requests to a cluster's API server, one after another, for a thread that waits.
final class ClusterClient {
    private static let connectTimeout = TimeAmount.seconds(2)
    static let requestTimeout: Int64 = 3_000_000_000
    private static let tokenBytesMax = 64 << 10

    private let access: ClusterAccess
    private let plan: ClusterPlan
    private let agent: String
    private let http: OutboundHTTP

    init(_ access: ClusterAccess, plan: ClusterPlan, versionText: String, group: MultiThreadedEventLoopGroup) {
        self.access = access
        self.plan = plan
        agent = "fusebox-gateway/" + (versionText.isEmpty ? "0" : versionText)
        var tls = OutboundTLS()
        Self.put(access.authorities, &tls.authorities, &tls.texts.authorities)
        Self.put(access.certificate, &tls.certificate, &tls.texts.certificate)
        Self.put(access.privateKey, &tls.privateKey, &tls.texts.privateKey)
        http = OutboundHTTP(
            OutboundEndpoint(
                host: access.host, port: access.port, isEncrypted: access.isEncrypted, pathPrefix: access.pathPrefix),
            tls: tls, group: group, connectTimeout: Self.connectTimeout)
    }

    private static func put(_ source: ClusterAccess.Source?, _ file: inout String?, _ text: inout String?) {
        switch source {
        case .file(let path): file = path
        case .text(let pem): text = pem
        case nil: break
        }
    }

    /// - Parameter timeout: nanoseconds.
    func send(_ request: ClusterRequest, timeout: Int64) -> ClusterAnswer {
        let (method, path, body) = request.wire(plan)
        var headers = [(name: "Accept", value: "application/json"), (name: "User-Agent", value: agent)]
        if body != nil { headers.append((name: "Content-Type", value: "application/json")) }
        if let token = access.token {
            guard let text = Self.text(token) else { return .nothing("the token cannot be read") }
            headers.append((name: "Authorization", value: "Bearer \(text)"))
        }
        var outbound = OutboundRequest(
            path: path, headers: headers, body: Array((body?.line ?? "").utf8), timeoutNanoseconds: timeout)
        outbound.method = method
        do throws(OutboundError) {
            let answer = try http.send(outbound)
            return ClusterAnswer(status: answer.status, retryAfter: answer.header("retry-after"), body: answer.body)
        } catch {
            return .nothing(error.message)
        }
    }

    /// A token as it is now; `nil` for what cannot stand in a header.
    private static func text(_ source: ClusterAccess.Source) -> String? {
        let text =
            switch source {
            case .file(let path): SmallFile.text(path)
            case .text(let token): token
            }
        let trimmed = text.split(whereSeparator: \.isWhitespace)
        guard trimmed.count == 1, let token = trimmed.first, token.utf8.count <= tokenBytesMax,
            token.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return nil }
        return String(token)
    }
}
