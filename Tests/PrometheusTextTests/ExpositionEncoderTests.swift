import PrometheusText
import TelemetryTesting
import Testing

struct ExpositionEncoderTests {
    @Test func writesText004() {
        #expect(
            text(ExpositionSample.families, .text004) == #"""
                # TYPE agent_absent gauge
                # HELP agent_absent Never set.
                # TYPE agent_breaker_cooldown_seconds_total counter
                # HELP agent_breaker_cooldown_seconds_total Time spent open.
                agent_breaker_cooldown_seconds_total{tool="a\"b\\c\nd"} 12.5
                # TYPE agent_call_duration_seconds histogram
                # HELP agent_call_duration_seconds How long calls took.
                agent_call_duration_seconds_bucket{tool="t",le="0.005"} 1
                agent_call_duration_seconds_bucket{tool="t",le="1.0"} 3
                agent_call_duration_seconds_bucket{tool="t",le="2e+06"} 3
                agent_call_duration_seconds_bucket{tool="t",le="+Inf"} 7
                agent_call_duration_seconds_sum{tool="t"} 1234.5
                agent_call_duration_seconds_count{tool="t"} 7
                # TYPE agent_queue_depth gauge
                # HELP agent_queue_depth Waiting.
                agent_queue_depth 2
                # TYPE agent_tool_calls_total counter
                # HELP agent_tool_calls_total Attempts, by "outcome"\nand C:\\path.
                agent_tool_calls_total{tool="search",outcome="ok"} 9223372036854775807
                agent_tool_calls_total{tool="search",outcome="timeout"} 3
                # TYPE fusebox_build_info gauge
                # HELP fusebox_build_info What runs.
                fusebox_build_info{version="1.0"} 1

                """#)
    }

    @Test func writesOpenMetrics() {
        #expect(
            text(ExpositionSample.families, .openMetrics100) == #"""
                # TYPE agent_absent gauge
                # HELP agent_absent Never set.
                # TYPE agent_breaker_cooldown_seconds counter
                # UNIT agent_breaker_cooldown_seconds seconds
                # HELP agent_breaker_cooldown_seconds Time spent open.
                agent_breaker_cooldown_seconds_total{tool="a\"b\\c\nd"} 12.5
                # TYPE agent_call_duration_seconds histogram
                # UNIT agent_call_duration_seconds seconds
                # HELP agent_call_duration_seconds How long calls took.
                agent_call_duration_seconds_bucket{tool="t",le="0.005"} 1
                agent_call_duration_seconds_bucket{tool="t",le="1.0"} 3\#
                 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"} 0.3 1700000000.25
                agent_call_duration_seconds_bucket{tool="t",le="2e+06"} 3
                agent_call_duration_seconds_bucket{tool="t",le="+Inf"} 7
                agent_call_duration_seconds_sum{tool="t"} 1234.5
                agent_call_duration_seconds_count{tool="t"} 7
                # TYPE agent_queue_depth gauge
                # HELP agent_queue_depth Waiting.
                agent_queue_depth 2
                # TYPE agent_tool_calls counter
                # HELP agent_tool_calls Attempts, by \"outcome\"\nand C:\\path.
                agent_tool_calls_total{tool="search",outcome="ok"} 9223372036854775807
                agent_tool_calls_total{tool="search",outcome="timeout"} 3\#
                 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7"} 0.3 1700000000.25
                # TYPE fusebox_build info
                # HELP fusebox_build What runs.
                fusebox_build_info{version="1.0"} 1
                # EOF

                """#)
    }

    @Test func nothingIsEmptyOrOnlyTheEnd() {
        #expect(text([], .text004) == "")
        #expect(text([], .openMetrics100) == "# EOF\n")
    }

    @Test(arguments: ExpositionFormat.allCases)
    func orderOfInputDoesNotMatter(format: ExpositionFormat) {
        var shuffled = ExpositionSample.families.reversed().map { $0 }
        for index in shuffled.indices { shuffled[index].samples.reverse() }
        #expect(text(shuffled, format) == text(ExpositionSample.families, format))
    }

    @Test func familiesOfOneNameBecomeOne() {
        let families = [
            MetricFamily(
                name: "x_total", help: "First.", kind: .counter, samples: [.init(labels: "b=\"1\"", value: .integer(1))]),
            MetricFamily(
                name: "x_total", help: "Second.", kind: .counter, samples: [.init(labels: "a=\"1\"", value: .integer(2))]),
            MetricFamily(name: "x_total", help: "Third.", kind: .gauge, samples: [.init(value: .integer(3))]),
        ]
        #expect(
            text(families, .text004) == """
                # TYPE x_total counter
                # HELP x_total First.
                x_total{a="1"} 2
                x_total{b="1"} 1

                """)
    }

    @Test func missingSuffixesAreAdded() {
        let counter = MetricFamily(name: "calls", help: "", kind: .counter, samples: [.init(value: .integer(1))])
        let info = MetricFamily(name: "build", help: "", kind: .info, samples: [.init(value: .integer(7))])
        #expect(text([counter], .text004) == "# TYPE calls_total counter\ncalls_total 1\n")
        #expect(text([info], .openMetrics100) == "# TYPE build info\nbuild_info 1\n# EOF\n")
    }

    @Test func valuesOfAnotherKindAreLeftOut() {
        let histogram = MetricFamily.Value.histogram(.init(bounds: [], counts: [1], sum: 0))
        let family = MetricFamily(
            name: "g", help: "", kind: .gauge, samples: [.init(labels: "a=\"1\"", value: histogram), .init(value: .double(.nan))])
        #expect(text([family], .text004) == "# TYPE g gauge\ng NaN\n")
        let other = MetricFamily(name: "h", help: "", kind: .histogram, samples: [.init(value: .integer(1))])
        #expect(text([other], .text004) == "# TYPE h histogram\n")
    }

    @Test func histogramsOfOneFamilyMayHaveOtherBounds() {
        let family = MetricFamily(
            name: "h", help: "", kind: .histogram,
            samples: [
                .init(labels: "a=\"1\"", value: .histogram(.init(bounds: [1], counts: [1, 0], sum: 1))),
                .init(labels: "a=\"2\"", value: .histogram(.init(bounds: [], counts: [2], sum: .infinity))),
            ])
        #expect(
            text([family], .text004) == """
                # TYPE h histogram
                h_bucket{a="1",le="1.0"} 1
                h_bucket{a="1",le="+Inf"} 1
                h_sum{a="1"} 1
                h_count{a="1"} 1
                h_bucket{a="2",le="+Inf"} 2
                h_sum{a="2"} +Inf
                h_count{a="2"} 2

                """)
        #expect(family.seriesCount == 4 + 3)
    }

    @Test(arguments: [(1.0, "1.0"), (1.5, "2.0"), (2.5, "+Inf"), (-1, "1.0")])
    func exemplarStandsOnTheBucketThatHoldsItsValue(value: Double, bound: String) {
        var exemplar = ExpositionSample.exemplar
        exemplar.value = value
        let family = MetricFamily(
            name: "h", help: "", kind: .histogram,
            samples: [.init(value: .histogram(.init(bounds: [1, 2], counts: [1, 1, 1], sum: 5)), exemplar: exemplar)])
        let lines = text([family], .openMetrics100).split(separator: "\n").filter { $0.contains(" # {") }
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("h_bucket{le=\"\(bound)\"}") == true)
    }

    @Test func exemplarsThatOpenMetricsForbidsAreLeftOut() {
        var long = ExpositionSample.exemplar
        long.traceID = String(repeating: "é", count: 128 - 15 - 16)
        var longer = long
        longer.traceID += "é"
        var invalid = ExpositionSample.exemplar
        invalid.value = .nan
        for (exemplar, isShown) in [(long, true), (longer, false), (invalid, false)] {
            let family = MetricFamily(
                name: "x_total", help: "", kind: .counter, samples: [.init(value: .integer(1), exemplar: exemplar)])
            #expect(text([family], .openMetrics100).contains("trace_id") == isShown)
        }
    }

    @Test(arguments: ExpositionFormat.allCases)
    func ofFamiliesThatClaimOneNameTheFirstIsWritten(format: ExpositionFormat) throws {
        let histogram = MetricFamily.Value.histogram(.init(bounds: [], counts: [1], sum: 0))
        func family(_ name: String, _ kind: MetricFamily.Kind, _ value: MetricFamily.Value = .integer(1)) -> MetricFamily {
            MetricFamily(name: name, help: "", kind: kind, samples: [.init(value: value)])
        }
        let families = [
            family("x_total", .counter), family("x", .gauge), family("x_created", .gauge), family("x", .histogram, histogram),
            family("h", .histogram, histogram), family("h_count", .gauge), family("h_total", .counter), family("b_info", .info),
            family("b", .gauge), family("c", .gauge),
        ]
        let samples = try ExpositionCheck.samples(
            ExpositionEncoder.encode(families, as: format), isOpenMetrics: format == .openMetrics100)
        #expect(samples.map(\.name) == ["b_info", "c", "h_bucket", "h_sum", "h_count", "x_total"])
    }

    @Test(arguments: ExpositionFormat.allCases)
    func aStrictReaderTakesEveryKind(format: ExpositionFormat) throws {
        _ = try ExpositionCheck.samples(
            ExpositionEncoder.encode(ExpositionSample.families, as: format), isOpenMetrics: format == .openMetrics100)
    }

    @Test func piecesMakeTheWholeAndAreBounded() {
        let samples = (0..<5000).map { MetricFamily.Sample(labels: "a=\"\($0)\"", value: .integer(1)) }
        let families = ["x", "y", "z"].map { MetricFamily(name: $0, help: "Help.", kind: .gauge, samples: samples) }
        let pieces = Array(ExpositionChunks(families, as: .openMetrics100))
        #expect(pieces.count > 2)
        #expect(pieces.dropLast().allSatisfy { (1 << 16)..<(1 << 16) + 100 ~= $0.count })
        #expect(pieces.flatMap { $0 } == ExpositionEncoder.encode(families, as: .openMetrics100))
        #expect(Array(ExpositionChunks([], as: .text004)).isEmpty)
    }

    @Test func bucketsPastTheLargestCountStayThere() {
        let family = MetricFamily(
            name: "h", help: "", kind: .histogram,
            samples: [.init(value: .histogram(.init(bounds: [1], counts: [.max, .max], sum: nil)))])
        #expect(text([family], .text004).hasSuffix("le=\"+Inf\"} 9223372036854775807\nh_count 9223372036854775807\n"))
        #expect(text([family], .openMetrics100).hasSuffix("le=\"+Inf\"} 9223372036854775807\n# EOF\n"))
    }

    @Test func unitIsSaidOnlyWhenTheNameEndsInIt() {
        let family = MetricFamily(name: "depth", help: "", kind: .gauge, unit: .bytes, samples: [.init(value: .integer(1))])
        #expect(text([family], .openMetrics100) == "# TYPE depth gauge\ndepth 1\n# EOF\n")
    }

    private func text(_ families: [MetricFamily], _ format: ExpositionFormat) -> String {
        String(decoding: ExpositionEncoder.encode(families, as: format), as: UTF8.self)
    }
}
