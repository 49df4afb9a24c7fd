import OTLP
import PrometheusText
import TelemetryModel
import TelemetryTesting
import Testing

@testable import Ingest

/// How much of clients' metrics is held, what leaves, and what is refused.
struct ClientMetricsBoundsTests {
    private func limits(_ change: (inout ClientMetricsLimits) -> Void) -> ClientMetricsLimits {
        var limits = ClientMetricsLimits()
        change(&limits)
        return limits
    }

    @Test func whatSomethingMuchSilentMakesRoomForIsTaken() throws {
        let kit = ClientMetricsKit(limits { $0.seriesMax = 3 })
        for pod in ["1", "2", "3"] { try kit.send(gauge("a", point("1", ["pod": pod]))) }
        try kit.send(gauge("a", point("2", at: 1, ["pod": "1"])))
        #expect(try kit.send(gauge("b", point("1"))) == "")
        #expect(try kit.lines("") == [
            "# TYPE a gauge", #"a{job="svc",pod="1"} 2"#, #"a{job="svc",pod="3"} 1"#, "# TYPE b gauge", #"b{job="svc"} 1"#,
        ])
        #expect(kit.count("fusebox_client_series_removed_total", #"reason="displaced""#) == 1)
        #expect(kit.count("fusebox_client_series") == 3)
    }

    @Test func oneRequestDoesNotDisplaceItself() throws {
        let kit = ClientMetricsKit(limits { $0.seriesMax = 3 })
        try kit.send(gauge("old", point("1")))
        let many = (0..<5).map { gauge("a\($0)", point("1")) }
        let message = try kit.sendRequest(#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[\#(many.joined(separator: ","))]}]}]}"#)
        #expect(message == "points refused: 2 past 3 series, 100000 lines or 16 MiB of text")
        #expect(kit.dropped(.full) == 2)
        #expect(try kit.lines("a") == ["a0 1", "a1 1", "a2 1"])
    }

    @Test func linesAreBounded() throws {
        let kit = ClientMetricsKit(limits { $0.linesMax = 10 })
        try kit.send(histogram("h", bounds: "1,2", counts: "1,1,1"), histogram("i", bounds: "1,2", counts: "1,1,1"))
        #expect(kit.count("fusebox_client_exposition_lines") == 10)
        #expect(try kit.send(histogram("i", bounds: "1,2,3", counts: "1,1,1,1", at: 1)) == "")
        #expect(try kit.lines("h") == [])
        #expect(kit.count("fusebox_client_exposition_lines") == 6)
        // More than all lines: refused, and nothing leaves for it.
        let large = histogram("j", bounds: "1,2,3,4,5,6,7,8,9", counts: "1,1,1,1,1,1,1,1,1,1")
        #expect(try kit.send(large).contains("1 past 10000 series, 10 lines"))
        #expect(kit.count("fusebox_client_series") == 1)
    }

    @Test func bytesAreBoundedAndNeverMoreThanCounted() throws {
        let kit = ClientMetricsKit(limits { $0.bytesMax = 20_000 })
        for index in 0..<100 {
            let label = String(repeating: "\\\"", count: index % 40)
            try kit.send(
                histogram(
                    "h\(index)", bounds: "-1.7976931348623157e308,0.00012345678901234567,1", counts: "9,9,9,18446744073709551615",
                    rest: #","attributes":\#(attributes(["k\(index)": label]))"#),
                gauge("g", point("-9223372036854775808", ["k": "\(index)"])))
            let families = kit.metrics.families()
            let counted = try #require(kit.count("fusebox_client_exposition_bytes"))
            for format in ExpositionFormat.allCases {
                #expect(ExpositionEncoder.encode(families, as: format).count <= Int(counted) + "# EOF\n".utf8.count)
            }
            #expect(counted <= 20_000)
        }
        #expect(try kit.lines("h").count > 20)
    }

    @Test func aScrapeOfTheFloodOfBucketsIsSmall() throws {
        let kit = ClientMetricsKit()
        let bounds = (0..<512).map(String.init).joined(separator: ",")
        let counts = [String](repeating: "1", count: 513).joined(separator: ",")
        // Short labels, so that each is taken.
        for index in 0..<400 {
            try kit.send(histogram("h", bounds: bounds, counts: counts, rest: #","attributes":\#(attributes(["k": "\(index)"]))"#))
        }
        let families = kit.metrics.families()
        var bytes = 0
        var largest = 0
        for chunk in ExpositionChunks(families, as: .text004) {
            bytes += chunk.count
            largest = max(largest, chunk.count)
        }
        #expect(bytes <= kit.metrics.limits.bytesMax)
        #expect(bytes > 1 << 22)
        #expect(largest < 1 << 18)
        #expect(try #require(kit.count("fusebox_client_exposition_lines")) <= 100_000)
    }

    @Test(
        arguments: [
            histogram("x", bounds: "1", counts: "1,1", rest: #","attributes":"# + manyAttributes(65)),
            gauge("x", point("1", ["k": String(repeating: "v", count: 1025)])),
            gauge("x", point("1", [String(repeating: "k", count: 1025): "v"])),
            gauge(String(repeating: "x", count: 1025), point("1")),
            gauge("x", point("1", [String(repeating: "é", count: 300): "v"])),
            histogram(
                "x", bounds: (0..<513).map(String.init).joined(separator: ","),
                counts: [String](repeating: "1", count: 514).joined(separator: ",")),
            histogram(
                "x", bounds: (0..<512).map(String.init).joined(separator: ","),
                counts: [String](repeating: "1", count: 513).joined(separator: ","),
                rest: #","attributes":"# + attributes(["a": String(repeating: "v", count: 1024), "b": String(repeating: "v", count: 1024)])),
            gauge("x", #"{"asInt":"1","attributes":[{"key":"k","value":{"bytesValue":"\#(String(repeating: "AAAA", count: 300))"}}]}"#),
            #"{"name":"x","exponentialHistogram":{"dataPoints":[{"positive":{"bucketCounts":[\#(ones(4097))]}}]}}"#,
        ])
    func whatIsTooLargeIsRefusedWhole(metric: String) throws {
        let kit = ClientMetricsKit()
        #expect(try kit.send(metric).hasPrefix("points refused: 1 with more than 64 labels, a text over 1024 bytes"))
        #expect(kit.dropped(.tooLarge) == 1)
        #expect(kit.metrics.families() == [])
    }

    @Test func pointsPastTheLimitOfARequestAreNotRead() throws {
        let kit = ClientMetricsKit()
        var request = WireWriter()
        request.message(1) { resource in
            resource.message(2) { scope in
                scope.message(2) { metric in
                    metric.lengthDelimited(1, "x".utf8)
                    metric.message(5) { data in
                        for _ in 0..<MetricsDecoder.pointsMax + 5 { data.lengthDelimited(1, []) }
                    }
                }
            }
        }
        #expect(
            try kit.send(protobuf: request.bytes) == "points refused: 5 past what one request may have, "
                + "262144 without a value, or with one that a counter cannot have")
        #expect(kit.dropped(.tooMany) == 5)
    }

    @Test func longDescriptionsAreCutBetweenCharacters() throws {
        let kit = ClientMetricsKit()
        let help = "a" + String(repeating: "é", count: 600)
        try kit.sendRequest(
            #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"x","description":"\#(help)","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#)
        #expect(kit.metrics.families()[0].help == "a" + String(repeating: "é", count: 511))
    }

    // MARK: Silence

    @Test func silentSeriesGoAndThoseThatAddUpStayLonger() throws {
        let kit = ClientMetricsKit()
        try kit.send(gauge("a", point("1")), counter("b", point("1")), delta("c", point("1")))
        kit.wait(200)
        try kit.send(gauge("d", point("1", at: 200)))
        kit.wait(101)
        #expect(try kit.lines("# TYPE") == ["# TYPE c_total counter", "# TYPE d gauge"])
        #expect(kit.count("fusebox_client_series_removed_total", #"reason="expired""#) == 2)
        try kit.send(delta("c", point("1", at: 300)))
        kit.wait(3600)
        #expect(try kit.lines("c_total") == [#"c_total{job="svc"} 2"#])
        kit.wait(1)
        #expect(try kit.lines("") == [])
        #expect(kit.count("fusebox_client_exposition_bytes") == 0)
        #expect(kit.count("fusebox_client_series") == 0)
    }

    @Test func podsThatComeAndGoDoNotKeepOthersOut() throws {
        let kit = ClientMetricsKit(limits { $0.seriesMax = 100 })
        for pod in 0..<1000 {
            #expect(try kit.send(counter("jobs", point("1")), resource: attributes(["service.instance.id": "pod-\(pod)"])) == "")
        }
        #expect(try kit.send(gauge("fresh", point("1"))) == "")
        #expect(try kit.lines("jobs_total").count == 99)
    }

    // MARK: Names

    @Test func onlyFamiliesOfItsOwnAreFuseboxs() throws {
        let own = [
            MetricFamily(name: "agent_tokens_total", help: "", kind: .counter), MetricFamily(name: "fusebox_wait_seconds", help: "", kind: .histogram),
            MetricFamily(name: "fusebox_build_info", help: "", kind: .info),
        ]
        let kit = ClientMetricsKit(own: own)
        for name in ["agent.tokens", "fusebox.wait_seconds.count", "fusebox_build", "fusebox_build_info", "fusebox_client_points", "..fusebox"] {
            let message = try kit.send(gauge(name, point("1")))
            #expect(name == "..fusebox" ? message == "" : message.contains("1 of metrics without a name or with one of Fusebox's own"), "\(name)")
        }
        #expect(try kit.send(counter("agent_tokens", point("1"))) != "")
        #expect(
            try kit.send(
                counter("agent_framework.workflow.runs", point("1")), gauge("agent_x", point("1")), gauge("fusebox_x", point("1")),
                counter("process.cpu.time", point("1"), unit: "s")) == "")
        #expect(try kit.lines("agent_").count == 2)
        #expect(try kit.send(gauge("", point("1"))).contains("1 of metrics without a name"))
    }

    @Test func everyPointIsShownOrRefusedForAReason() throws {
        let kit = ClientMetricsKit()
        let message = try kit.send(
            counter("a", point("-1"), #"{"asDouble":"NaN"}"#, #"{"asDouble":-0.5}"#, #"{}"#, point("1")),
            delta("b", #"{"asDouble":"Infinity"}"#), delta("c", #"{"asDouble":"NaN"}"#, isMonotonic: false),
            gauge("a", point("1")), #"{"name":"s","summary":{"dataPoints":[{"count":"1"},{"flags":1}]}}"#)
        #expect(
            message == "points refused: 1 that would look like another metric or series that is shown, "
                + "6 without a value, or with one that a counter cannot have, 2 of summaries")
        #expect(kit.dropped(.invalid) == 6)
        #expect(kit.dropped(.conflict) == 1)
        #expect(kit.dropped(.unsupported) == 2)
        #expect(kit.count("fusebox_client_points_total") == 1)
    }
}

private func manyAttributes(_ count: Int) -> String {
    "[" + (0..<count).map { #"{"key":"k\#($0)","value":{"stringValue":"v"}}"# }.joined(separator: ",") + "]"
}

private func ones(_ count: Int) -> String { [String](repeating: "1", count: count).joined(separator: ",") }
