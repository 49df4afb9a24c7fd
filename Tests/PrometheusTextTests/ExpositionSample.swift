import PrometheusText

/// One family of every kind, with everything that the two formats write differently.
enum ExpositionSample {
    static let exemplar = MetricFamily.Exemplar(
        traceID: "4bf92f3577b34da6a3ce929d0e0e4736", spanID: "00f067aa0ba902b7", value: 0.3,
        timeUnixNano: 1_700_000_000_250_000_000)

    static let families: [MetricFamily] = [
        MetricFamily(
            name: "agent_tool_calls_total", help: "Attempts, by \"outcome\"\nand C:\\path.", kind: .counter,
            samples: [
                .init(labels: #"tool="search",outcome="timeout""#, value: .integer(3), exemplar: exemplar),
                .init(labels: #"tool="search",outcome="ok""#, value: .integer(9_223_372_036_854_775_807)),
            ]),
        MetricFamily(
            name: "agent_breaker_cooldown_seconds_total", help: "Time spent open.", kind: .counter, unit: .seconds,
            samples: [.init(labels: LabelText.render([("tool", "a\"b\\c\nd")]), value: .double(12.5))]),
        MetricFamily(
            name: "agent_call_duration_seconds", help: "How long calls took.", kind: .histogram, unit: .seconds,
            samples: [
                .init(
                    labels: #"tool="t""#,
                    value: .histogram(.init(bounds: [0.005, 1, 2_000_000], counts: [1, 2, 0, 4], sum: 1234.5)), exemplar: exemplar
                )
            ]),
        MetricFamily(
            name: "fusebox_build_info", help: "What runs.", kind: .info,
            samples: [.init(labels: #"version="1.0""#, value: .integer(1))]),
        MetricFamily(
            name: "agent_queue_depth", help: "Waiting.", kind: .gauge, unit: .bytes,
            samples: [.init(value: .double(2), exemplar: exemplar)]),
        MetricFamily(name: "agent_absent", help: "Never set.", kind: .gauge),
    ]
}
