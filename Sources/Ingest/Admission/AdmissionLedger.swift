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

/// Who has what under way: a pure account, bounded by the connections of a server.
///
/// A request comes in three steps: its head asks whether there is room, its body holds the bytes that have come so far, and once it
/// is whole it takes one of the places. So who sends slowly holds what it sent and nothing more.
///
/// Half of the room is first come, first served. In the other half a client may hold no more than an equal part of the whole room,
/// counting one newcomer: so one flood leaves room for whoever comes next, and alone it still gets half. What finds the room empty
/// is always let in, however large.
struct AdmissionLedger {
    /// Where a client's account is, for as long as it is registered.
    struct Place: Equatable, Sendable {
        fileprivate let index: Int
    }

    private struct Client {
        let name: String
        /// Who registered it and is there still.
        var users = 1
        /// Requests that have entered, whole or not.
        var entered = 0
        var requests = 0
        var bytes = 0

        var isNeeded: Bool { users > 0 || entered > 0 }
    }

    let limits: AdmissionLimits
    /// Requests that are being worked on.
    private(set) var requests = 0
    private(set) var bytes = 0
    /// Clients with something under way.
    private(set) var clientCount = 0
    private var clients: [Client?] = []
    private var places: [String: Int] = [:]
    private var free: [Int] = []

    init(limits: AdmissionLimits) {
        self.limits = limits
    }

    // MARK: Clients

    /// Opens an account for a name, or finds the one that is open. Ends with as many calls of `unregister`.
    mutating func register(_ name: String) -> Place {
        if let index = places[name] {
            clients[index]?.users += 1
            return Place(index: index)
        }
        let client = Client(name: name)
        let index = free.popLast() ?? clients.count
        if index == clients.count { clients.append(client) } else { clients[index] = client }
        places[name] = index
        return Place(index: index)
    }

    mutating func unregister(_ place: Place) {
        guard var client = clients[place.index] else { return }
        client.users -= 1
        keep(client, at: place)
    }

    private mutating func keep(_ client: Client, at place: Place) {
        guard !client.isNeeded else { return clients[place.index] = client }
        clients[place.index] = nil
        places[client.name] = nil
        free.append(place.index)
    }

    // MARK: Requests

    /// Lets a request of a client in, if there is room now for the bytes that it announces. It holds none of them yet.
    mutating func enter(_ place: Place, announced: Int) -> AdmissionRefusal? {
        guard var client = clients[place.index] else { return nil }
        let isFirst = client.entered == 0
        client.entered += 1
        let others = clientCount + (isFirst ? 2 : 1)
        if let refusal = refusal(client, among: others) ?? refusal(client, adding: announced, own: 0, among: others) {
            return refusal
        }
        if isFirst { clientCount += 1 }
        clients[place.index] = client
        return nil
    }

    /// Lets a request that holds `own` bytes hold more.
    mutating func hold(_ place: Place, _ more: Int, own: Int) -> AdmissionRefusal? {
        guard var client = clients[place.index] else { return nil }
        if let refusal = refusal(client, adding: more, own: own, among: clientCount + 1) { return refusal }
        bytes += more
        client.bytes += more
        clients[place.index] = client
        return nil
    }

    /// Gives a request that is whole one of the places.
    mutating func start(_ place: Place) -> AdmissionRefusal? {
        guard var client = clients[place.index] else { return nil }
        if let refusal = refusal(client, among: clientCount + 1) { return refusal }
        requests += 1
        client.requests += 1
        clients[place.index] = client
        return nil
    }

    private func refusal(_ client: Client, among others: Int) -> AdmissionRefusal? {
        if requests >= limits.requestsMax { return .requests(limit: limits.requestsMax) }
        let isBusy = requests >= max(limits.requestsMax / 2, 1)
        return isBusy && client.requests >= max(limits.requestsMax / others, 1) ? .share(client: client.name) : nil
    }

    private func refusal(_ client: Client, adding more: Int, own: Int, among others: Int) -> AdmissionRefusal? {
        guard bytes > own else { return nil }
        let total = bytes + more
        if total > limits.bytesMax { return .bytes(limit: limits.bytesMax) }
        let isBusy = total > limits.bytesMax / 2
        return isBusy && client.bytes + more > limits.bytesMax / others ? .share(client: client.name) : nil
    }

    /// Takes a request out with what it held.
    mutating func leave(_ place: Place, bytes held: Int, hasStarted: Bool) {
        guard var client = clients[place.index] else { return }
        bytes -= held
        client.bytes -= held
        if hasStarted {
            requests -= 1
            client.requests -= 1
        }
        client.entered -= 1
        if client.entered == 0 { clientCount -= 1 }
        keep(client, at: place)
    }
}
