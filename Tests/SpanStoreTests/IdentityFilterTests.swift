import TelemetryModel
import Testing

@testable import SpanStore

/// Ids that were chosen to collide are told apart like random ones.
@Suite struct IdentityFilterTests {
    /// Each new span that the filter takes for a known one costs a look through the segments.
    @Test func idsOfSpansAreNotTakenForKnownOnes() {
        var filter = IdentityFilter()
        var taken = 0
        for number in 1...20_000 as ClosedRange<UInt64> {
            for (trace, span) in [
                (TraceID(high: number, low: 0x9E37_79B9_7F4A_7C15), SpanID(1)),
                (TraceID(high: number, low: 1), SpanID(0xD6E8_FEB8_6659_FD93)),
                (TraceID(high: 0x9E37_79B9_7F4A_7C15, low: number), SpanID(2)),
            ] where filter.insert(SpanIdentity(trace: trace, span: span, isServerSide: false)) { taken += 1 }
        }
        #expect(taken < 200)
    }
}
