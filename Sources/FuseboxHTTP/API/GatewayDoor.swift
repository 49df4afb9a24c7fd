import Synchronization

/// Where the page and the API ask for what the gateway does. The gateway, which is above this target, opens it when it runs.
package final class GatewayDoor: Sendable {
    /// How the gateway answers.
    package struct Answers: Sendable {
        /// Its status as a JSON object.
        package var status: @Sendable () -> String
        /// Whether each of its models can be served, a line each.
        package var readiness: @Sendable () -> [String]

        package init(status: @escaping @Sendable () -> String, readiness: @escaping @Sendable () -> [String]) {
            self.status = status
            self.readiness = readiness
        }
    }

    private let answers = Mutex<Answers?>(nil)

    package init() {}

    package func open(_ answers: Answers) {
        self.answers.withLock { $0 = answers }
    }

    /// `null` where no gateway runs.
    var document: String { answers.withLock { $0 }?.status() ?? "null" }

    /// Empty where no gateway runs.
    var readiness: [String] { answers.withLock { $0 }?.readiness() ?? [] }
}

extension APIRoutes {
    /// What the gateway does now: `{"gateway": …}`, with `null` where none runs.
    func gateway() -> Response {
        APIContext.response(Array("{\"gateway\":\(context.gateway.document)}".utf8))
    }
}
