import TelemetryModel

@testable import Derivations

extension ObservedSpan {
    /// 2026-01-01T00:00:00Z.
    static let epoch: Int64 = 1_767_225_600 * 1_000_000_000

    /// An attempt of the tool `t` over HTTP, times in seconds since the epoch, received a second after its end.
    static func attempt(_ number: UInt64, _ start: Double, _ end: Double, error: String? = nil) -> ObservedSpan {
        var span = ObservedSpan(traceID: TraceID(high: 1, low: 1), spanID: SpanID(number))
        span.service = "svc"
        span.instance = "a"
        span.tool = "t"
        span.stageAttribute = "http_tool"
        span.startTimeUnixNano = time(start)
        span.endTimeUnixNano = time(end)
        span.receivedTimeUnixNano = time(end + 1)
        span.errorType = error
        span.statusCode = error == nil ? 0 : 2
        return span
    }

    static func time(_ seconds: Double) -> Int64 { epoch + Int64((seconds * 1e9).rounded()) }

    /// The span as a client gives it whose clock is wrong by so much.
    func moved(by nanoseconds: Int64) -> ObservedSpan {
        with { span in
            if span.startTimeUnixNano != 0 { span.startTimeUnixNano += nanoseconds }
            if span.endTimeUnixNano != 0 { span.endTimeUnixNano += nanoseconds }
            for index in span.events.indices { span.events[index].timeUnixNano += nanoseconds }
        }
    }

    func with(_ change: (inout ObservedSpan) -> Void) -> ObservedSpan {
        var span = self
        change(&span)
        return span
    }
}
