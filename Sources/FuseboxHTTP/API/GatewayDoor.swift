import Synchronization

/// Where the page and the API ask for what the gateway does. The gateway, which is above this target, opens it when it runs.
package final class GatewayDoor: Sendable {
    private let status = Mutex<(@Sendable () -> String)?>(nil)

    package init() {}

    /// - Parameter status: gives the gateway's status as a JSON object.
    package func open(_ status: @escaping @Sendable () -> String) {
        self.status.withLock { $0 = status }
    }

    /// `null` where no gateway runs.
    var document: String { status.withLock { $0 }?() ?? "null" }
}

extension APIRoutes {
    /// What the gateway does now: `{"gateway": …}`, with `null` where none runs.
    func gateway() -> Response {
        APIContext.response(Array("{\"gateway\":\(context.gateway.document)}".utf8))
    }
}
