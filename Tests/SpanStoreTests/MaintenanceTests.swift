import Foundation
import SQLite
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import SpanStore

/// Checking, copying and dropping, on small stores.
@Suite struct MaintenanceTests {
    private static func filled(segments: Int) throws -> StoreFixture {
        let fixture = try StoreFixture()
        for number in 0..<segments {
            let start = Int64(number) * 1_000_000
            let spans = (0..<4).map { Batches.span(UInt64(number + 1), UInt64(number * 4 + $0 + 1), start: start) }
            try fixture.ingest(Batches.of(spans))
        }
        return fixture
    }

    private static func change(_ fixture: StoreFixture, _ sql: String) throws {
        try Connection(path: fixture.folder.databasePath, access: .readWrite).execute(sql)
    }

    @Test func aStoreAsItWasWrittenIsSound() throws {
        let fixture = try Self.filled(segments: 3)
        var shown: [Int64] = []
        let report = try StoreVerification.run(folder: fixture.folder) { done, total in
            shown.append(done)
            #expect(total == 3)
        }
        #expect(report.findings == [])
        #expect((report.segments, report.spans) == (3, 12))
        #expect(shown == [1, 2, 3])
    }

    @Test func aDamagedStreamIsFoundWithTheTimesOfItsSpans() throws {
        let fixture = try Self.filled(segments: 3)
        try Self.change(fixture, "UPDATE segment_stream SET data = zeroblob(30) WHERE id = 2 * 4096")
        let report = try StoreVerification.run(folder: fixture.folder)
        #expect(report.findingCount == 1)
        #expect(report.findings.first?.segmentID == 2)
        #expect(report.findings.first?.startUnixNano == 1_000_000...1_000_000)
    }

    @Test(arguments: [
        "UPDATE segment SET span_count = 5 WHERE id = 1", "UPDATE segment SET end_max = end_max + 1 WHERE id = 1",
        "UPDATE segment SET received_min = 0 WHERE id = 1", "UPDATE segment SET stored_bytes = 7 WHERE id = 1",
        "UPDATE segment SET trace_filter = x'00000000' WHERE id = 1", "DELETE FROM segment_stream WHERE id = 4096",
        "DELETE FROM segment WHERE id = 1", "INSERT INTO segment_stream VALUES (5, x'00')",
    ])
    func aCountThatIsNotTrueIsFound(change: String) throws {
        let fixture = try Self.filled(segments: 2)
        try Self.change(fixture, change)
        #expect(try !StoreVerification.run(folder: fixture.folder).isSound)
    }

    @Test func aRowOfACounterIsHeldAgainstItsChecksum() throws {
        let fixture = try StoreFixture()
        var rows = DerivationRows()
        for id in 0..<3 {
            rows.counters.append(CounterRow(id: id, family: "f", labels: "a=\"\(id)\"", value: 0, createdUnixNano: 5))
        }
        try fixture.commit(rows)
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        try Self.change(fixture, "UPDATE counter SET labels = 'a=\"9\"' WHERE id = 1")
        let report = try StoreVerification.run(folder: fixture.folder)
        #expect(report.findings.map(\.message) == ["1 rows of the table counter are damaged: their checksums are wrong"])
    }

    /// Neighbouring values must not stand in for each other, zero and NULL included.
    @Test func rowChecksumsDiffer() throws {
        let connection = try Connection(path: ":memory:", access: .memory)
        try RowChecksum.register(on: connection)
        let rows = [
            "0", "1", "NULL", "''", "'0'", "x''", "x'30'", "0.0", "0, 0", "0, NULL", "NULL, 0", "'a', 'b'", "'ab', ''",
            "'b', 'a'", "1, 0",
            "0, 1",
        ]
        let sums = try rows.map { try connection.integer("SELECT row_checksum(\($0))") }
        #expect(Set(sums).count == rows.count)
    }

    @Test func aBackupIsTheStoreAndOverwritesNothing() throws {
        let fixture = try Self.filled(segments: 2)
        let target = fixture.folder.path + "/copy.db"
        try StoreBackup.run(folder: fixture.folder, to: target)
        let report = try StoreVerification.run(path: target)
        #expect(report.isSound && report.spans == 8)
        #expect(throws: StoreError.self) { try StoreBackup.run(folder: fixture.folder, to: target) }
        #expect(try SpanHistory.reading(path: target).segmentsNewestFirst().count == 2)
    }

    private static func drop(_ fixture: StoreFixture, _ bound: Int64) throws -> SegmentRetention.Removed {
        try SegmentRetention(#require(fixture.store).maintenance())
            .dropSegments(endedAtOrBefore: bound, nowUnixNano: .max)
    }

    @Test func droppedSegmentsAreGoneAndTheirSpansRefused() throws {
        let fixture = try Self.filled(segments: 3)
        let dropped = try Self.drop(fixture, 1_000_500)
        #expect((dropped.segments, dropped.spans) == (2, 8))
        #expect(try fixture.sql("SELECT count(*), min(start_time_unix_nano) FROM spans") == [["4", "2000000"]])
        #expect(fixture.store?.ledger.retentionFloorUnixNano == 1_000_500)
        #expect(fixture.store?.storedSpans == 4)
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        try fixture.reopen()
        #expect(fixture.store?.ledger.retentionFloorUnixNano == 1_000_500)
        #expect(fixture.store?.lostCommits == nil)
    }

    @Test func droppingEverythingIsNoLoss() throws {
        let fixture = try Self.filled(segments: 2)
        _ = try Self.drop(fixture, .max)
        try fixture.reopen()
        #expect(fixture.store?.lostCommits == nil)
    }

    @Test func commitsThatAreMissingAreTold() throws {
        let fixture = try Self.filled(segments: 2)
        try Self.change(fixture, "DELETE FROM segment WHERE id = 2; DELETE FROM segment_stream WHERE id >= 2 * 4096")
        try fixture.reopen()
        #expect(fixture.store?.lostCommits != nil)
        #expect(try !StoreVerification.run(folder: fixture.folder).isSound)
    }
}
