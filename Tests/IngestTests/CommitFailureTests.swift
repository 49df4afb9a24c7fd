import Derivations
import Foundation
import OTLP
import PrometheusText
import SQLite
import SemanticColumns
import SpanStore
import StoreSQL
import TelemetryModel
import Testing

@testable import Ingest

/// A commit that fails while the next group is gathered: nothing is acknowledged that is not stored, and nothing is counted twice.
@Suite struct CommitFailureTests {
    private let folder = StoreFolder(path: NSTemporaryDirectory() + "fusebox-tests-\(UUID().uuidString)")
    private let now: Int64 = 1_795_242_900_000_000_000

    /// Spans of a tool call each, numbered from `first`.
    private func batch(_ first: Int, _ count: Int = 10) -> SpanBatch {
        var builder = SpanBatchBuilder()
        builder.beginResource(["service.name": "agent"])
        builder.beginScope(name: "tests")
        for number in first..<first + count {
            var span = SpanDescription(traceID: TraceID(high: 1, low: UInt64(number)), spanID: SpanID(UInt64(number)), name: "call")
            span.startTimeUnixNano = now - 2_000_000
            span.endTimeUnixNano = now - 1_000_000
            span.attributes = ["tool_name": "search"]
            builder.append(span)
        }
        return builder.batch
    }

    private func calls(_ state: WriterState) -> String? {
        let text = String(decoding: ExpositionEncoder.encode(state.derivations.view.collect(at: now), as: .text004), as: UTF8.self)
        return text.split(separator: "\n").first { $0.hasPrefix("agent_tool_calls_total{") && $0.contains("outcome=\"ok\"") }
            .flatMap { $0.split(separator: " ").last }.map(String.init)
    }

    @Test func bothGroupsAreGivenUpAndTheNextOneCountsFromTheStore() throws {
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        let store = try SpanStore(folder: folder, gate: CommitGate())
        let lane = DirectLane(store)
        let state = try WriterState(store, lane: lane, policy: FusePolicy())
        let (kept, failed, behind) = (Answer(), Answer(), Answer())
        state.store(kept.request(batch(1)), now: Moment(steady: now))
        state.drain()
        #expect(try kept.result?.get().accepted == 10)

        lane.isHolding = true
        lane.failure = .setting("the disk is gone")
        state.store(failed.request(batch(100)), now: Moment(steady: now))
        state.handOverIfFree()
        #expect(failed.result == nil)
        state.store(behind.request(batch(200)), now: Moment(steady: now))
        state.handOverIfFree()
        #expect(behind.result == nil)
        state.drain()
        for answer in [failed, behind] {
            guard case .failure(.store) = answer.result else {
                Issue.record("acknowledged without a commit")
                continue
            }
        }
        #expect(calls(state) == "10")
        #expect(state.lastCommitFailed)

        lane.failure = nil
        lane.isHolding = false
        let again = Answer()
        state.store(again.request(batch(100)), now: Moment(steady: now))
        state.drain()
        #expect(try again.result?.get().accepted == 10)
        #expect(calls(state) == "20")
        #expect(try SQLReader(folder: folder).connection.integer("SELECT count(*) FROM spans") == 20)
    }

    @Test func aSpanThatComesAgainWhileItsGroupIsCommittedIsADuplicate() throws {
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        let store = try SpanStore(folder: folder, gate: CommitGate())
        let lane = DirectLane(store)
        lane.isHolding = true
        let state = try WriterState(store, lane: lane, policy: FusePolicy())
        let (first, second) = (Answer(), Answer())
        state.store(first.request(batch(1)), now: Moment(steady: now))
        state.handOverIfFree()
        state.store(second.request(batch(6)), now: Moment(steady: now))
        state.drain()
        #expect(try first.result?.get().accepted == 10)
        let result = try #require(try second.result?.get())
        #expect((result.accepted, result.duplicates) == (5, 5))
        #expect(calls(state) == "15")
        #expect(try SQLReader(folder: folder).connection.integer("SELECT count(*) FROM spans") == 15)
    }
}
