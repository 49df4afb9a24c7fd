import ArgumentParser
import FuseboxConfiguration
import SpanStore
import TelemetryModel

/// `fusebox verify`: is everything there, and as it was written?
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the data file: every checksum, every count; exit code 4 on damage.",
        discussion: """
            It reads one state of the file, beside a running server or without one, and changes nothing. A damaged segment is named with \
            the times at which its spans started. Repair means a backup: `fusebox backup` makes one.
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "A data file to check instead, such as a backup.")
    var file: String?

    @Option(help: "text or json.")
    var format: VerificationFormat = .text

    mutating func run() async throws {
        var progress = ProgressLine("checking")
        let report: VerificationReport
        do {
            let show = { (done: Int64, total: Int64) in progress.show(done, of: total, "segments") }
            if let file {
                report = try StoreVerification.run(path: file, progress: show)
            } else {
                report = try StoreVerification.run(
                    folder: StoreFolder(path: try common.configuration().dataFolder), progress: show)
            }
        } catch let error as StoreError {
            progress.end()
            throw error.failure
        }
        progress.end()
        Terminal.write(format == .json ? Self.json(report) : Self.text(report))
        guard report.isSound else {
            throw CommandFailure(
                .integrity,
                "the data file is damaged in \(report.findingCount) \(report.findingCount == 1 ? "place" : "places"); "
                    + "spans outside of it can still be read: export them, or go back to a backup")
        }
    }

    private static func text(_ report: VerificationReport) -> String {
        var lines = report.findings.map { finding in
            guard let id = finding.segmentID, let times = finding.startUnixNano else {
                return "damaged: \(Terminal.escaped(finding.message))"
            }
            let (from, to) = (TimeText.iso8601(unixNano: times.lowerBound), TimeText.iso8601(unixNano: times.upperBound))
            return "damaged: segment \(id), spans that started from \(from) to \(to): \(Terminal.escaped(finding.message))"
        }
        if report.findings.count < report.findingCount {
            lines.append("and \(report.findingCount - report.findings.count) more")
        }
        lines.append(
            "checked \(report.spans) spans in \(report.segments) segments, "
                + (report.logRecords > 0 ? "\(report.logRecords) log records in \(report.logSegments), " : "")
                + "\(report.checkedBytes >> 10) KiB: "
                + (report.isSound ? "no damage" : "damaged"))
        return lines.joined(separator: "\n") + "\n"
    }

    private static func json(_ report: VerificationReport) -> String {
        var json = JSONWriter()
        json.raw("{\"sound\":\(report.isSound),\"spans\":\(report.spans),\"segments\":\(report.segments),")
        json.raw("\"log_records\":\(report.logRecords),\"log_segments\":\(report.logSegments),")
        json.raw("\"checked_bytes\":\(report.checkedBytes),\"finding_count\":\(report.findingCount),\"findings\":[")
        for (index, finding) in report.findings.enumerated() {
            json.raw(index > 0 ? ",{\"message\":" : "{\"message\":")
            json.string(finding.message)
            if let id = finding.segmentID { json.raw(",\"segment\":\(id)") }
            if let times = finding.startUnixNano {
                json.raw(",\"start_min_unix_nano\":\(times.lowerBound),\"start_max_unix_nano\":\(times.upperBound)")
            }
            json.raw("}")
        }
        json.raw("]}\n")
        return String(decoding: json.bytes, as: UTF8.self)
    }
}

/// How a report is written.
enum VerificationFormat: String, CaseIterable, ExpressibleByArgument {
    case text, json
}
