import Demo
import OTLP
import TelemetryModel
import Testing

struct DemoWorkloadTests {
    private static let now: Int64 = 1_795_250_000_000_000_000

    @Test func sameSeedAndTimeGiveTheSameBytes() {
        let first = DemoWorkload(seed: 1, nowUnixNano: Self.now)
        let again = DemoWorkload(seed: 1, nowUnixNano: Self.now)
        #expect(first.batches.map(TraceRequestMessage.encode) == again.batches.map(TraceRequestMessage.encode))
        #expect(first.expectation == again.expectation)
        let other = DemoWorkload(seed: 1, nowUnixNano: Self.now + 1)
        let traces = { (workload: DemoWorkload) in Set(workload.batches.flatMap(\.spans).map(\.traceID)) }
        #expect(traces(first).isDisjoint(with: traces(other)))
    }

    @Test(arguments: UInt64(0)..<40)
    func everySeedTellsTheWholeStory(seed: UInt64) {
        let workload = DemoWorkload(seed: seed, nowUnixNano: Self.now)
        let expectation = workload.expectation
        #expect((50...75).contains(expectation.traces), "\(expectation.traces)")
        #expect((650...950).contains(expectation.spans), "\(expectation.spans)")
        let weather = expectation.tool("weather_api")
        #expect(weather.opens >= 2 && weather.halfOpens == weather.opens && weather.closes == 2, "\(weather)")
        #expect(weather.timeouts >= 6 && weather.rejections >= 2, "\(weather)")
        #expect(weather.cooldownNanoseconds >= Int64(weather.opens) * 30_000_000_000)
        for tool in expectation.tools where tool.name != "weather_api" {
            #expect(tool.opens == 0 && tool.rejections == 0, "\(tool)")
        }
        #expect(expectation.tool("flight_search").errors > 0)
        #expect(expectation.workflows.map(\.name) == ["nightly_report", "support_triage", "trip_planner"])
    }

    @Test(arguments: UInt64(0)..<10)
    func batchesAreWhatExportersSend(seed: UInt64) throws {
        let workload = DemoWorkload(seed: seed, nowUnixNano: Self.now)
        var seen: Set<SpanID> = []
        var roots = 0
        for batch in workload.batches {
            #expect((1...DemoWorkload.batchSpansMax).contains(batch.spans.count))
            let decoded = try TraceDecoder().decode(TraceRequestMessage.encode(batch))
            #expect(decoded.spans.count == batch.spans.count && decoded.rejections.total == 0)
            let process = ResourceIdentity(decoded.resources[0], decoded)
            #expect(process.instanceID.hasPrefix(process.serviceName))
            for span in decoded.spans {
                #expect(span.startTimeUnixNano >= Self.now - DemoWorkload.windowNanoseconds)
                #expect(span.endTimeUnixNano > span.startTimeUnixNano && span.endTimeUnixNano < Self.now)
                #expect(seen.insert(span.spanID).inserted)
                #expect(!seen.contains(span.parentSpanID), "a parent came before its child")
                roots += span.parentSpanID.isValid ? 0 : 1
            }
        }
        #expect(seen.count == workload.expectation.spans)
        #expect(roots == workload.expectation.traces)
    }
}
