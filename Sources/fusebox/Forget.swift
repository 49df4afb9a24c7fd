import ArgumentParser
import Foundation
import FuseboxConfiguration
import Ingest
import SpanStore
import StoreSQL
import TelemetryModel

/// `fusebox forget`: erases what is asked to be erased, and shows that it is gone.
struct Forget: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Erase traces, sessions or users, or what is older than a time: spans, log records, evals, stalls; also beside a server.",
        discussion: """
            A session or a user means every trace with a span that names it, whole, and log records that name it. Several names of one kind \
            are all erased; of several kinds, only what all of them name. Counters stay as they are. When the command ends with 0, the \
            bytes are gone from the data file, its log and its free pages. Backups, exports and what was forwarded are not touched. \
            Without --yes it only counts.

            Examples:
              fusebox forget --user alice@example.com
              fusebox forget --user alice@example.com --yes --format json
              fusebox forget --session 4f1c --older-than 30d --yes
            """)

    @OptionGroup var common: CommonOptions

    @Option(name: [.customLong("trace")], help: "A trace id; may be given several times.")
    var traces: [String] = []

    @Option(name: [.customLong("session")], help: "A session id; may be given several times.")
    var sessions: [String] = []

    @Option(name: [.customLong("user")], help: "A user id; may be given several times.")
    var users: [String] = []

    @Option(
        help:
            "Only what ended at or before this: 2026-11-21, 2026-11-21T10:00:00Z, nanoseconds since 1970, or an age such as 30d.",
        transform: TimeArgument.init)
    var olderThan: TimeArgument?

    @Flag(help: "Count what would be erased, and erase nothing; the same as without --yes.")
    var dryRun = false

    @Flag(help: "Erase. Nothing brings it back.")
    var yes = false

    @Option(help: "Seconds to wait for a server that does it; it goes on after that.")
    var wait = 600

    @Option(help: "text or json.")
    var format: VerificationFormat = .text

    mutating func run() throws {
        let folder = StoreFolder(path: try common.configuration().dataFolder)
        let selection = try selection(nowUnixNano: Clock.unixNano())
        do throws(StoreError) {
            try folder.checkDatabaseExists()
            guard yes, !dryRun else {
                let counts = try SQLReader(folder: folder).forgettable(selection, .standard)
                return write(ForgetProgress(phase: .searching, counts: counts), remaining: nil)
            }
        } catch {
            throw error.failure
        }
        let order = ForgetOrder(
            request: "\(UInt64.random(in: 0 ... .max))-\(ProcessInfo.processInfo.processIdentifier)", selection: selection)
        try folder.handOver(.forget(order))
        let done = try carryOut(order, folder)
        let remaining: ForgetCounts
        do {
            remaining = try SQLReader(folder: folder).forgettable(selection, .standard)
        } catch {
            throw error.failure
        }
        write(done, remaining: remaining)
        guard remaining.isZero else {
            throw CommandFailure(.failed, "more of it came in while it was being erased; run the command again when nothing sends it any more")
        }
    }

    private func selection(nowUnixNano now: Int64) throws -> ForgetSelection {
        var selection = ForgetSelection(sessions: sessions, users: users)
        for text in traces {
            guard let trace = TraceID(hexadecimal: text.lowercased()[...]), trace.isValid else {
                throw CommandFailure(.usage, "'\(Terminal.escaped(text))' is not a trace id: it has 32 hexadecimal digits")
            }
            selection.traces.append(trace)
        }
        guard !(sessions + users).contains("") else { throw CommandFailure(.usage, "the name of a session or user is empty") }
        if let olderThan {
            let bound = olderThan.unixNano(nowUnixNano: now)
            guard bound <= now else { throw CommandFailure(.usage, "\(TimeText.iso8601(unixNano: bound)) is in the future") }
            selection.endedAtOrBeforeUnixNano = bound
        }
        guard !selection.isEmpty else {
            throw CommandFailure(.usage, "say what is meant: --trace, --session, --user or --older-than")
        }
        guard wait >= 1 else { throw CommandFailure(.usage, "--wait must be 1 or more") }
        return selection
    }

    /// Has the owner of the file carry the order out, or does it when nobody owns it.
    private func carryOut(_ order: ForgetOrder, _ folder: StoreFolder) throws -> ForgetProgress {
        var line = ProgressLine("erasing")
        defer { line.end() }
        let start = ContinuousClock.now
        do throws(StoreError) {
            let reader = try SQLReader(folder: folder)
            while true {
                do throws(StoreError) {
                    try Self.work(folder)
                } catch .locked {
                    // A server owns the file: its maintenance does it.
                }
                guard let progress = try reader.forgetProgress(order.request) else {
                    throw .setting("the order is not in the data file; was the file exchanged?")
                }
                if progress.phase == .done { return progress }
                line.show(
                    "\(progress.phase.rawValue): \(progress.counts.spans) spans gone, \(progress.overwrittenBytes >> 10) KiB overwritten"
                )
                guard ContinuousClock.now - start < .seconds(wait) else {
                    let problem = progress.problem.isEmpty ? "" : ": \(progress.problem)"
                    throw .setting("the server is still \(progress.phase.rawValue) after \(wait) s, and goes on\(problem)")
                }
                Thread.sleep(forTimeInterval: 0.1)
            }
        } catch {
            throw error.failure
        }
    }

    /// Carries all orders of a file out that nobody owns.
    private static func work(_ folder: StoreFolder) throws(StoreError) {
        let store = try SpanStore(folder: folder, gate: CommitGate())
        let forgetter = try Forgetter(store.maintenance(), keys: .standard)
        while try forgetter.runOnce(nowUnixNano: Clock.unixNano()) {}
        store.emptyLog()
    }

    // MARK: Answer

    private func write(_ progress: ForgetProgress, remaining: ForgetCounts?) {
        switch format {
        case .json: Terminal.write(json(progress, remaining).line + "\n")
        case .text: Terminal.write(text(progress, remaining))
        }
    }

    private func json(_ progress: ForgetProgress, _ remaining: ForgetCounts?) -> JSONValue {
        var members: [JSONValue.Member] = [.init("erased", .bool(progress.phase == .done))] + progress.counts.members
        members.append(.init("overwritten_bytes", .integer(progress.overwrittenBytes)))
        if let remaining { members.append(.init("remaining", .object(remaining.members))) }
        return .object(members)
    }

    private func text(_ progress: ForgetProgress, _ remaining: ForgetCounts?) -> String {
        let what = progress.counts.text
        guard let remaining else { return "\(what) would be erased; --yes erases them\n" }
        return """
            erased \(what), and overwrote \(progress.overwrittenBytes) bytes of free places in the file
            a search for the same finds \(remaining.isZero ? "nothing" : "\(remaining.text), which came meanwhile")

            """
    }
}

extension ForgetCounts {
    fileprivate var members: [JSONValue.Member] {
        [
            .init("spans", .integer(spans)), .init("segments", .integer(segments)), .init("log_records", .integer(logRecords)),
            .init("log_segments", .integer(logSegments)), .init("evals", .integer(evals)), .init("stalls", .integer(stalls)),
        ]
    }

    fileprivate var text: String {
        "\(spans) spans in \(segments) segments, \(logRecords) log records in \(logSegments) segments, \(evals) evals and \(stalls) stalls"
    }
}
