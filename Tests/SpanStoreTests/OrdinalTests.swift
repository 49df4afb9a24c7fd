import Foundation
import SQLite
import SegmentFormat
import StoreSQL
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import SpanStore

/// Every span and log record has a number that says how many came before it, whatever is merged, deleted or lost.
@Suite struct OrdinalTests {
    /// The span ids by ordinal, as a walk over the segments finds them.
    private func spans(_ fixture: StoreFixture) throws -> [Int64: String] {
        let history = try SQLReader(folder: fixture.folder).history
        var found: [Int64: String] = [:]
        for row in try fixture.sql("SELECT id, first_ordinal FROM segment ORDER BY id") {
            let batch = try history.batch(ofSegment: try #require(Int64(row[0]))).batch
            for (place, span) in batch.spans.enumerated() {
                let ordinal = try #require(Int64(row[1])) + Int64(place)
                #expect(found[ordinal] == nil, "the ordinal \(ordinal) twice")
                found[ordinal] = "\(span.traceID.hexadecimal) \(span.spanID.hexadecimal)"
            }
        }
        return found
    }

    @Test(arguments: [1, 2, 3])
    func aSpanKeepsItsOrdinalThroughMergingDeletingAndReopening(seed: UInt64) throws {
        let fixture = try StoreFixture()
        var random = SplitMix64(seed: seed)
        var workload = Workload(random: SplitMix64(seed: seed &+ 100))
        var known: [Int64: String] = [:]
        var next: Int64 = 0
        for _ in 0..<6 {
            for _ in 0..<25 {
                try fixture.ingest(workload.batch())
                let store = try #require(fixture.store)
                #expect(store.ledger.nextOrdinal >= next)
                next = store.ledger.nextOrdinal
            }
            let came = try spans(fixture)
            for (ordinal, span) in came { #expect(known[ordinal] ?? span == span) }
            known.merge(came) { first, _ in first }
            // Some segment in the middle goes, as `fusebox prune` may let it go.
            if Bool.random(using: &random) {
                let ids = try fixture.sql("SELECT id FROM segment ORDER BY id").map { $0[0] }
                try fixture.crash(
                    leaving: "DELETE FROM segment WHERE id = \(ids[Int.random(in: 0..<ids.count - 1, using: &random)])")
            }
            let before = try spans(fixture)
            try fixture.merge()
            #expect(try spans(fixture) == before)
            try fixture.reopen()
            #expect(fixture.store?.ledger.nextOrdinal == next)
        }
        #expect(known.count == Int(next))
        #expect(try fixture.sql("SELECT count(*) FROM segment")[0][0].count < 3)
    }

    @Test func ordinalsGoOnBehindADeletionOfEverything() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...3 {
            try fixture.ingest(Batches.of([Batches.span(number, number)]))
            try fixture.ingest(LogBatches.of([.init(time: Int64(number)), .init(time: Int64(number))]))
        }
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        var limits = RetentionLimits()
        limits.age = 0
        try retention.run(limits, nowUnixNano: fixture.now + 1_000_000_000)
        #expect(try fixture.sql("SELECT (SELECT count(*) FROM segment) + (SELECT count(*) FROM log_segment)") == [["0"]])
        // Without the mark the file alone knows.
        unlink(fixture.folder.markPath)
        try fixture.reopen()
        fixture.now += 10_000_000_000
        try fixture.ingest(Batches.of([Batches.span(9, 9, start: fixture.now)]))
        try fixture.ingest(LogBatches.of([.init(time: 9)]))
        #expect(try fixture.sql("SELECT first_ordinal FROM segment") == [["3"]])
        #expect(try fixture.sql("SELECT first_ordinal FROM log_segment") == [["6"]])
    }

    @Test func anOrdinalOfALostCommitIsNotGivenAgain() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...5 {
            try fixture.ingest(Batches.of([Batches.span(number, number)]))
            try fixture.ingest(LogBatches.of([.init(time: Int64(number))]))
        }
        // A log that was cut took the last commits along.
        try fixture.crash(
            leaving:
                "DELETE FROM segment WHERE id > 3; DELETE FROM log_segment WHERE id > 2; DELETE FROM log_stream WHERE id / 2 > 2")
        try fixture.ingest(Batches.of([Batches.span(9, 9)]))
        try fixture.ingest(LogBatches.of([.init(time: 9)]))
        #expect(try fixture.sql("SELECT first_ordinal FROM segment ORDER BY id") == [["0"], ["1"], ["2"], ["5"]])
        #expect(try fixture.sql("SELECT max(first_ordinal) FROM log_segment") == [["5"]])
    }

    @Test func logRecordsKeepTheirsThroughMerging() throws {
        let fixture = try StoreFixture()
        for number in 0..<40 {
            try fixture.ingest(LogBatches.of([.init(time: Int64(2 * number)), .init(time: Int64(2 * number + 1))]))
        }
        try fixture.crash(leaving: "DELETE FROM log_segment WHERE id = 20; DELETE FROM log_stream WHERE id / 2 = 20")
        try fixture.mergeLogs()
        let connection = try Connection(path: fixture.folder.databasePath, access: .readOnly)
        var count = 0
        for row in try fixture.sql("SELECT id, first_ordinal FROM log_segment ORDER BY id") {
            let facts = try LogTables.facts(of: try #require(Int64(row[0])), connection)
            let first = try #require(Int64(row[1]))
            for (place, record) in facts.rows.enumerated() { #expect(record.timeUnixNano == first + Int64(place)) }
            count += facts.rows.count
        }
        #expect(count == 78)
        #expect(try fixture.sql("SELECT count(*) FROM log_segment")[0][0].count == 1)
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
    }

    @Test func aFileOfTheVersionBeforeGetsItsOrdinalsByARunningSum() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...3 {
            try fixture.ingest(Batches.of((1...number).map { Batches.span(number, $0) }))
            try fixture.ingest(LogBatches.of((1...number).map { .init(time: Int64($0)) }))
        }
        unlink(fixture.folder.markPath)
        try fixture.crash(
            leaving: """
                ALTER TABLE segment DROP COLUMN ordinal_count; ALTER TABLE log_segment DROP COLUMN ordinal_count;
                ALTER TABLE segment DROP COLUMN first_ordinal; ALTER TABLE log_segment DROP COLUMN first_ordinal;
                DELETE FROM segment WHERE id = 1; DELETE FROM segment_stream WHERE id / 4096 = 1; PRAGMA user_version = 4
                """)
        #expect(try fixture.sql("SELECT first_ordinal FROM segment ORDER BY id") == [["0"], ["2"]])
        #expect(try fixture.sql("SELECT first_ordinal FROM log_segment ORDER BY id") == [["0"], ["1"], ["3"]])
        #expect(fixture.store?.ledger.nextOrdinal == 5 && fixture.store?.logLedger.nextOrdinal == 6)
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
    }

    @Test func aFileFromBeforeAnythingCouldBeForgottenIsReadAsItIs() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...3 { try fixture.ingest(Batches.of((1...number).map { Batches.span(number, $0) })) }
        let copy = fixture.folder.path + "/older.db"
        try StoreBackup.run(folder: fixture.folder, to: copy)
        try Connection(path: copy, access: .readWrite).execute(
            """
            ALTER TABLE segment DROP COLUMN ordinal_count; ALTER TABLE log_segment DROP COLUMN ordinal_count;
            DROP TABLE forget; DROP TABLE forget_trace; PRAGMA user_version = 5
            """)
        #expect(try StoreVerification.run(path: copy).findings.map(\.message) == [])
        #expect(try SpanHistory.reading(path: copy).segmentsNewestFirst().map(\.ordinalCount) == [3, 2, 1])
        let connection = try Connection(path: copy, access: .readOnly)
        #expect(try ForwardTables.backlog(from: 2, of: .traces, connection).count == 4)
        #expect(try ForgetTables.exist(connection) == false)
    }

    @Test func anOrdinalThatIsGivenTwiceIsFound() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...3 { try fixture.ingest(Batches.of([Batches.span(number, number)])) }
        try Connection(path: fixture.folder.databasePath, access: .readWrite).execute(
            "UPDATE segment SET first_ordinal = 1 WHERE id = 3")
        #expect(try !StoreVerification.run(folder: fixture.folder).isSound)
    }
}
