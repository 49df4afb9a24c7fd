import ArgumentParser
import Foundation
import FuseboxConfiguration
import Ingest
import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// `fusebox forward`: how far the targets of `forward:` are, and what an operator does about it.
struct ForwardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forward",
        abstract: "Show how far the targets of forwarding are; pause, resume and replay them.",
        discussion: """
            `fusebox serve` sends what it stored to the targets in forward.targets of fusebox.yaml (docs/fleet.md). These commands work \
            beside it.

            Examples:
              fusebox forward status
              fusebox forward replay hub --since 2d
            """,
        subcommands: [Status.self, Pause.self, Resume.self, Replay.self, Verify.self])

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show each target: what it does, how far it is behind, what it took, refused and lost.")

        @OptionGroup var common: CommonOptions

        @Flag(help: "List what targets refused, latest first, instead.")
        var refused = false

        @Option(help: "Refusals that are listed at most.")
        var limit = 50

        @Option(help: "\(SQLFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
        var format: SQLFormat = .table

        mutating func run() throws {
            let reader = try common.reader()
            do throws(StoreError) {
                if refused { try writeRefusals(reader) } else { try writeTargets(reader) }
            } catch {
                throw error.failure
            }
        }

        private func writeTargets(_ reader: SQLReader) throws(StoreError) {
            var rows = SQLRowWriter(
                format: format, escapes: Terminal.isTerminal(.standardOutput),
                columns: ["target", "signal", "state", "behind", "behind_s", "sent", "refused", "lost", "next_ordinal", "hold", "message"],
                fit: .terminal(optional: ["next_ordinal", "hold"], whole: ["target", "signal", "state"]))
            let now = Clock.unixNano()
            for status in try reader.forwardStatus() {
                let cursor = status.cursor
                rows.write([
                    .text(cursor.target), .text(cursor.signal.rawValue), .text(status.shownState), .integer(status.behind),
                    .integer(status.behindSeconds(nowUnixNano: now)), .integer(cursor.sent), .integer(cursor.refused), .integer(cursor.lost), .integer(cursor.nextOrdinal),
                    .text(cursor.holds ? "yes" : "no"), .text(cursor.message),
                ])
            }
            rows.finish()
        }

        private func writeRefusals(_ reader: SQLReader) throws(StoreError) {
            var rows = SQLRowWriter(
                format: format, escapes: Terminal.isTerminal(.standardOutput),
                columns: ["time", "target", "signal", "count", "trace_id", "span_id", "code", "message"],
                fit: .terminal(optional: ["signal", "span_id"], whole: ["target"]))
            for refusal in try reader.forwardRefusals(max: limit) {
                rows.write([
                    .text(TimeText.iso8601(unixNano: refusal.timeUnixNano)), .text(refusal.target), .text(refusal.signal),
                    .integer(refusal.row.count), refusal.row.traceID.map { .text($0.hexadecimal) } ?? .null,
                    refusal.row.spanID.map { .text($0.hexadecimal) } ?? .null, .integer(Int64(refusal.row.code)),
                    .text(refusal.row.message),
                ])
            }
            rows.finish()
        }
    }

    struct Pause: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Send nothing more to a target until it is resumed; nothing is lost.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "A name from forward.targets.") var target: String

        mutating func run() throws {
            let (folder, _) = try common.forwardTarget(target)
            try folder.handOver(.forward([.pause(target: target)]))
            Terminal.write("\(target) is paused; fusebox forward resume \(target) continues it\n")
        }
    }

    struct Resume: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Go on with a target that was paused, or that refuses everything: at once, whatever its waits are.")

        @OptionGroup var common: CommonOptions
        @Argument(help: "A name from forward.targets.") var target: String

        mutating func run() throws {
            let (folder, _) = try common.forwardTarget(target)
            try folder.handOver(.forward([.resume(target: target)]))
            Terminal.write("\(target) goes on\n")
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send to a target again what is stored.",
            discussion: """
                A Fusebox stores a span once, however often it comes. Other receivers may store it twice, and log records have no id that \
                would tell: they are there again.
                """)

        @OptionGroup var common: CommonOptions
        @Argument(help: "A name from forward.targets.") var target: String

        @Option(
            help: "Only what was received at or after this, about: 2026-11-21, 2026-11-21T10:00:00Z, or an age such as 7d.",
            transform: TimeArgument.init)
        var since: TimeArgument?

        @Option(help: "traces or logs; without it, both.")
        var signal: String?

        mutating func run() throws {
            let (folder, cursors) = try common.forwardTarget(target)
            let wanted = cursors.filter { signal == nil || $0.signal.rawValue == signal }
            guard !wanted.isEmpty else { throw CommandFailure(.usage, "\(target) is not sent '\(signal ?? "")'; say traces or logs") }
            let from = since?.unixNano(nowUnixNano: Clock.unixNano()) ?? .min
            let reader = try common.reader()
            var orders: [ForwardOrder] = []
            do throws(StoreError) {
                for cursor in wanted {
                    let ordinal = try reader.forwardOrdinal(of: cursor.signal, receivedAtOrAfter: from)
                    orders.append(.replay(target: target, signal: cursor.signal, from: ordinal))
                    let count = max(0, cursor.nextOrdinal - ordinal)
                    Terminal.write("\(cursor.signal.rawValue): up to \(count) go to \(target) again\n")
                }
            } catch {
                throw error.failure
            }
            try folder.handOver(.forward(orders))
        }
    }
}

extension CommonOptions {
    fileprivate func reader() throws -> SQLReader {
        do {
            return try SQLReader(folder: StoreFolder(path: try configuration().dataFolder))
        } catch let error as StoreError {
            throw error.failure
        }
    }

    /// The data folder, and what it knows of a target; a name that it does not know is a failure.
    fileprivate func forwardTarget(_ name: String) throws -> (folder: StoreFolder, cursors: [ForwardCursor]) {
        let folder = StoreFolder(path: try configuration().dataFolder)
        let all: [ForwardCursor]
        do {
            all = try SQLReader(folder: folder).forwardStatus().map(\.cursor)
        } catch {
            throw error.failure
        }
        let own = all.filter { $0.target == name }
        guard !own.isEmpty else {
            let names = Set(all.map(\.target)).sorted().joined(separator: ", ")
            throw CommandFailure(
                .usage, "there is no target '\(name)'; " + (names.isEmpty ? "nothing was forwarded from here yet" : "there are: \(names)"))
        }
        return (folder, own)
    }
}
