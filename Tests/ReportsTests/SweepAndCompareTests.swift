import SQLite
import SpanStore
import TelemetryModel
import Testing

@testable import Reports

@Suite struct SweepReportTests {
    private let window = ReportWindow(fromUnixNano: ReportFixture.epoch, untilUnixNano: ReportFixture.epoch + 36_000_000_000_000)

    private func fixture() async throws -> ReportFixture {
        let fixture = ReportFixture(now: window.untilUnixNano)
        var spans: [SpanDescription] = []
        var number = 0
        for batch in [8, 16, 32] {
            for top in [5, 10] {
                for index in 0..<(batch == 32 && top == 10 ? 20 : 60) {
                    let seconds = 1 + Double(batch) / 20 + Double(top) / 100 + Double(index) / 1000
                    spans.append(
                        Spans.run(
                            number, start: Double(number), seconds: seconds,
                            [
                                "embed_batch": .int(Int64(batch)), "top_k": .int(Int64(top)), "sweep_id": "s1",
                                "process.memory.usage": .int(Int64(batch) << 20),
                            ]))
                    number += 1
                }
            }
        }
        try await fixture.store([Spans.batch(spans)])
        return fixture
    }

    private func sweep(_ fixture: ReportFixture, p95Milliseconds: Int64?) throws -> ReportSection {
        var settings = SweepReport.Settings()
        settings.limits.p95LatencyNanoseconds = p95Milliseconds.map { $0 * 1_000_000 }
        return try #require(SweepReport(fixture.reader(), settings: settings).make(window).sections.first)
    }

    @Test func tabulatesTheKnobsThatVaryAndPicksTheLastGreenTuple() async throws {
        let section = try sweep(await fixture(), p95Milliseconds: 2000)
        #expect(section.columns.prefix(2) == ["embed_batch", "top_k"])
        #expect(section.rows.map { $0[0].text + "/" + $0[1].text } == ["8/5", "8/10", "16/5", "16/10", "32/5", "32/10"])
        #expect(
            section.rows.map { $0.last?.text ?? "" } == [
                "chosen", "green, beaten", "green, beaten", "green, beaten", "p95 over by 706 ms", "p95 over by 718 ms",
            ])
        #expect(section.notes[0] == "last green: (16, 10), the last tuple under the gates: p95 1956 ms ≤ 2000 ms with n=60")
        #expect(section.notes[1].hasPrefix("chosen: (8, 5), no price, p95 1506 ms, peak 8 MiB"))
    }

    @Test func aCellWithFewRunsCannotWin() async throws {
        let section = try sweep(await fixture(), p95Milliseconds: 60_000)
        #expect(section.rows.last?.last == .text("n < 59"))
        #expect(section.notes[0].hasPrefix("last green: (32, 5)"))
    }

    @Test func theSQLGivesTheCells() async throws {
        let fixture = try await fixture()
        let section = try sweep(fixture, p95Milliseconds: 2000)
        let rows = try fixture.reader().rows(section.queries[0].sql) { row in
            [row.text(0) ?? "", row.text(1) ?? "", "\(row.integer(2))", ReportValue.milliseconds(Int64((row.double(4) * 1e6).rounded())).text]
        }
        #expect(Set(rows) == Set(section.rows.map { [$0[0].text, $0[1].text, $0[2].text, $0[4].text] }))
    }

    @Test func aSweepWithoutKnobsSaysWhatToDo() async throws {
        let fixture = ReportFixture(now: window.untilUnixNano)
        try await fixture.store([Spans.batch([Spans.run(0, start: 0, seconds: 1)])])
        let document = try SweepReport(fixture.reader(), settings: .init()).make(window)
        #expect(document.verdict == .insufficient)
        #expect(document.summary.contains("--by"))
    }

    @Test func theParetoFrontIsWhatNobodyBeats() {
        func cell(_ name: String, _ p95: Int64, _ memory: Int64) -> SweepReport.Cell {
            var cell = SweepReport.Cell(values: [name])
            cell.durations = [p95]
            cell.peakResidentBytes = memory
            return cell
        }
        #expect(SweepChoice.dominates(cell("a", 1, 1), cell("b", 1, 2)))
        #expect(!SweepChoice.dominates(cell("a", 1, 2), cell("b", 2, 1)))
        #expect(!SweepChoice.dominates(cell("a", 1, 1), cell("b", 1, 1)))
        #expect(SweepReport.isBefore(["9"], ["10"]) && SweepReport.isBefore(["a"], ["b"]) && !SweepReport.isBefore(["1"], ["1"]))
    }
}

@Suite struct CompareReportTests {
    private let window = ReportWindow(fromUnixNano: ReportFixture.epoch, untilUnixNano: ReportFixture.epoch + 36_000_000_000_000)

    private func fixture(_ factor: Double, items: Bool) async throws -> ReportFixture {
        let fixture = ReportFixture(now: window.untilUnixNano)
        var generator = SeededGenerator(seed: 2)
        for (number, service) in ["laptop", "node"].enumerated() {
            let runs = (0..<500).map { index in
                Spans.run(
                    index + number * 1000, start: Double(index) * 3,
                    seconds: Double.random(in: 1...2, using: &generator) * (number == 0 ? 1 : factor),
                    items ? ["eval_id": .string("item-\(index)")] : [:])
            }
            try await fixture.store([Spans.batch(runs, service: service)])
        }
        return fixture
    }

    private func compare(_ fixture: ReportFixture) throws -> (comparisons: [Comparison], document: ReportDocument) {
        var settings = CompareReport.Settings()
        settings.replicates = 1000
        let sides = ["laptop", "node"].map { name in
            var window = window
            window.condition = "service_name = '\(name)'"
            return CompareReport.Side(name: name, window: window)
        }
        return try CompareReport(fixture.reader(), settings: settings).make(sides[0], sides[1])
    }

    @Test func twiceAsSlowDiffersAndTheTableSaysWhichForWhat() async throws {
        let fixture = try await fixture(2, items: false)
        let made = try compare(fixture)
        #expect(made.comparisons.map(\.finding) == [.differs, .differs])
        let decisions = try #require(made.document.sections.last)
        #expect(decisions.rows[0][1] == .text("A"))
        #expect(made.document.sections[0].notes.last?.contains("independent") == true)
        let query = made.document.sections[0].queries[1].sql
        let p95 = try #require(made.comparisons[1].second.value)
        #expect(abs(try fixture.number(query, column: 2) - Double(p95) / 1e6) < 1e-6)
    }

    @Test func runsOfTheSameItemsArePaired() async throws {
        let made = try compare(await fixture(1.01, items: true))
        #expect(made.document.sections[0].notes.last?.contains("paired by eval id") == true)
        #expect(made.comparisons.map(\.finding) != [.differs, .differs])
    }

    @Test func aSideWithoutRunsIsInsufficient() async throws {
        let fixture = ReportFixture(now: window.untilUnixNano)
        try await fixture.store([Spans.batch([Spans.run(0, start: 0, seconds: 1)], service: "laptop")])
        let document = try compare(fixture).document
        #expect(document.verdict == .insufficient)
        // No difference is told where there is nothing to compare with; 0 would be one.
        let latency = document.sections[0]
        for column in ["b_ms", "b_minus_a_ms", "low_ms", "high_ms"] {
            let index = try #require(latency.columns.firstIndex(of: column))
            #expect(latency.rows.allSatisfy { $0[index] == .none }, "\(column)")
        }
    }
}
