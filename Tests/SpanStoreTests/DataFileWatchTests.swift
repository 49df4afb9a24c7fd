import Foundation
import StoreSQL
import StoreTesting
import TelemetryTesting
import Testing

@testable import SpanStore

/// A commit into a file that is not where it was is none.
@Suite struct DataFileWatchTests {
    private func problem(_ body: () throws -> Void) -> DataFileProblem.What? {
        do {
            try body()
            return nil
        } catch StoreError.dataFile(let problem) {
            return problem.what
        } catch {
            Issue.record("another error: \(error)")
            return nil
        }
    }

    private func move(_ from: String, _ to: String) throws {
        try FileManager.default.moveItem(atPath: from, toPath: to)
    }

    @Test(arguments: ["", "-wal", "-shm"]) func aCommitIntoAFileThatIsGoneIsRolledBackAndTold(_ suffix: String) throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of([Batches.span(1, 1)]))
        let path = fixture.folder.databasePath + suffix
        try move(path, path + ".away")
        try fixture.add(Batches.of([Batches.span(2, 1)]))
        #expect(problem { try fixture.commit() } == .gone)
        #expect(fixture.store?.storedSpans == 1)
        // It comes back, with nothing written to it meanwhile; the fixture still has what was not committed.
        try move(path + ".away", path)
        try fixture.add(Batches.of([Batches.span(3, 1)]))
        #expect(problem { try fixture.commit() } == nil)
        #expect(try fixture.sql("SELECT trace_id FROM spans ORDER BY 1").count == 3)
    }

    @Test func aCommitOfNothingIsToldToo() throws {
        let fixture = try StoreFixture()
        let path = fixture.folder.databasePath
        try move(path, path + ".away")
        #expect(problem { try fixture.store?.commit(nil, DerivationRows(), nowUnixNano: 1) } == .gone)
        try move(path + ".away", path)
    }

    @Test func aCopyInItsPlaceIsAnotherFile() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of([Batches.span(1, 1)]))
        let path = fixture.folder.databasePath
        try move(path, path + ".away")
        try FileManager.default.copyItem(atPath: path + ".away", toPath: path)
        try fixture.add(Batches.of([Batches.span(2, 1)]))
        #expect(problem { try fixture.commit() } == .replaced)
    }

    /// Reading it would make the log's index anew below the connections that are there, and end the process.
    @Test func aCopyInItsPlaceIsNotOpenedBesideTheFileThatIs() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of([Batches.span(1, 1)]))
        let path = fixture.folder.databasePath
        try FileManager.default.copyItem(atPath: path, toPath: path + ".copy")
        #expect(rename(path + ".copy", path) == 0)
        for _ in 0..<3 {
            #expect(throws: StoreError.self) { try SQLReader(folder: fixture.folder) }
            try fixture.add(Batches.of([Batches.span(2, 1)]))
            #expect(problem { try fixture.commit() } == .replaced)
        }
    }

    @Test func aSecondNameIsToldForAsLongAsItIsThere() throws {
        let fixture = try StoreFixture()
        let path = fixture.folder.databasePath
        try FileManager.default.linkItem(atPath: path, toPath: path + ".second")
        try fixture.add(Batches.of([Batches.span(2, 1)]))
        #expect(problem { try fixture.commit() } == .hardLinked(names: 2))
        #expect(problem { try DataFileWatch.checkBeforeOpening(fixture.folder) } == .hardLinked(names: 2))
        try FileManager.default.removeItem(atPath: path + ".second")
        #expect(fixture.store?.files.look() == nil)
    }

    @Test func aLockFileThatIsRemovedIsMadeAgainAndHeld() throws {
        let fixture = try StoreFixture()
        try FileManager.default.removeItem(atPath: fixture.folder.lockPath)
        #expect(fixture.store?.files.look() == nil)
        #expect(throws: StoreError.self) { try SpanStore(folder: fixture.folder, gate: CommitGate()) }
    }

    @Test func aLockThatAnotherProcessWasFasterToTakeIsTold() throws {
        let fixture = try StoreFixture()
        try FileManager.default.removeItem(atPath: fixture.folder.lockPath)
        let other = try StoreLock(fixture.folder)
        #expect(fixture.store?.files.look()?.what == .taken)
        withExtendedLifetime(other) {}
    }
}
