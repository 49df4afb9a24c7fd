import Dispatch
import SQLite
import StoreTesting
import Synchronization
import TelemetryModel
import TelemetryTesting
import Testing

@testable import SpanStore

/// The checkpointer on a real file, with limits so low that a few commits reach them.
@Suite struct CheckpointerTests {
    private static func policy(questions: Duration = .seconds(20), commits: Duration = .seconds(20)) -> CheckpointPolicy {
        var limits = CheckpointPolicy.Limits()
        limits.bytesToCopy = 64 << 10
        limits.bytesToRestart = 128 << 10
        limits.heldBytesMax = 64 << 20
        limits.patience = [(0, .init(questions: questions, commits: commits))]
        return CheckpointPolicy(limits: limits)
    }

    /// Commits as often as it takes for a log of more bytes than start over.
    private func fill(_ fixture: StoreFixture, from first: UInt64 = 1) throws {
        for number in first..<first + 40 {
            try fixture.ingest(Batches.of((0..<10).map { Batches.span(number, $0 + 1, ["text": .string("\(number) \($0)")]) }))
        }
    }

    /// Reads for ever: begins a new snapshot before it ends the one before, so that there is always one.
    private final class OverlappingReaders: Sendable {
        private let isStopping = Atomic(false)
        private let finished = DispatchSemaphore(value: 0)
        private let rounds = Atomic(0)

        init(_ path: String) throws {
            let connections = try (0..<2).map { _ in try Connection(path: path, access: .readOnly) }
            try Self.begin(connections[0])
            DispatchQueue(label: "overlapping readers").async { [self] in
                while !isStopping.load(ordering: .acquiring) {
                    for (next, last) in [(1, 0), (0, 1)] {
                        try? Self.begin(connections[next])
                        try? connections[last].execute("COMMIT")
                    }
                    rounds.add(1, ordering: .relaxed)
                }
                finished.signal()
            }
        }

        private static func begin(_ connection: Connection) throws {
            try connection.execute("BEGIN")
            _ = try connection.integer("SELECT count(*) FROM segment")
        }

        func stop() -> Int {
            isStopping.store(true, ordering: .releasing)
            finished.wait()
            return rounds.load(ordering: .relaxed)
        }
    }

    @Test func withoutReadersTheLogStartsOverAtOnce() throws {
        let fixture = try StoreFixture()
        let checkpointer = try Checkpointer(folder: fixture.folder, gate: fixture.gate, policy: Self.policy())
        try fill(fixture)
        let bytes = fixture.folder.logBytes
        #expect(bytes > 256 << 10)
        #expect(try checkpointer.runIfNeeded() == .startedOver)
        #expect(try checkpointer.runIfNeeded() == .idle)
        try fixture.ingest(Batches.of([Batches.span(900, 1)]))
        #expect(fixture.folder.logBytes == bytes)
    }

    @Test func aLogThatIsAsLongAgainStartsOverAgain() throws {
        let fixture = try StoreFixture()
        let checkpointer = try Checkpointer(folder: fixture.folder, gate: fixture.gate, policy: Self.policy())
        for round: UInt64 in 1...4 {
            try fill(fixture, from: 1000 * round)
            #expect(try checkpointer.runIfNeeded() == .startedOver)
            #expect(try checkpointer.runIfNeeded() == .idle)
        }
    }

    @Test func readersThatOverlapForEverDoNotKeepTheLogFromStartingOver() throws {
        let fixture = try StoreFixture()
        let checkpointer = try Checkpointer(folder: fixture.folder, gate: fixture.gate, policy: Self.policy())
        let readers = try OverlappingReaders(fixture.folder.databasePath)
        try fill(fixture)
        let bytes = fixture.folder.logBytes
        for round in 1...5 {
            #expect(try checkpointer.runIfNeeded() == .startedOver)
            // As much again goes into the same file.
            try fill(fixture, from: UInt64(1000 * round))
            #expect(fixture.folder.logBytes < bytes * 5 / 4)
        }
        #expect(readers.stop() > 0)
    }

    @Test func questionsOfThisProcessThatOverlapForEverAreHeldBackAndCommitsAreNot() throws {
        let fixture = try StoreFixture()
        let turns = ReadingTurns()
        // Commits are never held: questions alone have to give way.
        let checkpointer = try Checkpointer(
            folder: fixture.folder, gate: fixture.gate, turns: turns, policy: Self.policy(commits: .zero))
        try fill(fixture)
        let isStopping = Atomic(false)
        let path = fixture.folder.databasePath
        let pollers = DispatchGroup()
        for number in 0..<3 {
            DispatchQueue(label: "poller \(number)").async(group: pollers) {
                guard let connection = try? Connection(path: path, access: .readOnly) else { return }
                while !isStopping.load(ordering: .acquiring) {
                    turns.whileReading { _ = try? connection.integer("SELECT count(*), max(length(data)) FROM segment_stream") }
                }
            }
        }
        #expect(try checkpointer.runIfNeeded() == .startedOver)
        isStopping.store(true, ordering: .releasing)
        pollers.wait()
        #expect(turns.active == 0)
    }

    @Test func readersThatStandBehindAreEndedAndCommitsDoNotWait() throws {
        let fixture = try StoreFixture()
        let turns = ReadingTurns()
        let checkpointer = try Checkpointer(
            folder: fixture.folder, gate: fixture.gate, turns: turns, policy: Self.policy(questions: .milliseconds(1), commits: .zero))
        let path = fixture.folder.databasePath
        let (reads, ended) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let reader = DispatchGroup()
        DispatchQueue(label: "behind").async(group: reader) {
            turns.whileReadingBehind { noteEnd in
                guard let connection = try? Connection(path: path, access: .readOnly) else { return }
                try? connection.execute("BEGIN")
                _ = try? connection.integer("SELECT count(*) FROM segment")
                noteEnd { ended.signal() }
                reads.signal()
                ended.wait()
                try? connection.execute("COMMIT")
            }
        }
        reads.wait()
        try fill(fixture)
        #expect(try checkpointer.runIfNeeded() == .startedOver)
        reader.wait()
        #expect(turns.active == 0 && !turns.endThoseBehind())
    }

    @Test func aReaderThatStaysIsToldAndCostsNothingAfterwards() throws {
        let fixture = try StoreFixture()
        let checkpointer = try Checkpointer(
            folder: fixture.folder, gate: fixture.gate, policy: Self.policy(questions: .milliseconds(1), commits: .milliseconds(1)))
        let reader = try Connection(path: fixture.folder.databasePath, access: .readOnly)
        try reader.execute("BEGIN")
        _ = try reader.integer("SELECT count(*) FROM segment")
        try fill(fixture)
        #expect(try checkpointer.runIfNeeded() == .busy)
        #expect(checkpointer.heldFor != nil)
        #expect(try checkpointer.runIfNeeded() == .busy)
        try reader.execute("COMMIT")
        #expect(try checkpointer.runIfNeeded() == .startedOver)
        #expect(checkpointer.heldFor == nil)
    }
}
