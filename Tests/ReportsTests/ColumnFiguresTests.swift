import Demo
import SpanStore
import TelemetryModel
import Testing

@testable import Reports

/// Figures that are summed up over columns are those of the SQL that the report prints, with a condition and without one.
@Suite(.serialized) struct ColumnFiguresTests {
    private let now = ReportFixture.epoch + 3_600_000_000_000

    private func fixture() async throws -> ReportFixture {
        let fixture = ReportFixture(now: now)
        try await fixture.store(DemoWorkload(seed: 5, nowUnixNano: now).batches)
        var rows = AnnexRows()
        var table = PriceTable()
        let models = try fixture.rows("SELECT DISTINCT model FROM spans WHERE model IS NOT NULL ORDER BY 1").map { $0[0] }
        // One without a price; prices change in the middle.
        for model in models.dropFirst() {
            table.models.append(ModelPrice(model: model, input: 1, cacheRead: 0.5, cacheWrite: 2, output: 3))
            table.models.append(
                ModelPrice(
                    model: model, effectiveFromUnixNano: now - 300_000_000_000, input: 7, cacheRead: 5, cacheWrite: 1, output: 2))
        }
        rows.prices = table
        try fixture.write(rows)
        return fixture
    }

    /// Numbers as they compare: SQL and the report round nothing, but add in other orders.
    private func same(_ value: ReportValue, _ text: String) -> Bool {
        switch value {
        case .none: text.isEmpty
        case .text(let own): own == text
        case .count(let count), .bytes(let count): "\(count)" == text
        case .milliseconds(let nanoseconds): abs(Double(nanoseconds) / 1e6 - (Double(text) ?? .nan)) < 1e-6
        case .seconds(let number), .dollars(let number), .number(let number, _): abs(number - (Double(text) ?? .nan)) < 1e-9
        }
    }

    private func check(_ section: ReportSection, _ fixture: ReportFixture, columns: [Int]) throws {
        let rows = try fixture.rows(#require(section.queries.first).sql)
        #expect(section.rows.filter { !$0[0].text.hasPrefix("(") }.count == rows.count, "\(section.key)")
        for (own, row) in zip(section.rows, rows) {
            for (place, column) in columns.enumerated() {
                #expect(same(own[column], row[place]), "\(section.key): \(own[column]) \(row[place])")
            }
        }
    }

    @Test(arguments: [nil, "service_name <> 'support-agent'", "tokens > 300 OR tool_name IS NOT NULL OR parent_span_id IS NULL"])
    func figuresAreThoseOfTheSQL(condition: String?) async throws {
        let fixture = try await fixture()
        for seconds in [600, 200] as [Int64] {
            let window = ReportWindow(
                fromUnixNano: now - seconds * 1_000_000_000, untilUnixNano: now - 30_000_000_000, condition: condition)
            let reader = try fixture.reader()
            let (figures, document) = try CostReport(reader).make(window)
            #expect(figures.calls > 0)
            try check(#require(document.sections.first { $0.key == "models" }), fixture, columns: Array(0..<9))
            var counts = ToolReport.Counts()
            let tools = try ToolReport(reader).tools(window, &counts)
            #expect(counts.calls > 0)
            try check(tools, fixture, columns: Array(0..<10))
            try check(RunReport(reader).section(window).section, fixture, columns: [0, 1, 2, 3, 4, 7])
        }
    }
}
