import ArgumentParser
import Forwarding
import FuseboxConfiguration
import Ingest
import NIOCore
import NIOPosix
import SpanStore
import StoreSQL
import TelemetryModel

extension ForwardCommand {
    /// `fusebox forward verify`: whether an engine has what it acknowledged.
    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check that a ClickHouse still has what it accepted: a single server may lose it when its power fails.",
            discussion: """
                Counts by ordinals, stretch by stretch of 10,000, what is stored here and was sent, and what is there. Exits with 1 when some are \
                missing. What the engine let go by its own rules, or a span that another node sent as well, counts as missing too; sending it \
                again changes nothing.

                Examples:
                  fusebox forward verify fleet --since 2d
                  fusebox forward verify fleet --since 2d --resend
                """)

        @OptionGroup var common: CommonOptions
        @Argument(help: "A name from forward.targets.") var target: String

        @Option(
            help: "Only what was received at or after this, about: 2026-11-21, 2026-11-21T10:00:00Z, or an age such as 7d.",
            transform: TimeArgument.init)
        var since: TimeArgument?

        @Flag(help: "Send again from the first stretch on that lacks something.")
        var resend = false

        mutating func run() throws {
            let configuration = try common.configuration()
            guard let plan = configuration.forward.plan.targets.first(where: { $0.name == target }) else {
                throw CommandFailure(.usage, "there is no target '\(target)' in forward.targets")
            }
            let folder = StoreFolder(path: configuration.dataFolder)
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            defer { group.shutdownGracefully { _ in } }
            let transport = FailoverTransport(plan, group: group)
            guard let node = folder.nodeName, let counts = ClickHouseCounts(plan, node: node, transport: transport) else {
                throw CommandFailure(.usage, "\(target) is not a ClickHouse, or nothing was sent to one from here yet")
            }
            var orders: [ForwardOrder] = []
            do {
                let reader = try SQLReader(folder: folder)
                for cursor in try reader.forwardStatus().map(\.cursor) where cursor.target == target {
                    if let order = try verify(cursor, reader, counts) { orders.append(order) }
                }
            } catch let error as StoreError {
                throw error.failure
            } catch let problem as ClickHouseQuestion.Problem {
                throw CommandFailure(.failed, "\(target) did not answer: \(problem.message)")
            }
            guard !orders.isEmpty else { return }
            guard resend else { throw CommandFailure(.failed, "some are missing; --resend sends them again") }
            try folder.handOver(.forward(orders))
        }

        private func verify(_ cursor: ForwardCursor, _ reader: SQLReader, _ counts: ClickHouseCounts) throws -> ForwardOrder? {
            let from = since?.unixNano(nowUnixNano: Clock.unixNano()) ?? .min
            let first = try reader.forwardOrdinal(of: cursor.signal, receivedAtOrAfter: from)
            guard first < cursor.nextOrdinal else {
                Terminal.write("\(cursor.signal.rawValue): nothing was sent\n")
                return nil
            }
            let stored = try reader.storedOrdinals(of: cursor.signal, first..<cursor.nextOrdinal)
            let refused = try reader.forwardRefusals(max: .max)
                .filter { $0.target == target && $0.signal == cursor.signal.rawValue }.map(\.row.ordinal)
            let there = try counts.counts(of: cursor.signal, first..<cursor.nextOrdinal)
            let audit = ForwardAudit(stored: stored, refused: Set(refused), there: there)
            Terminal.write("\(cursor.signal.rawValue): \(audit.sent) were sent, \(audit.missing) of them are missing\n")
            for gap in audit.gaps {
                Terminal.write(
                    "  ordinals \(gap.ordinals.lowerBound) to \(gap.ordinals.upperBound - 1): \(gap.there) of \(gap.sent)\n")
            }
            return audit.gaps.first.map {
                .replay(target: target, signal: cursor.signal, from: max(first, $0.ordinals.lowerBound))
            }
        }
    }
}
