import OTLP
import OutboundHTTP
import TelemetryTesting
import Testing

@testable import Forwarding

@Suite struct DeliveryStateTests {
    private static let second: Int64 = 1_000_000_000
    private func later(_ after: Int64? = nil) -> DeliveryAnswer { .later(code: 503, afterNanoseconds: after, message: "busy") }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8])
    func waitsGrowStayBoundedAndEndWithTheFirstYes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var state = DeliveryState()
        var now: Int64 = 0
        var failures = 0
        for _ in 0..<400 {
            now = max(now, state.notBefore == .min ? now : state.notBefore)
            #expect(state.maySend(now: now))
            let chance = Double.random(in: 0..<1, using: &random)
            if Int.random(in: 0..<12, using: &random) == 0 {
                #expect(state.take(.accepted(rejected: 0, message: ""), count: 5, now: now, chance: chance) == .delivered(rejected: 0))
                failures = 0
                #expect(state.phase == .sending && state.maySend(now: now))
                continue
            }
            failures += 1
            #expect(state.take(later(), count: 5, now: now, chance: chance) == .again)
            let wait = state.notBefore - now
            let most = min(Double(Self.second) * Double(1 << min(failures - 1, 30)), 300e9)
            #expect(Double(wait) <= max(most, 10e9))
            #expect(failures < 5 ? abs(Double(wait) - most * chance) < 1_000 : wait >= 10 * Self.second)
            #expect(state.phase == (failures < 5 ? .waiting : .open))
            #expect(!state.maySend(now: state.notBefore - 1) || wait == 0)
        }
    }

    @Test func retryAfterRaisesAWaitAndNeverLowersIt() {
        var state = DeliveryState()
        _ = state.take(later(30 * Self.second), count: 1, now: 0, chance: 0.5)
        #expect(state.notBefore == 30 * Self.second)
        _ = state.take(later(0), count: 1, now: 0, chance: 0.5)
        #expect(state.notBefore == Self.second)
        // A day is not believed.
        _ = state.take(later(86_400 * Self.second), count: 1, now: 0, chance: 0)
        #expect(state.notBefore == 3_600 * Self.second)
        _ = state.take(later(.max), count: 1, now: .max - 5, chance: 0)
        #expect(state.notBefore == .max)
    }

    @Test func aCredentialThatIsNotKnownIsTriedAgainAtOnceWhenItChanged() {
        var state = DeliveryState()
        #expect(state.take(.unauthorized(code: 401, message: "who?"), count: 9, now: 0, chance: 0.9) == .again)
        #expect(state.phase == .unauthorized && state.notBefore == 30 * Self.second)
        state.credentialChanged()
        #expect(state.maySend(now: 0))
        _ = state.take(.accepted(rejected: 0, message: ""), count: 9, now: 0, chance: 0)
        #expect(state.phase == .sending)
        _ = state.take(later(), count: 1, now: 0, chance: 1)
        state.credentialChanged()
        #expect(!state.maySend(now: 0))
    }

    @Test func onlySoManyAreSetAsideInARow() {
        var state = DeliveryState()
        let no = DeliveryAnswer.refused(code: 400, message: "no")
        #expect(state.take(no, count: 8, now: 0, chance: 0) == .half)
        for _ in 0..<state.limits.refusalsInARowMax { #expect(state.take(no, count: 1, now: 0, chance: 0) == .aside(code: 400)) }
        #expect(state.take(no, count: 1, now: 0, chance: 0) == .again)
        #expect(state.phase == .refusing && !state.maySend(now: .max))
        state.begin()
        #expect(state.maySend(now: 0))
        #expect(state.take(.tooLarge(message: "413"), count: 1, now: 0, chance: 0) == .aside(code: 413))
        #expect(state.take(.accepted(rejected: 7, message: ""), count: 3, now: 0, chance: 0) == .delivered(rejected: 3))
    }

    @Test func answersAreReadByTheirCodes() {
        func read(_ status: Int, _ headers: [(String, String)] = [], _ body: [UInt8] = []) -> DeliveryAnswer {
            DeliveryAnswer(
                OutboundAnswer(status: status, headers: headers.map { (name: $0.0, value: $0.1) }, body: body),
                nowUnixNano: 1_000 * Self.second)
        }
        #expect(read(200) == .accepted(rejected: 0, message: ""))
        let partial = OTLPMessage.exportTraceServiceResponse(rejectedSpans: 3, errorMessage: "too old")
        #expect(read(200, [("content-type", "application/x-protobuf")], partial) == .accepted(rejected: 3, message: "too old"))
        #expect(read(200, [], partial) == .accepted(rejected: 3, message: "too old"))
        let json = Array(#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"no"}}"#.utf8)
        #expect(read(200, [("content-type", "application/json; charset=utf-8")], json) == .accepted(rejected: 2, message: "no"))
        let html = Array("<html>sign in</html>".utf8)
        for headers in [[("content-type", "text/html")], []] {
            guard case .later(200, nil, _) = read(200, headers, html) else {
                Issue.record("a page is no answer")
                continue
            }
        }
        for status in [408, 429, 500, 502, 503, 504, 599] {
            guard case .later(status, 7_000_000_000, _) = read(status, [("retry-after", "7")]) else {
                Issue.record("\(status)")
                continue
            }
        }
        for status in [401, 403] { guard case .unauthorized(status, _) = read(status) else { Issue.record("\(status)"); continue } }
        for status in [301, 404, 405, 415] { guard case .misdirected(status, _) = read(status) else { Issue.record("\(status)"); continue } }
        for status in [400, 409, 422, 451] { guard case .refused(status, _) = read(status) else { Issue.record("\(status)"); continue } }
        #expect(read(413) == .tooLarge(message: "HTTP 413"))
        #expect(read(400, [], Array("bad\nspan\u{7}".utf8)) == .refused(code: 400, message: "HTTP 400: badspan"))
    }

    @Test func retryAfterComesInTwoForms() {
        let now: Int64 = 784_111_000 * Self.second
        #expect(RetryAfter.nanoseconds("120", nowUnixNano: now) == 120 * Self.second)
        #expect(RetryAfter.nanoseconds("Sun, 06 Nov 1994 08:49:37 GMT", nowUnixNano: now) == 777 * Self.second)
        #expect(RetryAfter.nanoseconds("Sun, 06 Nov 1994 08:36:37 GMT", nowUnixNano: now) == 0)
        #expect(RetryAfter.nanoseconds("99999999999999999999999", nowUnixNano: now) == .max)
        for text in [nil, "", "soon", "-5", "1.5", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 6 Xyz 1994 08:49:37 GMT", "1 2 3 4 5 6"] {
            #expect(RetryAfter.nanoseconds(text, nowUnixNano: now) == nil)
        }
    }
}

@Suite struct BatchWindowTests {
    /// What a sender does with a window, against a target that takes no request with one of `poison` in it.
    private func deliver(_ total: Int, poison: Set<Int>, window: inout BatchWindow) -> (delivered: [Int], aside: [Int], requests: Int) {
        var next = 0
        var delivered: [Int] = []
        var aside: [Int] = []
        var requests = 0
        while next < total, requests < 100_000 {
            let batch = Array(next..<min(total, next + window.countMax))
            requests += 1
            if poison.isDisjoint(with: batch) {
                window.delivered(batch.count)
                delivered += batch
                next += batch.count
            } else if batch.count > 1 {
                window.halve(batch.count, isAboutSize: false)
            } else {
                window.setAside()
                aside += batch
                next += 1
            }
        }
        return (delivered, aside, requests)
    }

    @Test func onePoisonSpanAmongManyIsFoundByHalving() {
        for place in [0, 1, 4_095, 4_096, 20_000, 49_999] {
            var window = BatchWindow(most: 8_192)
            let result = deliver(50_000, poison: [place], window: &window)
            #expect(result.aside == [place])
            #expect(result.delivered == Array(0..<50_000).filter { $0 != place })
            #expect(result.requests < 60)
        }
    }

    @Test(arguments: 1...20)
    func whateverIsPoisonTheOthersGo(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        let total = Int.random(in: 1...3_000, using: &random)
        let poison = Set((0..<Int.random(in: 0...40, using: &random)).map { _ in Int.random(in: 0..<total, using: &random) })
        var window = BatchWindow(most: Int.random(in: 1...1_000, using: &random))
        let result = deliver(total, poison: poison, window: &window)
        #expect(result.aside == poison.sorted())
        #expect(result.delivered == (0..<total).filter { !poison.contains($0) })
        #expect(result.requests < 40 + total / window.most + 30 * (poison.count + 1))
    }

    @Test func aWindowThatWasTooLargeGrowsSlowly() {
        var window = BatchWindow(most: 1_000)
        window.halve(1_000, isAboutSize: true)
        #expect(window.countMax == 500)
        window.halve(500, isAboutSize: true)
        #expect(window.countMax == 250)
        for _ in 0..<15 { window.delivered(250) }
        #expect(window.countMax == 250)
        window.delivered(250)
        #expect(window.countMax == 500)
        for _ in 0..<40 { window.delivered(500) }
        #expect(window.countMax == 1_000)
        window.halve(1, isAboutSize: true)
        #expect(window.countMax == 1)
    }
}
