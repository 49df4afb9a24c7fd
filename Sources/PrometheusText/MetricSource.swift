import Synchronization

/// Something that can say at any moment, from any thread, what its metric stands at.
package protocol MetricSource: Sendable {
    /// The family as it is now.
    func family() -> MetricFamily
}

/// The metrics of a process, in the order in which they were registered. They live as long as the process and start at zero.
package final class MetricRegistry: Sendable {
    private let sources = Mutex<[any MetricSource]>([])

    package init() {}

    /// Adds a metric and hands it back, so that it can be declared and registered in one line.
    @discardableResult
    package func register<Source: MetricSource>(_ source: Source) -> Source {
        sources.withLock { $0.append(source) }
        return source
    }

    /// Every family as it is now.
    package func families() -> [MetricFamily] {
        sources.withLock { $0 }.map { $0.family() }
    }
}
