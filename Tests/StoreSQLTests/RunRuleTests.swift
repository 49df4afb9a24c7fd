import SQLite
import SegmentFormat
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import StoreSQL

/// What a run is, and that a span without a start or an end is none, is told by columns of `spans` (docs/metrics.md 2.1, 2.8).
@Suite struct RunRuleTests {
    private static let times: [(start: Int64, end: Int64)] = [(1_000, 2_000), (0, 2_000), (1_000, 0), (0, 0)]
    private static let flags: [(value: AttributeValue?, says: String)] = [
        (nil, "∅"), (true, "1"), (false, "0"), (1, "1"), (0, "0"), (2, "∅"), ("true", "1"), (" Yes ", "1"), ("no", "0"),
        ("maybe", "∅"), (.double(1), "∅"),
    ]

    /// Each combination once; the names of spans say whether they are runs.
    private func filled(merged: Bool) throws -> StoreFixture {
        let fixture = try StoreFixture()
        var number: UInt64 = 1
        for (start, end) in Self.times {
            for workflow in [nil, "", "w"] {
                for isChild in [false, true] {
                    var spans: [SpanDescription] = []
                    for (flag, says) in Self.flags {
                        var attributes: AttributeList = [:]
                        if let workflow { attributes.append("workflow.name", .string(workflow)) }
                        if let flag { attributes.append("workflow.root", flag) }
                        var span = Batches.span(number % 5 + 1, number, attributes)
                        (span.startTimeUnixNano, span.endTimeUnixNano) = (start, end)
                        if isChild { span.parentSpanID = SpanID(9_999) }
                        let isRun = workflow == "w" && start != 0 && end != 0 && (!isChild || says == "1")
                        span.name = "\(isRun ? 1 : 0) \(says)"
                        spans.append(span)
                        number += 1
                    }
                    try fixture.ingest(Batches.of(spans))
                }
            }
        }
        if merged { try fixture.merge() }
        return fixture
    }

    @Test(arguments: [false, true])
    func aRunIsTheSameForRowsFiltersGroupsAndPasses(merged: Bool) throws {
        let fixture = try filled(merged: merged)
        let rows = try fixture.sql("SELECT is_run || ' ' || coalesce(workflow_root, '∅'), name FROM spans")
        #expect(rows.count == Self.times.count * 6 * Self.flags.count)
        #expect(rows.allSatisfy { $0[0] == $0[1] })
        let runs = rows.filter { $0[0].hasPrefix("1") }.count
        #expect(runs == Self.flags.count + Self.flags.filter { $0.says == "1" }.count)
        #expect(try fixture.sql("SELECT count(*) FROM spans WHERE is_run = 1", rewriting: true) == [["\(runs)"]])
        #expect(try fixture.sql("SELECT name FROM spans WHERE is_run = 1").count == runs)
        #expect(try fixture.sql("SELECT name FROM spans WHERE is_run = 0").count == rows.count - runs)
        #expect(try fixture.sql("SELECT sum(is_run), sum(workflow_name = 'w' AND is_run) FROM spans", rewriting: true) == [["\(runs)", "\(runs)"]])
        var passed = 0
        try SpanPass(SQLReader(folder: fixture.folder)).each(.init(.start, from: .min, until: .max)) { segment throws(SQLiteError) in
            let isRun = try segment.isRun()
            segment.forEachRow { if isRun($0) { passed += 1 } }
        }
        #expect(passed == runs)
        #expect(try fixture.sql("SELECT runs FROM workflows WHERE workflow_name = 'w'") == [["\(runs)"]])
    }

    @Test(arguments: [false, true])
    func whatIsKnownOfTimeIsTheSameForRowsAndFilters(merged: Bool) throws {
        let fixture = try filled(merged: merged)
        let law = """
            CASE WHEN end_time_unix_nano <> 0 THEN end_time_unix_nano WHEN start_time_unix_nano <> 0 THEN start_time_unix_nano
                ELSE received_time_unix_nano END
            """
        #expect(try fixture.sql("SELECT count(*) FROM spans WHERE latest_known_unix_nano IS NOT \(law)") == [["0"]])
        for time in ["1000", "2000", "5000"] {
            for comparison in ["=", "<", ">=", "IS"] {
                let expected = try fixture.sql("SELECT count(*) FROM spans WHERE \(law) \(comparison) \(time)")
                let select = "SELECT count(*) FROM spans WHERE latest_known_unix_nano \(comparison) \(time)"
                #expect(try fixture.sql(select) == expected)
                #expect(try fixture.sql(select, rewriting: true) == expected)
            }
        }
        #expect(
            try fixture.sql("SELECT DISTINCT duration_ns FROM spans ORDER BY 1") == [["∅"], ["1000"]])
        let timed = try fixture.sql("SELECT count(*) FROM spans WHERE duration_ns IS NOT NULL", rewriting: true)
        #expect(timed == [["\(6 * Self.flags.count)"]])
    }
}
