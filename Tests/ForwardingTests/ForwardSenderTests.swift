import Foundation
import OTLP
import OutboundHTTP
import PrometheusText
import SemanticColumns
import SpanStore
import TelemetryModel
import TelemetryTesting
import Testing

@testable import Forwarding

/// Every span that is stored reaches the target once, and in order, whatever happens on the way.
@Suite struct ForwardSenderTests {
    @Test func whatIsStoredIsSentInOrderAndInBatches() throws {
        let fixture = try ForwardFixture { $0.batchCount = 100 }
        for _ in 0..<25 { try fixture.ingest(37) }
        fixture.drain()
        #expect(fixture.hub.spans.count == 925)
        #expect(fixture.hub.requests.count == 10)
        #expect(fixture.hub.times.values.allSatisfy { $0 == 1 })
        let cursor = try fixture.cursor()
        #expect(cursor.nextOrdinal == 925 && cursor.sent == 925 && cursor.refused == 0 && cursor.lost == 0)
        #expect(try fixture.rows("SELECT count(*) FROM forward_flight") == [["0"]])
        // Every attribute came along, sorted by its key.
        #expect(fixture.hub.spans.values.allSatisfy { $0.hasSuffix(" a,b,é") })
        #expect(fixture.hub.requests[0].request.path == "/v1/traces")
    }

    @Test func aBatchIsCutByBytesAndWaitsForItsAge() throws {
        let fixture = try ForwardFixture { plan in
            plan.batchBytes = 100_000
            plan.batchAgeNanoseconds = 5_000_000_000
        }
        try fixture.ingest(30) { span, _ in span.attributes.append("text", .string(String(repeating: "x", count: 10_000))) }
        #expect(fixture.sender.step() == .worked)
        #expect(fixture.hub.requests[0].body.count < 110_000)
        fixture.drain()
        #expect(fixture.hub.spans.count == 30)
        try fixture.ingest(1)
        guard case .idle = fixture.sender.step() else {
            Issue.record("it did not wait")
            return
        }
        fixture.clock.now += 5_000_000_000
        #expect(fixture.sender.step() == .worked)
        #expect(fixture.hub.spans.count == 31)
        // One that is larger than a batch goes alone.
        try fixture.ingest(2) { span, _ in span.attributes.append("text", .string(String(repeating: "y", count: 300_000))) }
        fixture.drain()
        #expect(fixture.hub.spans.count == 33)
    }

    @Test(arguments: 1...6)
    func afterFailuresKillsAndMergesEachIsThereOnceWithTheSameBytes(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let fixture = try ForwardFixture { plan in
            plan.batchCount = 60
            plan.compression = Bool.random(using: &random) ? .gzip : .zstd
        }
        var sent: Set<UInt64> = []
        var moves = SplitMix64(seed: UInt64(seed) &+ 77)
        fixture.hub.script = { _, _ in
            switch Int.random(in: 0..<6, using: &moves) {
            case 0: .cut
            case 1: .takeAndCut
            case 2: .answer(503, [(name: "retry-after", value: "2")])
            default: .answer(200)
            }
        }
        for _ in 0..<40 {
            switch Int.random(in: 0..<6, using: &random) {
            case 0...2: sent.formUnion(try fixture.ingest(Int.random(in: 1...90, using: &random)))
            case 3: try fixture.merge()
            case 4: try fixture.restart(opensStore: Bool.random(using: &random))
            default: break
            }
            for _ in 0..<Int.random(in: 0...4, using: &random) { _ = fixture.sender.step() }
            fixture.clock.now += Int64.random(in: 0...20_000_000_000, using: &random)
        }
        fixture.hub.script = nil
        fixture.drain()
        #expect(Set(fixture.hub.spans.keys) == sent)
        #expect(fixture.hub.conflicts.isEmpty)
        let cursor = try fixture.cursor()
        #expect(cursor.nextOrdinal == Int64(sent.count) && cursor.lost == 0 && cursor.sent == Int64(sent.count))
        // What went again was the request before, byte for byte.
        var bodies: [Data: Int] = [:]
        for (_, body) in fixture.hub.requests { bodies[Data(body), default: 0] += 1 }
        #expect(bodies.keys.count < fixture.hub.requests.count)
        var seen: [UInt64: Data] = [:]
        for (_, body) in fixture.hub.requests {
            for span in try TraceDecoder().decode(body).spans {
                #expect(seen[span.spanID.value] ?? Data(body) == Data(body))
                seen[span.spanID.value] = Data(body)
            }
        }
    }

    @Test func onePoisonSpanIsSetAsideWithItsReasonAndTheOthersGo() throws {
        let fixture = try ForwardFixture()
        let ids = try fixture.ingest(3_000)
        let poison = ids[1_234]
        fixture.hub.script = { _, ids in
            ids.contains(poison) ? .answer(400, [], Array("attribute too odd".utf8)) : .answer(200)
        }
        fixture.drain()
        #expect(fixture.hub.spans.count == 2_999 && fixture.hub.spans[poison] == nil)
        let cursor = try fixture.cursor()
        #expect(cursor.nextOrdinal == 3_000 && cursor.sent == 2_999 && cursor.refused == 1)
        #expect(
            try fixture.rows("SELECT target, signal, ordinal, count, span_id, code, message FROM forward_refused")
                == [["hub", "traces", "1234", "1", SpanID(poison).hexadecimal, "400", "HTTP 400: attribute too odd"]])
        #expect(fixture.hub.requests.count < 40)
    }

    @Test func aTargetThatTakesNothingStopsBeforeMuchIsSetAside() throws {
        let fixture = try ForwardFixture()
        try fixture.ingest(500)
        fixture.hub.script = { _, _ in .answer(422) }
        fixture.drain()
        var cursor = try fixture.cursor()
        #expect(cursor.state == "refusing" && cursor.refused == 64 && cursor.nextOrdinal == 64)
        fixture.hub.script = nil
        fixture.drain()
        #expect(fixture.hub.spans.isEmpty)
        try fixture.order(.resume(target: "hub"))
        fixture.drain()
        cursor = try fixture.cursor()
        #expect(fixture.hub.spans.count == 436 && cursor.state == "sending" && cursor.nextOrdinal == 500)
        try fixture.order(.replay(target: "hub", signal: .traces, from: 0))
        fixture.drain()
        #expect(fixture.hub.spans.count == 500)
    }

    @Test func tooLargeHalvesTheRequests() throws {
        let fixture = try ForwardFixture { $0.batchCount = 1_000 }
        try fixture.ingest(2_000)
        fixture.hub.script = { _, ids in ids.count > 100 ? .answer(413) : .answer(200) }
        fixture.drain()
        #expect(fixture.hub.spans.count == 2_000)
        #expect(try fixture.cursor().refused == 0)
    }

    @Test func partialSuccessIsNotSentAgain() throws {
        let fixture = try ForwardFixture()
        try fixture.ingest(10)
        fixture.hub.script = { _, _ in
            .answer(
                200, [(name: "content-type", value: "application/x-protobuf")],
                OTLPMessage.exportTraceServiceResponse(rejectedSpans: 4, errorMessage: "too old"))
        }
        fixture.drain()
        let cursor = try fixture.cursor()
        #expect(fixture.hub.requests.count == 1 && cursor.sent == 6 && cursor.refused == 4)
        #expect(try fixture.rows("SELECT count, code, message FROM forward_refused") == [["4", "200", "4 of 10 were not taken: too old"]])
    }

    @Test func aPageInPlaceOfAnAnswerIsNoDelivery() throws {
        let fixture = try ForwardFixture()
        try fixture.ingest(10)
        fixture.hub.script = { _, _ in .answer(200, [(name: "content-type", value: "text/html")], Array("<html>".utf8)) }
        fixture.drain(steps: 60)
        #expect(try fixture.cursor().nextOrdinal == 0)
        #expect(fixture.hub.requests.count > 3)
        fixture.hub.script = nil
        fixture.drain()
        #expect(fixture.hub.spans.count == 10)
    }

    @Test func aTokenFileIsReadAgainAndA401Heals() throws {
        let path = NSTemporaryDirectory() + "token-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("old\n".utf8).write(to: URL(fileURLWithPath: path))
        let fixture = try ForwardFixture { $0.tokenFile = path }
        try fixture.ingest(10)
        fixture.hub.script = { request, _ in
            request.headers.contains { $0.name == "Authorization" && $0.value == "Bearer new" } ? .answer(200) : .answer(401)
        }
        fixture.clock.now += 2_000_000_000
        _ = fixture.sender.step()
        #expect(try fixture.cursor().state == "unauthorized")
        _ = fixture.sender.step()
        #expect(fixture.hub.requests.count == 1)
        try Data("new".utf8).write(to: URL(fileURLWithPath: path))
        #expect(fixture.sender.step() == .worked)
        #expect(fixture.hub.spans.count == 10)
        // A file that is no token stops what it would go with, and no more.
        try Data("two words".utf8).write(to: URL(fileURLWithPath: path))
        try fixture.ingest(10)
        fixture.drain(steps: 50)
        #expect(fixture.hub.spans.count == 10)
        #expect(try fixture.cursor().message.contains("holds no token"))
    }

    @Test func whatRetentionTookIsCountedAsLost() throws {
        let fixture = try ForwardFixture { $0.batchCount = 100 }
        try fixture.ingest(50)
        fixture.hub.script = { _, _ in .cut }
        fixture.drain(steps: 30)
        for _ in 0..<5 { try fixture.ingest(50) }
        let retention = try SegmentRetention(fixture.store.maintenance())
        var limits = RetentionLimits()
        limits.age = 500_000
        try retention.run(limits, nowUnixNano: fixture.clock.now)
        #expect(try fixture.store.storedSpans == 50)
        fixture.hub.script = nil
        fixture.drain()
        let cursor = try fixture.cursor()
        #expect(cursor.lost == 250 && cursor.sent == 50 && cursor.nextOrdinal == 300)
        #expect(fixture.hub.spans.count == 50)
        #expect(
            fixture.registry.families().first { $0.name == "fusebox_forward_spans_total" }?.samples
                .contains { $0.labels.contains("lost") && $0.value == .integer(250) } == true)
    }

    @Test func retentionWaitsForATargetThatHolds() throws {
        let fixture = try ForwardFixture { $0.holds = true }
        for _ in 0..<5 { try fixture.ingest(50) }
        let retention = try SegmentRetention(fixture.store.maintenance())
        var limits = RetentionLimits()
        limits.age = 1
        limits.bytes = 1
        try retention.run(limits, nowUnixNano: fixture.clock.now + 1_000_000_000)
        #expect(try fixture.store.storedSpans == 250 && retention.holdingTargets == ["hub"])
        fixture.drain()
        try retention.run(limits, nowUnixNano: fixture.clock.now + 1_000_000_000)
        #expect(try fixture.store.storedSpans == 0 && retention.holdingTargets.isEmpty)
        #expect(fixture.hub.spans.count == 250)
        // A target that is not configured any more holds nothing.
        fixture.hub.script = { _, _ in .cut }
        try fixture.ingest(5)
        try Forwarder.end(source: fixture.store.forwardSource, nowUnixNano: 0)
        try retention.run(limits, nowUnixNano: fixture.clock.now + 1_000_000_000)
        #expect(try fixture.store.storedSpans == 0)
    }

    @Test func pausedIsPaused() throws {
        let fixture = try ForwardFixture()
        try fixture.order(.pause(target: "hub"))
        try fixture.ingest(10)
        fixture.drain(steps: 60)
        #expect(fixture.hub.requests.isEmpty)
        #expect(try fixture.cursor().state == "paused")
        try fixture.order(.resume(target: "hub"))
        fixture.drain()
        #expect(fixture.hub.spans.count == 10)
    }

    @Test func logRecordsGoTooAndTheSpansMadeOfThemOnlyWithoutThem() throws {
        #expect(Cargo.toldByLogKey == LogCalls.markKey)
        for signals in [[ForwardSignal.traces, .logs], [.traces]] {
            let fixture = try ForwardFixture { $0.signals = signals }
            for number in 0..<40 {
                var batch = LogBatch(bytes: Array("body \(number)".utf8))
                batch.resources = [ResourceRecord()]
                batch.scopes = [ScopeRecord()]
                for place in 0..<3 {
                    var record = LogRecord()
                    record.timeUnixNano = Int64(number * 3 + place + 1)
                    record.body = AttributeRecord(key: 0, kind: .string, slice: ByteSlice(offset: 0, count: UInt32(batch.bytes.count)))
                    batch.records.append(record)
                }
                try fixture.commit(batch)
                try fixture.ingest(2) { span, index in
                    if index == 1 { span.attributes.append(LogCalls.markKey, .int(1)) }
                }
            }
            try fixture.merge()
            fixture.drain()
            #expect(fixture.hub.spans.count == (signals.count == 2 ? 40 : 80))
            #expect(try fixture.cursor().nextOrdinal == 80)
            let expected = (0..<120).map { "\($0 + 1) body \($0 / 3)" }
            #expect(fixture.hub.records == (signals.count == 2 ? expected : []))
        }
    }

    @Test func aRateIsKept() throws {
        let fixture = try ForwardFixture { plan in
            plan.batchCount = 10
            plan.countPerSecond = 10
        }
        try fixture.ingest(100)
        let start = fixture.clock.now
        fixture.clock.now += 2_000_000_000
        while fixture.hub.spans.count < 100 {
            if case .idle(let nanoseconds) = fixture.sender.step() { fixture.clock.now += nanoseconds }
        }
        #expect(fixture.clock.now - start >= 9_000_000_000)
    }

    @Test func theBudgetIsWhatRetentionLeaves() {
        var limits = RetentionLimits()
        limits.age = 3_600_000_000_000
        limits.bytes = 1_000
        #expect(ForwardBudget.seconds(limits, lagSeconds: 600, storedBytes: 100) == 3_000)
        #expect(ForwardBudget.seconds(limits, lagSeconds: 600, storedBytes: 800) == 150)
        #expect(ForwardBudget.seconds(limits, lagSeconds: 0, storedBytes: 900) == 3_600)
        limits.age = nil
        limits.bytes = nil
        #expect(ForwardBudget.seconds(limits, lagSeconds: 600, storedBytes: 100) == .infinity)
    }
}
