import GatewayRules
import Synchronization

/// What all parts of the gateway know of each backend beside the rules: where it is, and signs of its work.
final class BackendBoard: Sendable {
    private let ports: Mutex<[Int]>
    private let progress: Mutex<[UInt64]>
    private let figures: Mutex<[Figures]>

    /// Of the last calls of a backend.
    struct Figures: Sendable {
        var firstTokenSeconds = RecentFigures()
        /// Of one call at a time.
        var tokensPerSecond = RecentFigures()
    }

    /// - Parameter ports: as configured; those of processes are 0 until they are started.
    init(ports: [Int]) {
        self.ports = Mutex(ports)
        progress = Mutex([UInt64](repeating: 0, count: ports.count))
        figures = Mutex([Figures](repeating: Figures(), count: ports.count))
    }

    func port(_ backend: Int) -> Int { ports.withLock { $0[backend] } }

    func move(_ backend: Int, to port: Int) { ports.withLock { $0[backend] = port } }

    /// A call of the backend brought something.
    func brought(_ backend: Int) { progress.withLock { $0[backend] &+= 1 } }

    /// How often calls brought something.
    func progress(_ backend: Int) -> UInt64 { progress.withLock { $0[backend] } }

    func figures(_ backend: Int) -> Figures { figures.withLock { $0[backend] } }

    /// Takes in a call that is over.
    func ended(_ record: CallRecord) {
        guard let backend = record.backend, let grant = record.grantTimeUnixNano, let first = record.firstTokenTimeUnixNano else {
            return
        }
        let writing = Double(record.endTimeUnixNano &- first) / 1e9
        figures.withLock { figures in
            figures[backend].firstTokenSeconds.add(Double(first &- grant) / 1e9)
            // The first token is there when the time begins.
            if let tokens = record.facts.outputTokens, tokens > 1, writing > 0 {
                figures[backend].tokensPerSecond.add(Double(tokens - 1) / writing)
            }
        }
    }
}
