import Derivations
import Foundation
import SpanStore
import TelemetryModel
import Testing

@testable import Ingest

/// What is shown is what is committed, and is there to be read while a commit is not.
@Suite struct SnapshotBoardTests {
    private let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
    private let now: Int64 = 1_795_242_900_000_000_000

    private func batch(_ first: Int) -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": "agent"])
        builder.beginScope(name: "tests")
        for number in first..<first + 10 {
            let identity = UInt64(number)
            var span = SpanDescription(traceID: TraceID(high: 1, low: identity), spanID: SpanID(identity), name: "call")
            span.startTimeUnixNano = now - 2_000_000
            span.endTimeUnixNano = now - 1_000_000
            span.attributes = ["tool_name": "search"]
            builder.append(span)
        }
        return builder.batch
    }

    @Test func whatIsUnderWayIsShownOnceItIsDurable() throws {
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        let store = try SpanStore(folder: folder, gate: CommitGate())
        let board = SnapshotBoard(SpanDerivations(policy: FusePolicy()).view)
        let lane = DirectLane(store, board: board)
        let state = try WriterState(store, lane: lane, policy: FusePolicy(), board: board)
        func take(_ first: Int, after seconds: Int64) {
            let moment = Moment(steady: now + seconds * 1_000_000_000)
            state.store(Answer().request(batch(first)), now: moment)
            state.handOverIfFree()
        }
        #expect(board.want())
        take(1, after: 0)
        #expect(board.shown.derivations.arrivals == 10)
        #expect(board.shown.isNewest)

        // Nobody asks, and the last one is young: the next commit is not shown until somebody does.
        take(100, after: 1)
        #expect(board.shown.derivations.arrivals == 10)
        #expect(!board.shown.isNewest)
        #expect(board.want())
        state.showIfWanted()
        #expect(board.shown.derivations.arrivals == 20 && board.shown.isNewest)

        lane.isHolding = true
        #expect(board.want())
        take(200, after: 2)
        state.showIfWanted()
        #expect(board.shown.derivations.arrivals == 20, "its commit is not durable")
        state.drain()
        #expect(board.shown.derivations.arrivals == 30 && board.shown.isNewest)

        lane.failure = .setting("the disk is gone")
        #expect(board.want())
        take(300, after: 3)
        state.drain()
        state.showIfWanted()
        #expect(board.shown.derivations.arrivals == 30 && board.shown.isNewest)
    }

    @Test func aCommitThatFailsIsTheReasonUntilOneSucceeds() throws {
        let board = SnapshotBoard(SpanDerivations(policy: FusePolicy()).view)
        #expect(board.trouble == nil)
        board.begin()
        #expect(board.trouble == nil)
        board.fail("the disk is full")
        #expect(board.trouble?.contains("the disk is full") == true)
        board.begin()
        board.succeed(number: nil, nil)
        #expect(board.trouble == nil)
    }

    @Test func aSnapshotIsTakenNowAndThenThoughNobodyAsks() throws {
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        let store = try SpanStore(folder: folder, gate: CommitGate())
        let board = SnapshotBoard(SpanDerivations(policy: FusePolicy()).view)
        let state = try WriterState(store, lane: DirectLane(store, board: board), policy: FusePolicy(), board: board)
        for second in 0..<12 {
            state.store(Answer().request(batch(100 * (second + 1))), now: Moment(steady: now + Int64(second) * 1_000_000_000))
            state.handOverIfFree()
        }
        #expect(board.shown.derivations.arrivals == 110, "ten seconds after the first one")
    }
}
