import ArgumentParser
import Derivations
import FuseboxConfiguration
import Ingest
import SemanticColumns
import SpanStore
import StoreSQL
import TelemetryModel

/// `fusebox prune`: retention by hand.
struct Prune: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Delete the spans and log records from before a time, segment by segment; the server must be stopped.",
        discussion: """
            Only whole segments go: a segment that holds one later span, or that the breakers have not settled yet, stays. \
            Counters stay as they are, and spans from before that time are refused from then on. Without --yes it only says \
            what it would delete.

            Example:
              fusebox prune --before 30d --yes
            """)

    @OptionGroup var common: CommonOptions

    @Option(help: "2026-11-21, 2026-11-21T10:00:00Z, nanoseconds since 1970, or an age such as 30d.", transform: TimeArgument.init)
    var before: TimeArgument

    @Flag(help: "Delete. Nothing brings the spans back.")
    var yes = false

    mutating func run() async throws {
        let configuration = try common.configuration()
        let folder = StoreFolder(path: configuration.dataFolder)
        let now = Clock.unixNano()
        let bound = before.unixNano(nowUnixNano: now)
        let time = TimeText.iso8601(unixNano: bound)
        guard bound <= now else { throw CommandFailure(.usage, "\(time) is in the future") }
        do throws(StoreError) {
            try folder.checkDatabaseExists()
            let reader = try SQLReader(folder: folder)
            // What the breakers have not settled stays: a start reads it again.
            let unsettled = try DerivationRestorer(
                history: reader.history, policy: configuration.policy, table: .standard
            ).unsettledSpans()
            guard yes else {
                let prunable = try reader.history.segments(endingAtOrBefore: bound, unsettledSpans: unsettled)
                let records = try reader.logRecords(endingAtOrBefore: bound)
                let logs = records > 0 ? " and \(records) log records" : ""
                return Terminal.write(
                    "\(prunable.spans) spans in \(prunable.segments) segments\(logs) ended before \(time); --yes deletes them\n")
            }
            let store = try SpanStore(folder: folder, gate: CommitGate())
            store.ledger.setUnsettledSpans(unsettled)
            let dropped = try SegmentRetention(store.maintenance()).dropSegments(endedAtOrBefore: bound, nowUnixNano: now)
            store.emptyLog()
            Terminal.write(
                "deleted \(dropped.spans) spans\(dropped.logRecords > 0 ? " and \(dropped.logRecords) log records" : "") "
                    + "in \(dropped.segments) segments, \(dropped.bytes >> 10) KiB, that ended before \(time)\n"
            )
        } catch {
            throw error.failure
        }
    }
}
