import SQLite
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import StoreSQL

/// Spans at the ends of time and of counting are stored, found and summed like all others.
@Suite struct EdgeOfTimeTests {
    private static let times: [Int64] = [0, 1, 1_767_225_600_000_000_000, .max - 1, .max]

    private func filled(merged: Bool) throws -> StoreFixture {
        let fixture = try StoreFixture()
        var number: UInt64 = 1
        for start in Self.times {
            var spans: [SpanDescription] = []
            for end in Self.times {
                var span = Batches.span(7, number, ["tokens": .int(.max)])
                span.startTimeUnixNano = start
                span.endTimeUnixNano = end
                spans.append(span)
                number += 1
            }
            try fixture.ingest(Batches.of(spans, service: "edge"))
        }
        if merged { try fixture.merge() }
        return fixture
    }

    @Test(arguments: [false, true])
    func aWindowWithoutAnEndHoldsTheLastTime(merged: Bool) throws {
        let fixture = try filled(merged: merged)
        let reader = try SQLReader(folder: fixture.folder)
        for time in [SpanPass.Bounds.Time.start, .latestKnown] {
            var count = 0
            try SpanPass(reader).each(SpanPass.Bounds(time, from: .min, until: .max)) { segment throws(SQLiteError) in
                count += segment.rowCount
            }
            #expect(count == Self.times.count * Self.times.count)
            var condition = 0
            try SpanPass(reader).each(SpanPass.Bounds(time, from: .max, until: .max, condition: "tokens > 0")) {
                segment throws(SQLiteError) in condition += segment.rowCount
            }
            // A span without an end is as late as its start.
            #expect(condition == (time == .start ? Self.times.count : Self.times.count + 1))
        }
    }

    @Test func durationsOfSuchSpansAreTheirs() throws {
        let fixture = try filled(merged: false)
        let reader = try SQLReader(folder: fixture.folder)
        #expect(try reader.connection.integer("SELECT max(duration_ns) FROM spans") == .max - 1)
        #expect(try reader.connection.integer("SELECT min(duration_ns) FROM spans") == 0)
    }

    @Test func sumsStopWhereCountingEnds() throws {
        let fixture = try filled(merged: false)
        let connection = try SQLReader(folder: fixture.folder).connection
        #expect(try connection.integer("SELECT saturated_sum(tokens) FROM spans") == .max)
        #expect(try connection.integer("SELECT saturated_sum(-tokens) FROM spans") == -.max - 1)
        #expect(try connection.integer("SELECT tokens FROM traces") == .max)
        #expect(throws: SQLiteError.self) { try connection.integer("SELECT sum(tokens) FROM spans") }
    }

    @Test func aSaturatedSumIsOtherwiseASum() throws {
        let connection = try filled(merged: false).reader().connection
        for values in ["(1), (2), (NULL)", "(1.5), (2)", "(NULL)", "('3'), (4)", "('x'), (1)", "(-5), (2)"] {
            let statement = try connection.prepare(
                "SELECT saturated_sum(v) IS sum(v), typeof(saturated_sum(v)) = typeof(sum(v)) FROM (SELECT column1 AS v FROM (VALUES \(values)))")
            #expect(try statement.step())
            #expect(statement.integer(0) == 1 && statement.integer(1) == 1, "\(values)")
        }
        #expect(try connection.text("SELECT typeof(saturated_sum(1)) FROM spans WHERE 0") == "null")
    }
}

extension StoreFixture {
    fileprivate func reader() throws -> SQLReader { try SQLReader(folder: folder) }
}
