import SpanStore
import TelemetryModel
import Testing

@testable import Reports

@Suite struct CostReportTests {
    private static let hour = 3600.0
    private let window = ReportWindow(
        fromUnixNano: ReportFixture.epoch, untilUnixNano: ReportFixture.epoch + 4 * 3_600_000_000_000)

    private func prices() -> PriceTable {
        var table = PriceTable()
        table.models = [ModelPrice(model: "m", input: 2.5, cacheRead: 1.25, cacheWrite: 2.5, output: 10)]
        table.hosts = [HostRent(host: "gpu-1", dollarsPerHour: 2.4)]
        var link = EgressPrice(link: "wan", dollarsPerUnit: 0.09)
        link.freeUnits = 10
        table.links = [link]
        return table
    }

    private func fixture(_ spans: [SpanDescription], _ prices: PriceTable?) async throws -> ReportFixture {
        let fixture = ReportFixture(now: ReportFixture.epoch + 4 * 3_600_000_000_000)
        try await fixture.store([Spans.batch(spans)])
        var rows = AnnexRows()
        rows.prices = prices
        if prices != nil { try fixture.write(rows) }
        try fixture.watch(from: window.fromUnixNano, until: window.untilUnixNano)
        return fixture
    }

    private let calls = [
        Spans.span(
            1, 2, "chat m", 10, 20,
            [
                "gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 3_000_000,
                "gen_ai.usage.output_tokens": 400_000, "gen_ai.usage.cache_read.input_tokens": 1_000_000,
            ])
    ]

    private func settings() -> CostReport.Settings {
        var settings = CostReport.Settings()
        settings.egressBytes = ["wan": 12_000_000_000]
        return settings
    }

    /// metrics.md 4.1's worked example: 20.03 USD over 3.4 Mtok = 5.8912 USD/Mtok.
    @Test func theWorkedExample() async throws {
        let fixture = try await fixture(calls, prices())
        let (figures, document) = try CostReport(fixture.reader(), settings: settings()).make(window)
        #expect(figures.hours == 4)
        #expect(abs((figures.apiDollars ?? 0) - 10.25) < 1e-9)
        #expect(abs(figures.rentDollars - 9.6) < 1e-9)
        #expect(abs(figures.egressDollars - 0.18) < 1e-9)
        #expect(figures.tokens == 3_400_000)
        #expect(DecimalText.rounded(figures.dollarsPerMillionTokens ?? 0, digits: 4) == "5.8912")
        #expect(document.verdict == .passed)
    }

    @Test func theSQLGivesTheFigures() async throws {
        let fixture = try await fixture(calls, prices())
        let (figures, document) = try CostReport(fixture.reader(), settings: settings()).make(window)
        let queries = Dictionary(document.sections.flatMap { section in section.queries.map { (section.key, $0.sql) } }, uniquingKeysWith: { a, _ in a })
        #expect(try fixture.number(#require(queries["totals"])) == figures.hours)
        #expect(try fixture.number(#require(queries["models"]), column: 8) == figures.apiDollars)
        #expect(try fixture.number(#require(queries["rent"]), column: 3) == figures.rentDollars)
        #expect(abs(try fixture.number(#require(queries["egress"]), column: 2) - figures.egressDollars) < 1e-12)
        #expect(abs(try fixture.number("SELECT sum(dollars) FROM costs") - 10.25) < 1e-9)
    }

    @Test func aModelWithoutAPriceIsNoZero() async throws {
        let fixture = try await fixture(calls, nil)
        let (figures, document) = try CostReport(fixture.reader()).make(window)
        #expect(figures.apiDollars == nil && figures.totalDollars == nil && figures.dollarsPerMillionTokens == nil)
        #expect(figures.unpricedModels == ["m"])
        #expect(document.verdict == .insufficient)
        #expect(try fixture.rows("SELECT dollars FROM costs") == [[""]])
    }

    @Test func thePriceThatHeldWhenTheCallEndedCounts() async throws {
        var table = PriceTable()
        table.models = [
            ModelPrice(model: "m", input: 1, cacheRead: 1, cacheWrite: 1, output: 1),
            ModelPrice(
                model: "m", effectiveFromUnixNano: ReportFixture.epoch + 15_000_000_000, input: 2, cacheRead: 2, cacheWrite: 2, output: 2),
            ModelPrice(
                model: "m", effectiveFromUnixNano: ReportFixture.epoch + 20_000_000_001, input: 9, cacheRead: 9, cacheWrite: 9, output: 9),
        ]
        let fixture = try await fixture(calls, table)
        #expect(try CostReport(fixture.reader()).make(window).figures.apiDollars == 6.8)
        let book = PriceBook(table.models)
        #expect(book.price(of: "m", atUnixNano: ReportFixture.epoch + 20_000_000_000)?.input == 2)
        #expect(book.price(of: "m", atUnixNano: ReportFixture.epoch)?.input == 1)
        #expect(book.price(of: "n", atUnixNano: 0) == nil)
    }

    @Test func aWrapperThatRepeatsItsChildsTokensIsNotCounted() async throws {
        let attributes: AttributeList = [
            "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10,
        ]
        var chat: AttributeList = ["gen_ai.operation.name": "chat"]
        chat.append(contentsOf: attributes)
        let spans = [
            Spans.span(1, 1, "agent", 0, 30, attributes), Spans.span(1, 2, "chat", 1, 20, parent: 1, chat),
        ]
        let fixture = try await fixture(spans, prices())
        #expect(try CostReport(fixture.reader()).make(window).figures.tokens == 110)
        #expect(try fixture.number("SELECT sum(tokens) FROM costs") == 110)
    }

    @Test func machinesAreBilledByWholeUnits() {
        var host = HostRent(host: "h", dollarsPerHour: 1)
        host.granularitySeconds = 3600
        #expect(CostReport.billedSeconds(host, window, watchedSeconds: 3601) == 7200)
        #expect(CostReport.billedSeconds(host, window, watchedSeconds: 7200) == 7200)
        host.billedFromUnixNano = ReportFixture.epoch
        host.billedUntilUnixNano = ReportFixture.epoch + 1_800_000_000_000
        #expect(CostReport.billedSeconds(host, window, watchedSeconds: 9) == 3600)
    }

    @Test func idleGPUsAreFoundInSpansAndBySQL() async throws {
        func call(_ id: UInt64, _ start: Double, _ end: Double) -> SpanDescription {
            Spans.span(9, id, "chat", start, end, ["gen_ai.operation.name": "chat", "gen_ai.request.model": "local"])
        }
        let spans = [
            call(1, 0, 60), call(2, 100, 160), call(3, 300, 420),
            Spans.span(9, 4, "A", 50, 130, ["tool_name": "A"]), Spans.span(9, 5, "B", 120, 200, ["tool_name": "B"]),
            Spans.span(9, 6, "C", 200, 204, ["tool_name": "C"]),
        ]
        var table = PriceTable()
        table.models = [ModelPrice(model: "local", kind: .local, input: 0, cacheRead: 0, cacheWrite: 0, output: 0)]
        var host = HostRent(host: "gpu-1", dollarsPerHour: 2.4)
        host.gpus = 2
        table.hosts = [host]
        let fixture = try await fixture(spans, table)
        let (figures, document) = try CostReport(fixture.reader()).make(window)
        #expect(DecimalText.rounded(figures.idleGPUMinutes, digits: 3) == "2.667")
        #expect(DecimalText.rounded(figures.idleDollars, digits: 4) == "0.0533")
        let idle = try #require(document.sections.first { $0.key == "idle" })
        #expect(try fixture.number(idle.queries[0].sql) == 80)
        #expect(try fixture.rows(idle.queries[1].sql).map { $0[0] }.sorted() == ["A", "B"])
        #expect(try fixture.number(idle.queries[1].sql, column: 1) == 40)
    }
}
