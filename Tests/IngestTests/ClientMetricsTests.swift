import PrometheusText
import TelemetryModel
import Testing

@testable import Ingest

struct ClientMetricsTests {
    private func point(
        _ name: String, _ value: Double, kind: MetricPoint.Kind = .counter, unit: String = "", at time: UInt64 = 1,
        delta: Bool = false,
        attributes: [(key: String, value: String)] = []
    ) -> MetricPoint {
        var point = MetricPoint()
        point.name = name
        point.unit = unit
        point.kind = kind
        point.isDelta = delta
        point.timeUnixNano = time
        point.attributes = attributes
        point.value = .number(value)
        return point
    }

    private func text(_ metrics: ClientMetrics) -> String {
        String(decoding: ExpositionEncoder.encode(metrics.families(), as: .text004), as: UTF8.self)
    }

    @Test(
        "Names are Prometheus'",
        arguments: [
            ("http.server.duration", "s", MetricPoint.Kind.histogram, "http_server_duration_seconds"),
            ("gen_ai.client.token.usage", "{token}", .histogram, "gen_ai_client_token_usage"),
            ("my.counter", "1", .counter, "my_counter_total"),
            ("load", "1", .gauge, "load_ratio"), ("sent_total", "By", .counter, "sent_bytes_total"),
            ("2fast", "m/s", .gauge, "_2fast_meters_per_second"),
            ("uptime_seconds", "s", .gauge, "uptime_seconds"), ("é", "", .gauge, ""),
        ])
    func names(name: String, unit: String, kind: MetricPoint.Kind, expected: String) {
        #expect(PrometheusName.family(point(name, 1, kind: kind, unit: unit)) == expected)
    }

    @Test func theLatestValueIsShownAndDeltasAddUp() {
        let metrics = ClientMetrics(registry: MetricRegistry())
        #expect(metrics.take(point("a", 5, at: 2)))
        #expect(metrics.take(point("a", 4, at: 1)))
        #expect(metrics.take(point("b", 5, at: 1, delta: true, attributes: [("k.x", "v\"")])))
        #expect(metrics.take(point("b", 4, at: 2, delta: true, attributes: [("k.x", "v\"")])))
        #expect(metrics.take(point("b", 4, at: 2, delta: true, attributes: [("k.x", "v\"")])))
        #expect(metrics.take(point("c", 5, kind: .gauge, at: 1)))
        #expect(metrics.take(point("c", -1, kind: .gauge, at: 2)))
        #expect(
            text(metrics) == """
                # TYPE a_total counter
                a_total 5
                # TYPE b_total counter
                b_total{k_x="v\\""} 9
                # TYPE c gauge
                c -1

                """)
    }

    @Test func whatCannotBeShownIsNotTaken() {
        let metrics = ClientMetrics(registry: MetricRegistry())
        #expect(metrics.take(point("a", 1)))
        #expect(!metrics.take(point("a_total", 1, kind: .gauge)))
        #expect(!metrics.take(point("agent.tokens", 1)))
        #expect(!metrics.take(point("", 1)))
        for index in 1..<ClientMetrics.seriesMax { #expect(metrics.take(point("a", 1, attributes: [("i", "\(index)")]))) }
        #expect(!metrics.take(point("a", 1, attributes: [("i", "one more")])))
        #expect(metrics.take(point("a", 2, at: 2)))
        #expect(metrics.families().count == 1)
    }

    @Test func histogramsOfTheSameBoundsAddUp() {
        let metrics = ClientMetrics(registry: MetricRegistry())
        var one = point("h", 0, kind: .histogram, delta: true)
        one.value = .buckets(bounds: [1, 2], counts: [1, 0, 3], sum: 10)
        #expect(metrics.take(one))
        one.timeUnixNano = 2
        #expect(metrics.take(one))
        #expect(metrics.families()[0].samples[0].value == .histogram(.init(bounds: [1, 2], counts: [2, 0, 6], sum: 20)))
    }
}
