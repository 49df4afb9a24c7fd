/// Caps of what may be under way at once, from the head of a request to its answer.
package struct AdmissionLimits: Equatable, Sendable {
    /// Requests.
    package var requestsMax = 512
    /// Bytes that the requests hold in memory: bodies as they came, inflated, and their records.
    package var bytesMax = 96 << 20

    package init() {}
}

/// Why a request is not let in now. All pass by themselves.
package enum AdmissionRefusal: Error, Equatable, Sendable {
    case requests(limit: Int)
    case bytes(limit: Int)
    /// The server is busy, and this client has its share of it under way.
    case share(client: String)

    package var isRetryable: Bool { true }

    package var message: String {
        switch self {
        case .requests(let limit): "\(limit) requests are under way; send again in a moment"
        case .bytes(let limit): "requests of \(limit) bytes are under way; send again in a moment"
        case .share(let client): "the server is busy, and \(client) has its share of it under way; send again in a moment"
        }
    }

    /// The value of the label `cause` of `fusebox_admission_refusals_total`.
    package var cause: String {
        switch self {
        case .requests: "requests"
        case .bytes: "bytes"
        case .share: "share"
        }
    }
}

/// Who has what under way: a pure account, bounded by the requests that it lets in.
///
/// Half of the room is first come, first served. In the other half a client may hold no more than an equal part of the whole room,
/// counting one newcomer: so one flood leaves room for whoever comes next, and alone it still gets half. A request that comes
/// when nothing is under way is always let in, however large.
struct AdmissionLedger {
    private struct Client {
        var requests = 0
        var bytes = 0
    }

    let limits: AdmissionLimits
    private(set) var requests = 0
    private(set) var bytes = 0
    private var clients: [String: Client] = [:]

    init(limits: AdmissionLimits) {
        self.limits = limits
    }

    /// Clients with something under way.
    var clientCount: Int { clients.count }

    /// Lets a request of a client in, which holds that many bytes at first.
    mutating func admit(_ name: String, bytes held: Int) -> AdmissionRefusal? {
        let client = clients[name] ?? Client()
        let others = clients.count + (clients[name] == nil ? 2 : 1)
        if requests > 0 {
            if requests >= limits.requestsMax { return .requests(limit: limits.requestsMax) }
            if requests >= limits.requestsMax / 2, client.requests >= max(limits.requestsMax / others, 1) { return .share(client: name) }
            if let refusal = refusal(client, adding: held, name, among: others) { return refusal }
        }
        requests += 1
        bytes += held
        clients[name] = Client(requests: client.requests + 1, bytes: client.bytes + held)
        return nil
    }

    /// Lets a request that is in hold more bytes.
    mutating func grow(_ name: String, by more: Int) -> AdmissionRefusal? {
        guard var client = clients[name] else { return nil }
        if requests > 1, let refusal = refusal(client, adding: more, name, among: clients.count + 1) { return refusal }
        bytes += more
        client.bytes += more
        clients[name] = client
        return nil
    }

    private func refusal(_ client: Client, adding more: Int, _ name: String, among others: Int) -> AdmissionRefusal? {
        let total = bytes + more
        if total > limits.bytesMax { return .bytes(limit: limits.bytesMax) }
        if total > limits.bytesMax / 2, client.bytes + more > limits.bytesMax / others { return .share(client: name) }
        return nil
    }

    /// Takes a request out with the bytes that it held.
    mutating func release(_ name: String, bytes held: Int) {
        guard var client = clients[name] else { return }
        requests -= 1
        bytes -= held
        client.requests -= 1
        client.bytes -= held
        clients[name] = client.requests > 0 ? client : nil
    }
}
