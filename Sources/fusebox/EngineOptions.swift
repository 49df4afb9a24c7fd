import ArgumentParser
import Fleet
import Forwarding
import FuseboxConfiguration
import NIOPosix
import TelemetryModel

/// The flag of commands that can ask an engine in place of the data file.
struct EngineOptions: ParsableArguments {
    @Option(
        help:
            "Ask this engine, which nodes forward to, in place of the data file: a name from engines, or of a ClickHouse in forward.targets."
    )
    var engine: String?

    /// The engine that is named; `nil` for the data file.
    func engine(_ configuration: Configuration) throws -> Engine? {
        try plan(configuration).flatMap { Engine($0, group: MultiThreadedEventLoopGroup.singleton) }
    }

    /// Its spans.
    func fleet(_ configuration: Configuration) throws -> FleetSpans? {
        guard let plan = try plan(configuration) else { return nil }
        var limits = FleetSpans.Limits()
        // Nobody else waits for it.
        limits.spans = 1_000_000
        return FleetSpans(plan, policy: configuration.policy, prices: try configuration.priceTable().sorted, limits: limits)
    }

    func plan(_ configuration: Configuration) throws -> ForwardTargetPlan? {
        guard let engine else { return nil }
        if let plan = configuration.engine(named: engine) { return plan }
        let known = configuration.engineNames
        throw CommandFailure(
            .usage,
            "there is no engine '\(engine)' in engines or forward.targets of fusebox.yaml"
                + (known.isEmpty ? "" : "; there are: \(known.joined(separator: ", "))"))
    }
}
