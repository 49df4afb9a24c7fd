import Foundation
import SpanStore
import TelemetryModel
import Testing

@testable import Reports

@Suite struct GateReportTests {
    private let window = ReportWindow(fromUnixNano: ReportFixture.epoch, untilUnixNano: ReportFixture.epoch + 3_600_000_000_000)

    /// Runs of 1.00, 1.01, … seconds.
    private func fixture(runs: Int, watched: Bool = true) async throws -> ReportFixture {
        let fixture = ReportFixture(now: window.untilUnixNano)
        let spans = (0..<runs).map { Spans.run($0, start: Double($0) * 10, seconds: 1 + Double($0) / 100) }
        try await fixture.store([Spans.batch(spans)])
        if watched { try fixture.watch(from: window.fromUnixNano, until: window.untilUnixNano) }
        return fixture
    }

    private func gates(_ fixture: ReportFixture, _ change: (inout GateReport.Settings) -> Void) throws -> (
        gates: [String: GateReport.Gate], document: ReportDocument
    ) {
        var settings = GateReport.Settings()
        change(&settings)
        let made = try GateReport(fixture.reader(), settings: settings).make(window)
        return (Dictionary(uniqueKeysWithValues: made.gates.map { ($0.name, $0) }), made.document)
    }

    @Test func aSlowP95FailsAndSaysByHowMuch() async throws {
        let fixture = try await fixture(runs: 100)
        let made = try gates(fixture) { $0.limits.p95LatencyNanoseconds = 1_500_000_000 }
        let gate = try #require(made.gates["p95_latency_ms"])
        #expect(gate.value == .milliseconds(1_940_000_000))
        #expect(gate.interval?.0 == .milliseconds(1_890_000_000) && gate.interval?.1 == .milliseconds(1_990_000_000))
        #expect(gate.outcome == .fail)
        #expect(gate.message == "1940 ms is 440 ms (29.3 %) over the limit of 1500 ms")
        #expect(made.document.verdict == .failed)
    }

    @Test func aLimitInsideTheIntervalIsMarginal() async throws {
        let fixture = try await fixture(runs: 100)
        #expect(try gates(fixture) { $0.limits.p95LatencyNanoseconds = 1_950_000_000 }.gates["p95_latency_ms"]?.outcome == .marginalPass)
        #expect(try gates(fixture) { $0.limits.p95LatencyNanoseconds = 1_900_000_000 }.gates["p95_latency_ms"]?.outcome == .marginalFail)
        #expect(try gates(fixture) { $0.limits.p95LatencyNanoseconds = 1_990_000_000 }.gates["p95_latency_ms"]?.outcome == .pass)
    }

    @Test func fiftyEightRunsAreInsufficient() async throws {
        let few = try gates(await fixture(runs: 58)) { $0.limits.p95LatencyNanoseconds = 1 }
        #expect(few.gates["p95_latency_ms"]?.outcome == .insufficient)
        #expect(few.gates["p95_latency_ms"]?.message == "58 runs; a p95 needs 59, so 1 more")
        #expect(few.document.verdict == .insufficient)
        let enough = try gates(await fixture(runs: 59)) { $0.limits.p95LatencyNanoseconds = 1 }
        #expect(enough.document.verdict == .failed)
    }

    @Test func aWindowInWhichNothingRanPassesNoGate() async throws {
        let empty = ReportFixture(now: window.untilUnixNano)
        try await empty.store([])
        try empty.watch(from: window.fromUnixNano, until: window.untilUnixNano)
        for requiresSoak in [false, true] {
            let made = try gates(empty) {
                $0.limits.timeouts = 0
                $0.limits.soakHoursMin = 1
                $0.requiresSoak = requiresSoak
            }
            #expect(made.gates["timeouts"]?.outcome == .pass)
            #expect(made.gates["runs"]?.outcome == .insufficient)
            #expect(made.document.verdict == .insufficient)
        }
        let one = try gates(await fixture(runs: 1)) { $0.limits.timeouts = 0 }
        #expect(one.document.verdict == .passed)
    }

    @Test func integrityBeatsInsufficientDataBeatsFailure() {
        #expect(ReportDocument.Verdict.worst([.failed, .insufficient, .integrity, .passed]) == .integrity)
        #expect(ReportDocument.Verdict.worst([.failed, .insufficient, .passed]) == .insufficient)
        #expect(ReportDocument.Verdict.worst([.failed, .passed]) == .failed)
        #expect(ReportDocument.Verdict.worst([]) == .passed)
    }

    @Test func aSoakThatWasWatchedTooShortlyIsInsufficient() async throws {
        let fixture = try await fixture(runs: 100)
        let made = try gates(fixture) { $0.requiresSoak = true }
        #expect(made.gates["soak_hours"]?.outcome == .insufficient)
        #expect(made.gates["soak_hours"]?.message == "watched for 1 h, 3 h short of the 4 h that REMOTE_SOAK_MIN_HOURS asks for")
        #expect(made.document.verdict == .insufficient)
        let short = try gates(fixture) {
            $0.requiresSoak = true
            $0.limits.soakHoursMin = 1
        }
        #expect(short.document.verdict == .passed)
    }

    @Test func aMinuteWithoutAServerIsNotWatchedAndALongGapFails() async throws {
        let fixture = try await fixture(runs: 60, watched: false)
        let minute: Int64 = 60_000_000_000
        try fixture.watch(from: window.fromUnixNano, until: window.fromUnixNano + 20 * minute)
        try fixture.watch(from: window.fromUnixNano + 26 * minute, until: window.untilUnixNano)
        let made = try gates(fixture) { _ in }
        #expect(made.gates["lost_spans"]?.outcome == .fail)
        #expect(made.gates["lost_spans"]?.message == "the server did not run for 360 s")
        let uptime = try Uptime(fixture.reader(), window)
        #expect(abs(uptime.hours - 0.9) < 1e-9)
        #expect(try fixture.number(uptime.query.sql) == uptime.hours)
    }

    @Test func lostSpansFailAndUnderStrictAreDamage() async throws {
        let fixture = try await fixture(runs: 60)
        var row = HeartbeatRow(minute: window.fromUnixNano / 60_000_000_000)
        row.dropped = 7
        try fixture.write(AnnexRows(heartbeat: row))
        #expect(try gates(fixture) { _ in }.document.verdict == .failed)
        let strict = try gates(fixture) { $0.isStrict = true }
        #expect(strict.document.verdict == .integrity)
        #expect(strict.gates["lost_spans"]?.message == "7 spans could not be stored and were answered with 503")
    }

    @Test func theSQLBehindTheReportGivesItsFigures() async throws {
        let fixture = try await fixture(runs: 100)
        let made = try gates(fixture) { $0.limits.p95LatencyNanoseconds = 1 }
        let latency = try #require(made.document.sections.first { $0.key == "latency" })
        #expect(try fixture.number(latency.queries[1].sql, column: 3) == 1940)
        #expect(try fixture.rows(latency.queries[2].sql) == [["90", "1890.0"], ["100", "1990.0"]])
        for section in made.document.sections {
            for query in section.queries { _ = try fixture.rows(query.sql) }
        }
    }

    @Test func aConditionNarrowsTheWindow() async throws {
        let fixture = try await fixture(runs: 100)
        var narrow = window
        narrow.condition = "duration_ns < 1500000000"
        #expect(try RunReport(fixture.reader()).runs(narrow).all.durations.count == 50)
        for condition in ["nonsense = 1", "1); DROP TABLE meta", "1 -- x", "1)"] {
            narrow.condition = condition
            #expect(throws: ReportReader.Failure.self) { try GateReport(fixture.reader(), settings: .init()).make(narrow) }
        }
    }

    @Test func aSpanWithWorkflowRootIsARun() async throws {
        let fixture = ReportFixture(now: window.untilUnixNano)
        let spans = [
            Spans.span(1, 1, "outer", 0, 10), Spans.span(1, 2, "run", 1, 9, parent: 1, ["workflow_name": "w", "workflow.root": true]),
            Spans.span(1, 3, "step", 2, 3, parent: 2, ["workflow_name": "w"]),
        ]
        try await fixture.store([Spans.batch(spans)])
        #expect(try RunReport(fixture.reader()).runs(window).all.durations == [8_000_000_000])
    }

    @Test func writesJUnitThatReadersTake() async throws {
        let fixture = try await fixture(runs: 58)
        var settings = GateReport.Settings()
        settings.limits.p95LatencyNanoseconds = 1
        settings.limits.timeouts = 0
        let made = try GateReport(fixture.reader(), settings: settings).make(window)
        let text = JUnit.text(made.gates)
        #expect(text.hasPrefix(#"<?xml version="1.0" encoding="UTF-8"?>"# + "\n" + #"<testsuites tests="14" failures="0" errors="1" skipped="10">"#))
        #expect(text.contains(#"<testcase classname="fusebox.gate" name="p95_latency_ms" time="0"><error message="58 runs; a p95 needs 59"#))
        #expect(!text.contains("3600"))
        #expect(text.contains("name=\"timeouts\" time=\"0\"><system-out>timeouts is 0, limit 0: pass</system-out>"))
    }
}

@Suite struct SoakPacketTests {
    private func packet() async throws -> [String: [UInt8]] {
        let window = ReportWindow(fromUnixNano: ReportFixture.epoch, untilUnixNano: ReportFixture.epoch + 3_600_000_000_000)
        let fixture = ReportFixture(now: window.untilUnixNano)
        try await fixture.store([Spans.batch((0..<60).map { Spans.run($0, start: Double($0), seconds: 1) })])
        try fixture.watch(from: window.fromUnixNano, until: window.untilUnixNano)
        var settings = GateReport.Settings()
        settings.requiresSoak = true
        settings.limits.soakHoursMin = 1
        settings.limits.p95LatencyNanoseconds = 2_000_000_000
        let reader = try fixture.reader()
        let document = try GateReport(reader, settings: settings).make(window).document
        #expect(document.verdict == .passed)
        let packet = SoakPacket(
            document: document, digest: try SpansDigest(reader, window), others: [("config.yaml", Array("a: 1\n".utf8))], facts: [])
        return Dictionary(uniqueKeysWithValues: packet.files.map { ($0.name, $0.content) })
    }

    @Test func aForgedFigureWithSumsMadeAnewIsFoundByTheSpans() async throws {
        var files = try await packet()
        let gates = [
            GateReport.Gate(name: "p95_latency_ms", value: .milliseconds(1_000_000_000), limit: .none, count: 60, outcome: .pass),
            GateReport.Gate(name: "timeouts", value: .count(0), limit: .none, outcome: .pass),
        ]
        #expect(SoakPacket.judgeAgain(gates) { files[$0] } == [])
        let forged = [GateReport.Gate(name: "p95_latency_ms", value: .milliseconds(2_750_000_000), limit: .none, outcome: .pass)]
        #expect(SoakPacket.judgeAgain(forged) { files[$0] }.first?.hasPrefix("report.json: its p95_latency_ms is") == true)
        let markdown = String(decoding: files["report.md"] ?? [], as: UTF8.self)
        files["report.md"] = Array(markdown.replacingOccurrences(of: "| p95_latency_ms | 1000", with: "| p95_latency_ms | 50").utf8)
        #expect(SoakPacket.judgeAgain(gates) { files[$0] } == ["report.md: its p95_latency_ms is not that of report.json"])
    }

    private func verify(_ files: [String: [UInt8]]) -> SoakPacket.Verification {
        SoakPacket.verify(names: Array(files.keys)) { files[$0] }
    }

    @Test func anUntouchedPacketIsGood() async throws {
        let found = verify(try await packet())
        #expect(found.faults.isEmpty)
        #expect(found.filesChecked == 4)
        #expect(found.verdict == .passed)
    }

    @Test func oneChangedByteAnywhereIsFoundAndTheFileNamed() async throws {
        let files = try await packet()
        var generator = SeededGenerator(seed: 1)
        for (name, content) in files {
            for _ in 0..<40 {
                var changed = files
                let position = Int.random(in: 0..<content.count, using: &generator)
                changed[name]?[position] ^= UInt8.random(in: 1...255, using: &generator)
                let found = verify(changed)
                #expect(!found.faults.isEmpty, "\(name) at \(position)")
                #expect(found.faults.contains { $0.contains(name) }, "\(name) at \(position): \(found.faults)")
            }
        }
    }

    @Test func aVerdictThatItsFiguresDoNotGiveIsFound() async throws {
        var files = try await packet()
        let report = String(decoding: try #require(files["report.json"]), as: UTF8.self)
        let changed = Array(report.replacing("\"limit\":2000", with: "\"limit\":500").utf8)
        #expect(report.contains("\"limit\":2000"))
        let old = SHA256.hexadecimal(of: Array(report.utf8))
        let new = SHA256.hexadecimal(of: changed)
        files["report.json"] = changed
        let manifestBefore = try #require(files["manifest.json"])
        let manifest = Array(String(decoding: manifestBefore, as: UTF8.self).replacing(old, with: new).utf8)
        files["manifest.json"] = manifest
        let sums = String(decoding: try #require(files["SHA256SUMS"]), as: UTF8.self).replacing(old, with: new)
            .replacing(SHA256.hexadecimal(of: manifestBefore), with: SHA256.hexadecimal(of: manifest))
        files["SHA256SUMS"] = Array(sums.utf8)
        #expect(verify(files).faults.contains { $0.hasPrefix("report.json: its figures give 'failed'") })
    }

    @Test func missingAndForeignFilesAreNamed() async throws {
        var files = try await packet()
        files["config.yaml"] = nil
        files["extra"] = [1]
        #expect(verify(files).faults == ["config.yaml: it is missing", "extra: it is not part of the packet"])
    }

    @Test func theDigestDoesNotDependOnHowSpansLie() async throws {
        let window = ReportWindow(fromUnixNano: ReportFixture.epoch, untilUnixNano: ReportFixture.epoch + 3_600_000_000_000)
        let spans = (0..<50).map { Spans.run($0, start: Double($0), seconds: 1) }
        let one = ReportFixture()
        try await one.store(spans.map { Spans.batch([$0]) })
        let many = ReportFixture()
        try await many.store(spans.reversed().map { Spans.batch([$0]) })
        let digest = try SpansDigest(one.reader(), window)
        #expect(digest == (try SpansDigest(many.reader(), window)))
        #expect(digest.count == 50)
    }
}
