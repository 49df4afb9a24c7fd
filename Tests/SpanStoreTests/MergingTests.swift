import Foundation
import SQLite
import SegmentFormat
import SpanStore
import StoreSQL
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

/// What merging does is not seen in `spans`: every row before is there after, in every column.
@Suite struct MergingTests {
    /// All rows of `spans` in all columns.
    private func rows(_ fixture: StoreFixture) throws -> [[String]] {
        try fixture.sql("SELECT * FROM spans ORDER BY span_id")
    }

    private func arrivals(_ fixture: StoreFixture) throws -> [String] {
        let history = try SQLReader(folder: fixture.folder).history
        var arrivals: [String] = []
        for segment in try history.segmentsNewestFirst().reversed() {
            let stored = try history.batch(ofSegment: segment.id)
            for (span, received) in zip(stored.batch.spans, stored.receivedTimesUnixNano) {
                arrivals.append("\(span.spanID.hexadecimal) \(received) \(stored.batch.string(span.name))")
            }
        }
        return arrivals
    }

    /// "é" as one letter, and as an e with an accent behind it.
    @Test func keysThatShowAlikeAndAreNotTheSameStayTwoAttributes() throws {
        let (one, other) = ("caf\u{e9}", "cafe\u{301}")
        let fixture = try StoreFixture()
        let asked = """
            SELECT attr(attributes, '\(one)'), attr(attributes, '\(other)') FROM spans WHERE attr(attributes, '\(other)') IS NOT NULL
            """
        for number: UInt64 in 1...4 {
            try fixture.ingest(Batches.of([Batches.span(number, number, [one: "letter", other: "accent"])]))
        }
        for _ in 0..<2 {
            let shown = [[String]](repeating: ["letter", "accent"], count: 4)
            #expect(try fixture.sql(asked) == shown)
            #expect(try fixture.sql(asked, rewriting: true) == shown)
            #expect(try StoreVerification.run(folder: fixture.folder).isSound)
            try fixture.merge()
        }
        let history = try SQLReader(folder: fixture.folder).history
        for segment in try history.segmentsNewestFirst() {
            let batch = try history.batch(ofSegment: segment.id).batch
            #expect(batch.spans.allSatisfy { $0.attributes.count == 2 })
            let keys = batch.spans.flatMap { batch.attributes[$0.attributes.indices] }.map { batch.string(batch.keys[Int($0.key)]) }
            #expect(Set(keys.map(ExactText.init)) == [ExactText(one), ExactText(other)])
        }
    }

    @Test(arguments: [1, 2, 3, 4])
    func everyRowStaysInEveryColumn(seed: UInt64) throws {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: seed))
        var merges = 0
        for round in 0..<4 {
            for _ in 0..<40 { try fixture.ingest(workload.batch()) }
            let before = try rows(fixture)
            let arrivalsBefore = try arrivals(fixture)
            let merger = try fixture.merger()
            while try merger.runOnce() {}
            merges += merger.progress.merges
            #expect(try rows(fixture) == before, "round \(round)")
            #expect(try arrivals(fixture) == arrivalsBefore, "round \(round)")
        }
        #expect(merges >= 4)
        #expect(try fixture.sql("SELECT count(*) FROM segment")[0][0] < "40")
        #expect(try fixture.sql("SELECT count(*) FROM segment_leftover") == [["0"]])
    }

    @Test func keysPastTheBoundOfColumnsOverflowAndStay() throws {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: 5), keyCount: 3_000)
        for _ in 0..<160 {
            var attributes: AttributeList = [:]
            for _ in 0..<30 { attributes.append("key.\(Int.random(in: 0..<3_000, using: &workload.random))", workload.value()) }
            try fixture.ingest(Batches.of([Batches.span(1, workload.nextSpan, attributes)]))
            workload.nextSpan += 1
        }
        let before = try rows(fixture)
        let merger = try fixture.merger()
        while try merger.runOnce() {}
        #expect(try fixture.sql("SELECT count(*) FROM segment")[0][0].count < 3)
        #expect(try rows(fixture) == before)
    }

    @Test func aSpanThatIsSentAgainIsKnownAfterMerging() throws {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: 9))
        let batches = (0..<50).map { _ in workload.batch() }
        for batch in batches { try fixture.ingest(batch) }
        // Identities of a segment that is about to go are decoded.
        #expect(try fixture.add(batches[3]).allSatisfy { $0 == .identical })
        let merger = try fixture.merger()
        while try merger.runOnce() {}
        for batch in batches { #expect(try fixture.add(batch).allSatisfy { $0 == .identical }) }
        try fixture.reopen()
        for batch in batches.reversed() { #expect(try fixture.add(batch).allSatisfy { $0 == .identical }) }
        #expect(try fixture.add(workload.batch()).allSatisfy { $0 == .new })
    }

    @Test func aReaderThatBeganBeforeGoesOn() throws {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: 11))
        for _ in 0..<40 { try fixture.ingest(workload.batch()) }
        let expected = try fixture.sql("SELECT span_id, attributes FROM spans").map { $0.joined() }
        let reader = try SQLReader(folder: fixture.folder)
        let statement = try reader.connection.prepare("SELECT span_id || attributes FROM spans")
        #expect(try statement.step())
        var seen = [statement.text(0) ?? ""]
        let merger = try fixture.merger()
        while try merger.runOnce() {}
        while try statement.step() { seen.append(statement.text(0) ?? "") }
        #expect(seen == expected)
    }

    @Test func whatAnUnfinishedMergeLeftIsDeleted() throws {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: 12))
        for _ in 0..<5 { try fixture.ingest(workload.batch()) }
        let before = try rows(fixture)
        try fixture.crash(
            leaving: "INSERT INTO segment_leftover VALUES (77); INSERT INTO segment_stream VALUES (77 * 4096 + 5, x'00')")
        try fixture.ingest(workload.batch())
        #expect(try fixture.sql("SELECT max(id) FROM segment") == [["78"]])
        _ = try fixture.merger().runOnce()
        #expect(try fixture.sql("SELECT count(*) FROM segment_leftover") == [["0"]])
        #expect(try fixture.sql("SELECT count(*) FROM segment_stream WHERE id / 4096 = 77") == [["0"]])
        #expect(try rows(fixture).count == before.count + Int(fixture.sql("SELECT span_count FROM segment WHERE id = 78")[0][0])!)
    }

    @Test func aMergeThatIsGivenUpLeavesAllAsItWas() throws {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: 14))
        for _ in 0..<40 { try fixture.ingest(workload.batch()) }
        let before = try rows(fixture)
        let merger = try fixture.merger()
        for columns in [0, 1, 3] {
            var asked = 0
            let didMerge = try merger.runOnce {
                asked += 1
                return asked > columns
            }
            #expect(!didMerge)
            #expect(try fixture.sql("SELECT count(*) FROM segment") == [["40"]])
            #expect(try rows(fixture) == before)
        }
        while try merger.runOnce() {}
        #expect(try fixture.sql("SELECT count(*) FROM segment")[0][0].count == 1)
        #expect(try fixture.sql("SELECT count(*) FROM segment_leftover") == [["0"]])
        #expect(try rows(fixture) == before)
    }

    @Test func aFileOfTheFirstVersionOpensAndIsMerged() throws {
        let fixture = try StoreFixture()
        var workload = Workload(random: SplitMix64(seed: 13))
        for _ in 0..<30 { try fixture.ingest(workload.batch()) }
        let before = try rows(fixture)
        try fixture.crash(leaving: "DROP TABLE segment_leftover; PRAGMA user_version = 1")
        #expect(try rows(fixture) == before)
        try fixture.merge()
        #expect(try rows(fixture) == before)
        #expect(try fixture.sql("SELECT count(*) FROM segment")[0][0] < "30")
    }
}
