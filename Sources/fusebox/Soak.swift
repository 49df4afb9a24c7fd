import ArgumentParser
import Foundation
import FuseboxConfiguration
import Reports
import SpanStore
import TelemetryModel

/// `fusebox soak`: an acceptance run, from its start to a packet that can be checked.
struct Soak: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch an acceptance run and pack its report, so that anybody can check it.",
        discussion: """
            start notes the time; run the agents; finish judges the time since then by the gates and writes a packet. A soak that the \
            server watched for less than REMOTE_SOAK_MIN_HOURS has insufficient data and ends with 3.
            """,
        subcommands: [Start.self, Status.self, Finish.self, Verify.self])

    struct Start: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Begin a soak now.")

        @OptionGroup var common: CommonOptions

        @Option(help: "What the soak is called.")
        var name = "soak"

        @Flag(help: "Begin anew although a soak is running.")
        var force = false

        mutating func run() throws {
            let configuration = try common.configuration()
            let note = SoakNote(configuration)
            if let running = try note.read(), !force {
                throw CommandFailure(
                    .failed, "the soak '\(running.name)' runs since \(TimeText.iso8601(unixNano: running.startUnixNano)); finish it, or say --force")
            }
            let now = Clock.unixNano()
            try note.write(SoakNote.Content(name: name, startUnixNano: now, counters: NetworkCounters.read()))
            Terminal.write("soak '\(name)' began at \(TimeText.iso8601(unixNano: now)); end it with `fusebox soak finish`\n")
        }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show how the running soak would be judged now.")

        @OptionGroup var common: CommonOptions

        mutating func run() throws {
            let configuration = try common.configuration()
            let made = try Soak.report(configuration, until: Clock.unixNano(), condition: nil, strict: false)
            var document = made.document
            document.summary = "soak '\(made.note.name)'"
            document.sections = Array(document.sections.prefix(1))
            document.write(.table, explains: false)
        }
    }

    struct Finish: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Judge the soak and write its packet.")

        @OptionGroup var common: CommonOptions

        @Option(help: "Folder of the packet, which must not be there yet; without it, soak-TIME here.")
        var out: String?

        @Option(help: "Count only spans that meet this SQL condition.")
        var `where`: String?

        @Option(help: "A file to put into the packet: fuse table, data set, rules, dashboard; may be given more than once.")
        var attach: [String] = []

        @Flag(help: "Spans that the server lost end the command with 4.")
        var strict = false

        mutating func run() throws {
            let configuration = try common.configuration()
            let now = Clock.unixNano()
            let made = try Soak.report(configuration, until: now, condition: self.where, strict: strict)
            let folder = out ?? "soak-" + TimeText.iso8601(unixNano: made.note.startUnixNano).prefix(19).replacing(":", with: "")
            guard !FileManager.default.fileExists(atPath: folder) else {
                throw CommandFailure(.usage, "\(folder) is there already; name another folder with --out")
            }
            let digest: SpansDigest
            do throws(ReportReader.Failure) {
                digest = try SpansDigest(made.reader, made.document.window)
            } catch {
                throw error.failure
            }
            let packet = SoakPacket(
                document: made.document, digest: digest, others: try others(configuration, made.reader), facts: facts(made.note, now))
            try Self.write(packet, to: folder)
            try SoakNote(configuration).remove()
            var shown = made.document
            shown.sections = Array(shown.sections.prefix(1))
            shown.write(.table, explains: false)
            Terminal.write("packet: \(folder) (\(packet.files.count) files, \(digest.count) spans); check it with `fusebox soak verify \(folder)`\n")
            try made.document.exit()
        }

        private func others(_ configuration: Configuration, _ reader: ReportReader) throws -> [(name: String, content: [UInt8])] {
            var files: [(name: String, content: [UInt8])] = [("config.yaml", Array(configuration.yaml.utf8))]
            if let prices = FileManager.default.contents(atPath: configuration.pricesPath) { files.append(("prices.yaml", [UInt8](prices))) }
            var names: Set<String> = ["report.json", "report.md", "config.yaml", "prices.yaml", SoakPacket.manifestName, SoakPacket.sumsName]
            for path in attach {
                guard let content = FileManager.default.contents(atPath: path) else {
                    throw CommandFailure(.usage, "cannot read the file \(path)")
                }
                let name = URL(fileURLWithPath: path).lastPathComponent
                guard names.insert(name).inserted, !name.contains("\n") else {
                    throw CommandFailure(.usage, "two files of the packet would be called \(name)")
                }
                files.append((name, [UInt8](content)))
            }
            return files
        }

        private func facts(_ note: SoakNote.Content, _ now: Int64) -> [JSONValue.Member] {
            let ends = NetworkCounters.read()
            func counters(_ counters: [String: Int64]) -> JSONValue {
                .object(counters.sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) })
            }
            return [
                .init("name", .string(note.name)), .init("made_at", .string(TimeText.iso8601(unixNano: now))),
                .init("tool", .string(BuildInfo.versionText)), .init("tool_sha256", .optional(Self.ownDigest())),
                .init("git", Self.git()), .init("host", .string(ProcessInfo.processInfo.hostName)),
                .init("operating_system", .string(ProcessInfo.processInfo.operatingSystemVersionString)),
                .init("sent_bytes_at_start", counters(note.counters)), .init("sent_bytes_at_end", counters(ends)),
            ]
        }

        private static func ownDigest() -> String? {
            guard let path = Bundle.main.executablePath, let data = FileManager.default.contents(atPath: path) else { return nil }
            return SHA256.hexadecimal(of: data)
        }

        /// The revision of the folder that the command runs in, and whether it has changes; null outside of a checkout.
        private static func git() -> JSONValue {
            guard let revision = output(["git", "rev-parse", "HEAD"]), !revision.isEmpty else { return .null }
            let changes = output(["git", "status", "--porcelain"]) ?? ""
            return ["revision": .string(revision), "is_dirty": .bool(!changes.isEmpty)]
        }

        private static func output(_ command: [String]) -> String? {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = command
            let pipe = Pipe()
            process.standardOutput = pipe
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { return nil }  // Without git there is nothing to say.
            let data = pipe.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else { return nil }
            return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        }

        private static func write(_ packet: SoakPacket, to folder: String) throws {
            do {
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                for file in packet.files {
                    try Data(file.content).write(to: URL(fileURLWithPath: folder).appendingPathComponent(file.name))
                }
            } catch {
                throw CommandFailure(.failed, "cannot write the packet to \(folder): \(error.localizedDescription)")
            }
        }
    }

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check every hash of a packet and compute its verdict again; exit code 4 when something was changed.")

        @OptionGroup var common: CommonOptions

        @Argument(help: "The packet's folder.")
        var packet: String

        @Flag(help: "Compare the packet's spans with those of the data file, and its figures with what they give.")
        var spans = false

        mutating func run() throws {
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: packet) else {
                throw CommandFailure(.usage, "there is no folder \(packet)")
            }
            var found = SoakPacket.verify(names: names, read: Self.reader(of: packet))
            if spans && found.faults.isEmpty { try compareSpans(&found) }
            guard found.faults.isEmpty, let verdict = found.verdict else {
                throw CommandFailure(.integrity, found.faults.map { Terminal.escaped($0) }.joined(separator: "\n"))
            }
            Terminal.write("\(found.filesChecked) files are as they were packed; verdict: \(verdict.word)\n")
        }

        private static func reader(of packet: String) -> (String) -> [UInt8]? {
            let base = URL(fileURLWithPath: packet)
            return { name in
                // A name leads nowhere else.
                guard !name.contains("/"), name != ".." else { return nil }
                return FileManager.default.contents(atPath: base.appendingPathComponent(name).path).map { [UInt8]($0) }
            }
        }

        private func compareSpans(_ found: inout SoakPacket.Verification) throws {
            guard let window = found.window else { return }
            let reader = try ReportReader.open(common.configuration())
            do throws(ReportReader.Failure) {
                let digest = try SpansDigest(reader, window)
                if digest.sha256 != found.spansSHA256 {
                    found.faults.append("\(SoakPacket.manifestName): its spans are not those of the data file (\(digest.count) spans there)")
                    return
                }
                let gates = try GateReport(reader, settings: GateReport.Settings()).makeGates(window).gates
                found.faults += SoakPacket.judgeAgain(gates, read: Self.reader(of: packet))
            } catch {
                throw error.failure
            }
        }
    }

    /// The report of the running soak.
    fileprivate static func report(
        _ configuration: Configuration, until: Int64, condition: String?, strict: Bool
    ) throws -> (note: SoakNote.Content, reader: ReportReader, document: ReportDocument) {
        guard let note = try SoakNote(configuration).read() else {
            throw CommandFailure(.usage, "no soak is running; begin one with `fusebox soak start`")
        }
        try configuration.loadPricesForReport()
        let reader = try ReportReader.open(configuration)
        var settings = GateReport.Settings()
        settings.limits = configuration.gateLimits
        settings.requiresSoak = true
        settings.isStrict = strict
        settings.egressBytes = NetworkCounters.sent(since: note.counters)
        do throws(ReportReader.Failure) {
            let window = ReportWindow(fromUnixNano: note.startUnixNano, untilUnixNano: until, condition: condition)
            return (note, reader, try GateReport(reader, settings: settings).make(window).document)
        } catch {
            throw error.failure
        }
    }
}

/// What `soak start` noted, in `soak.json` of the data folder.
private struct SoakNote {
    struct Content {
        var name: String
        var startUnixNano: Int64
        var counters: [String: Int64]
    }

    private let path: String

    init(_ configuration: Configuration) {
        path = configuration.dataFolder + "/soak.json"
    }

    func read() throws -> Content? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        guard let value = try? JSONValue.parse([UInt8](data)[...]), case .integer(let start)? = value["start_unix_nano"] else {
            throw CommandFailure(.integrity, "\(path) cannot be read; delete it and begin the soak anew")
        }
        var counters: [String: Int64] = [:]
        if case .object(let members)? = value["sent_bytes"] {
            for member in members { if case .integer(let bytes) = member.value { counters[member.name] = bytes } }
        }
        return Content(name: value["name"]?.text ?? "soak", startUnixNano: start, counters: counters)
    }

    func write(_ content: Content) throws {
        let value: JSONValue = [
            "name": .string(content.name), "start_unix_nano": .integer(content.startUnixNano),
            "sent_bytes": .object(content.counters.sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) }),
        ]
        do {
            try Data(value.pretty.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandFailure(.failed, "cannot write \(path): \(error.localizedDescription); is the data folder there?")
        }
    }

    func remove() throws {
        try FileManager.default.removeItem(atPath: path)
    }
}

/// Bytes that each network interface has sent, as Linux counts them; none elsewhere.
private enum NetworkCounters {
    static func read() -> [String: Int64] {
        guard let text = try? String(contentsOfFile: "/proc/net/dev", encoding: .utf8) else { return [:] }
        var counters: [String: Int64] = [:]
        for line in text.split(separator: "\n").dropFirst(2) {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2 else { continue }
            let fields = sides[1].split(separator: " ")
            if fields.count > 8, let sent = Int64(fields[8]) { counters[sides[0].trimmingCharacters(in: .whitespaces)] = sent }
        }
        return counters
    }

    /// What was sent since then; an interface whose counter fell, as over a restart, counts from zero.
    static func sent(since start: [String: Int64]) -> [String: Int64] {
        read().reduce(into: [:]) { sent, entry in
            let before = start[entry.key] ?? 0
            sent[entry.key] = entry.value >= before ? entry.value - before : entry.value
        }
    }
}
