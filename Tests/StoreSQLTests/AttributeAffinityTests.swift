import SQLite
import SegmentFormat
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import StoreSQL

/// What an attribute is compared with converts it as SQLite says, whichever form a statement is put into.
@Suite struct AttributeAffinityTests {
    private static func filled(merged: Bool) throws -> StoreFixture {
        let fixture = try StoreFixture()
        for trace in 1...3 {
            let attributes: AttributeList = ["user.id": .int(42), "error.type": .int(500), "text": .string("a\(trace)"), "number": .int(Int64(trace))]
            try fixture.ingest(Batches.of([Batches.span(UInt64(trace), UInt64(trace), attributes)]))
        }
        if merged { try fixture.merge() }
        return fixture
    }

    @Test(arguments: [false, true])
    func anAttributeBesideAColumnOfTextsIsCompared(merged: Bool) throws {
        let fixture = try Self.filled(merged: merged)
        let user = "attr(attributes, 'user.id')"
        for (statement, count) in [
            ("SELECT span_id FROM spans WHERE \(user) = user_id", 3), ("SELECT span_id FROM spans WHERE user_id = \(user)", 3),
            ("SELECT span_id FROM spans WHERE \(user) IN (SELECT user_id FROM spans)", 3),
            ("SELECT span_id FROM spans WHERE \(user) BETWEEN user_id AND '43'", 3),
            ("SELECT span_id FROM spans WHERE user_id BETWEEN '1' AND \(user)", 3),
            ("SELECT span_id FROM spans WHERE \(user) = CAST(42 AS TEXT)", 3), ("SELECT span_id FROM spans WHERE \(user) = '42'", 0),
            ("SELECT span_id FROM spans WHERE \(user) = 42", 3), ("SELECT span_id FROM spans WHERE '42' = \(user)", 0),
            ("SELECT a.span_id FROM spans a JOIN spans b ON attr(a.attributes, 'user.id') = b.user_id", 9),
            ("SELECT s.span_id FROM (SELECT \(user) AS u, span_id FROM spans) s WHERE s.u = (SELECT user_id FROM spans LIMIT 1)", 3),
            ("SELECT g.u FROM (SELECT \(user) AS u, count(*) AS n FROM spans GROUP BY 1) g JOIN spans s ON g.u = s.user_id", 3),
            ("SELECT s.span_id FROM (SELECT count(*) + 39 AS n FROM spans) g JOIN spans s ON g.n = s.user_id", 3),
            ("SELECT s.span_id FROM (SELECT count(*) AS n, max(attr(attributes, 'user.id')) AS u FROM spans) g JOIN spans s ON g.u = s.user_id", 3),
        ] as [(String, Int)] {
            let found = try fixture.sql(statement, rewriting: true)
            #expect(found.count == count, "\(statement)")
            // Whatever SQLite makes of the statement as it stands.
            #expect(try fixture.sql(statement) == found, "\(statement)")
        }
        #expect(try fixture.sql("SELECT \(user) = user_id FROM spans", rewriting: true) == [["1"], ["1"], ["1"]])
        #expect(try fixture.sql("SELECT sum(\(user) = user_id) FROM spans", rewriting: true) == [["3"]])
    }

    /// Conditions that skip rows beside a value still do.
    @Test(arguments: [
        "attr(attributes, 'text') = 'a1'", "'a1' = attr(attributes, 'text')", "attr(attributes, 'text') IN ('a1', 'a9')",
        "attr(attributes, 'number') < 2", "attr(attributes, 'number') BETWEEN 0 AND 1", "attr(attributes, 'text') LIKE 'a1%'",
        "(attr(attributes, 'text') = 'a1' AND 1 = 1)", "attr(attributes, 'text') = :text", "attr(attributes, 'text') = ('a' || '1')",
        "kind BETWEEN 0 AND 9 AND attr(attributes, 'text') = 'a1'",
    ])
    func conditionsOnValuesSkip(condition: String) throws {
        let fixture = try Self.filled(merged: false)
        let reader = try SQLReader(folder: fixture.folder)
        let statement = try #require(try reader.prepareNext("SELECT span_id FROM spans WHERE \(condition)"[...])?.statement)
        if statement.parameterCount > 0 { try statement.bind(1, "a1") }
        var rows = 0
        while try statement.step() { rows += 1 }
        #expect(rows == 1)
        #expect(reader.report.passedSpans == 1, "\(condition)")
    }

    /// Where a comparison begins and ends decides what an attribute is compared with.
    @Test(arguments: [
        "kind BETWEEN 0 AND attr(attributes, 'number') = 1", "user_id = attr(attributes, 'user.id') = 1", "1 = attr(attributes, 'user.id') < user_id",
        "user_id BETWEEN '0' AND attr(attributes, 'user.id')", "CASE attr(attributes, 'user.id') WHEN user_id THEN 1 END",
        "CASE user_id WHEN attr(attributes, 'user.id') THEN 1 END", "(attr(attributes, 'user.id'), 1) = (user_id, 1)",
        "(1, attr(attributes, 'user.id')) IN (SELECT 1, user_id FROM spans)", "user_id IN (attr(attributes, 'user.id'))",
        "attr(attributes, 'user.id') = (user_id)", "attr(attributes, 'user.id') = coalesce(user_id, 1)", "attr(attributes, 'user.id') = -user_id",
        "attr(attributes, 'user.id') IS NOT user_id", "attr(attributes, 'user.id') IS NOT DISTINCT FROM user_id",
        "attr(attributes, 'user.id') COLLATE NOCASE = user_id", "attr(attributes, 'user.id') = '42' || user_id",
    ])
    func itIsWhatItIsWithoutAnotherForm(condition: String) throws {
        let fixture = try Self.filled(merged: false)
        let statement = "SELECT span_id, \(condition) FROM spans WHERE coalesce(\(condition), 0) IN (0, 1) ORDER BY 1"
        #expect(try fixture.sql(statement, rewriting: true) == fixture.sql(statement))
        let filter = "SELECT span_id FROM spans WHERE \(condition) ORDER BY 1"
        #expect(try fixture.sql(filter, rewriting: true) == fixture.sql(filter))
    }

    /// A column of a result is named by what was written.
    @Test(arguments: [
        "SELECT attr(attributes,'user.id') FROM spans", "SELECT attr( attributes , 'user.id' )=user_id, attr(attributes,'text') AS t FROM spans",
        "SELECT * FROM (SELECT attr(attributes,'user.id') FROM spans)", "SELECT attr(s.attributes,'user.id') FROM spans s JOIN spans t USING (span_id)",
        "SELECT \"attr(attributes,'user.id')\" FROM (SELECT attr(attributes,'user.id'), span_id FROM spans)",
    ])
    func columnsKeepTheirNames(statement: String) throws {
        let fixture = try Self.filled(merged: false)
        let reader = try SQLReader(folder: fixture.folder)
        let (ours, plain) = (try #require(try reader.prepareNext(statement[...])?.statement), try reader.connection.prepare(statement))
        #expect((0..<ours.columnCount).map(ours.columnName) == (0..<plain.columnCount).map(plain.columnName))
        #expect(try StoreFixture.rows(statement, reader, rewriting: true) == StoreFixture.rows(statement, reader))
    }
}
