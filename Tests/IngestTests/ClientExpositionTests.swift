import OTLP
import PrometheusText
import TelemetryModel
import TelemetryTesting
import Testing

@testable import Ingest

/// Whatever clients send, a strict reader takes what is shown.
struct ClientExpositionTests {
    @Test(
        arguments: [
            ("1,2,\"Infinity\"", "5,2,3,0", ["1.0", "2.0", "+Inf"], [5, 7, 10]),
            ("1,2,\"Infinity\"", "5,2,3,4", ["1.0", "2.0", "+Inf"], [5, 7, 14]), ("\"Infinity\"", "5,2", ["+Inf"], [7]),
            ("1,1,2", "1,2,3,4", ["1.0", "2.0", "+Inf"], [3, 6, 10]), ("0,-0.0,2", "1,2,3,4", ["0.0", "2.0", "+Inf"], [3, 6, 10]),
            ("1,1,1", "1,2,3,4", ["1.0", "+Inf"], [6, 10]), ("\"Infinity\",\"Infinity\"", "1,2,3", ["+Inf"], [6]),
            ("2,1", "1,1,1", ["+Inf"], [9]), ("1,\"NaN\"", "1,1,1", ["+Inf"], [9]), ("1,2", "1,1", ["+Inf"], [9]), ("", "", ["+Inf"], [9]),
            ("\"-Infinity\",1", "1,1,1", ["-Inf", "1.0", "+Inf"], [1, 2, 3]),
        ])
    func boundsThatAreOneBecomeOneBucket(bounds: String, counts: String, texts: [String], cumulative: [Int]) throws {
        let kit = ClientMetricsKit()
        try kit.send(histogram("h", bounds: bounds, counts: counts))
        #expect(try kit.lines("h_bucket") == zip(texts, cumulative).map { #"h_bucket{job="svc",le="\#($0)"} \#($1)"# })
    }

    @Test(
        arguments: [
            // Scale, offset, counts, the bound up to which they lie.
            (0, 0, "1,1", "4.0"), (3, 0, "1,1", "2.0"), (3, 7, "1,1", "4.0"), (-1, 0, "1,1", "16.0"), (20, -1, "1,1", "2.0"),
            (Int32.max, -5, "1,1", "1.0"), (.min, 0, "1,1", "+Inf"), (.min, -2, "1,1", "1.0"), (0, .max, "1,1", "+Inf"),
            (0, .min, "1,1", "9.313225746154785e-10"), (0, 38, "1,1", "1.099511627776e+12"), (0, 39, "1,1", "+Inf"),
            (0, 40, "1,1", "+Inf"),
        ] as [(Int32, Int32, String, String)])
    func exponentialBucketsHaveBoundsAtPowersOfTwo(scale: Int32, offset: Int32, counts: String, bound: String) throws {
        let kit = ClientMetricsKit()
        try kit.send(
            #"{"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"count":"5","sum":1,"zeroCount":"1",\#(times(0)),"#
                + #""scale":\#(scale),"positive":{"offset":\#(offset),"bucketCounts":[\#(counts)]},"negative":{"bucketCounts":["2"]}}]}}"#)
        let lines = try kit.lines("e_bucket")
        #expect(lines.first == #"e_bucket{job="svc",le="0.0"} 3"#)
        let full = lines.filter { $0.hasSuffix(" 5") }
        #expect(full.first == #"e_bucket{job="svc",le="\#(bound)"} 5"#)
    }

    @Test(arguments: [nil, "-1", "\"NaN\""] as [String?])
    func aSumThatIsNoneIsNotShownToStrictReaders(sum: String?) throws {
        let kit = ClientMetricsKit()
        try kit.send(histogram("h", bounds: "1", counts: "1,1", sum: sum))
        // The kit reads both formats strictly.
        #expect(try kit.lines("h_count") == [#"h_count{job="svc"} 2"#])
        let text = String(decoding: ExpositionEncoder.encode(kit.metrics.families(), as: .openMetrics100), as: UTF8.self)
        #expect(!text.contains("h_count") && !text.contains("h_sum"))
    }

    @Test(
        arguments: [
            (gauge("x", point("1")), counter("x", point("1"))), (counter("x", point("1")), gauge("x", point("1"))),
            (counter("x", point("1")), gauge("x_created", point("1"))), (counter("x", point("1")), gauge("x.total", point("1"))),
            (histogram("x", bounds: "", counts: ""), gauge("x.count", point("1"))),
            (histogram("x", bounds: "", counts: ""), gauge("x_sum", point("1"))),
            (histogram("x", bounds: "", counts: ""), gauge("x_bucket", point("1"))),
            (gauge("x_bucket", point("1")), histogram("x", bounds: "", counts: "")),
            (histogram("x", bounds: "", counts: ""), counter("x", point("1"))),
            (histogram("x_total", bounds: "", counts: ""), counter("x", point("1"))),
        ])
    func familiesThatOneFormatTakesForOneAreRefused(first: String, second: String) throws {
        let kit = ClientMetricsKit()
        #expect(try kit.send(first) == "")
        #expect(try kit.send(second).contains("1 that would look like another metric"))
        #expect(try kit.lines("# TYPE").count == 1)
    }

    @Test func ownFamiliesShareNoName() {
        let families = IngestWriter.declaredFamilies + ProcessMetrics.declaredFamilies + IngestMetrics().registry.families()
        let names = families.flatMap { MetricFamily.claimedNames($0.name, $0.kind) }
        #expect(Set(names).count == names.count)
        #expect(families.count > 60)
        #expect(families.contains { $0.name == "agent_breaker_open_age_seconds" })
    }

    // MARK: At random

    @Test(arguments: 0..<20)
    func anyClientsFamiliesMakeAStrictExposition(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var limits = ClientMetricsLimits()
        limits.seriesMax = 40
        limits.linesMax = 400
        limits.bytesMax = 60_000
        let kit = ClientMetricsKit(limits)
        var sent: Int64 = 0
        for round in 0..<12 {
            let request = RandomMetrics.request(&random)
            sent += Int64(request.points)
            try kit.send(protobuf: request.bytes)
            if round % 7 == 0 { kit.wait(Int64.random(in: 0...200, using: &random)) }
            let families = kit.metrics.families()
            let openMetrics = ExpositionEncoder.encode(families, as: .openMetrics100)
            let text = ExpositionEncoder.encode(families, as: .text004)
            _ = try ExpositionCheck.samples(openMetrics, isOpenMetrics: true)
            let samples = try ExpositionCheck.samples(text, isOpenMetrics: false)
            // An unknown sum has no line.
            #expect(samples.count <= kit.count("fusebox_client_exposition_lines") ?? 0)
            #expect(max(text.count, openMetrics.count) <= (kit.count("fusebox_client_exposition_bytes") ?? 0) + 6)
        }
        let dropped = PointRefusal.allCases.reduce(Int64(0)) { $0 + (kit.dropped($1) ?? 0) }
        #expect(sent == dropped + (kit.count("fusebox_client_points_total") ?? 0))
    }
}

extension ClientExpositionTests {
    @Test(arguments: 0..<10)
    func damagedRequestsMakeAStrictExpositionToo(seed: UInt64) throws {
        var random = SplitMix(state: seed)
        let kit = ClientMetricsKit()
        for _ in 0..<40 {
            var bytes = RandomMetrics.request(&random).bytes
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                guard let index = bytes.indices.randomElement(using: &random) else { continue }
                bytes[index] = .random(in: 0...255, using: &random)
            }
            // What cannot be read is refused; what came before it may have been taken.
            _ = try? kit.send(protobuf: bytes)
        }
        _ = try kit.lines("")
    }
}

/// The generator of Steele, Lea and Flood: the same numbers for the same seed.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}

/// Requests of metrics whose names, labels and numbers meet, clash and leave every range.
private enum RandomMetrics {
    private static let names = [
        "x", "x.total", "x_total", "x_created", "x.count", "x_sum", "x_bucket", "x_info", "y", "y_", "é", "e\u{301}", "a.b", "a_b", "",
        "...", "9", "U___e9_", "x\u{0}\n\"\\", "\u{2028}",
    ]
    private static let units = ["", "s", "1", "By", "°C", "{x}", "1/s", "total", "count", "/", "µs", "_"]
    private static let texts = ["", "a", "A\n\"\\", "é", "e\u{301}", "\u{301}", "a;b", "1", "true", "\u{0}", "}", " # {", "\r\n", "\u{FFFF}"]
    private static let keys = ["k", "k.", "k_", "le", "quantile", "job", "instance", "__name__", "otel.scope.name", "é", "__é", "", "-", "9", "a=b"]
    private static let doubles: [Double] = [
        0, -0.0, 1, -1, 0.1, 1e300, -1e300, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 9_007_199_254_740_992,
        1e15, 123_456_789.5,
    ]
    private static let counts: [UInt64] = [0, 1, 2, 1 << 53, 1 << 63, .max]

    static func request(_ random: inout some RandomNumberGenerator) -> (bytes: [UInt8], points: Int) {
        var points = 0
        var request = WireWriter()
        request.message(1) { resource in
            resource.message(1) { $0.attributes(1, list(["service.name", "host.name", "process.pid"], &random)) }
            for _ in 0..<Int.random(in: 1...2, using: &random) {
                resource.message(2) { scope in
                    scope.message(1) { message in
                        message.lengthDelimited(1, text(&random).utf8)
                        message.attributes(3, list(keys, &random))
                    }
                    for _ in 0..<Int.random(in: 1...4, using: &random) { scope.message(2) { points += metric(&$0, &random) } }
                }
            }
        }
        return (request.bytes, points)
    }

    private static func text(_ random: inout some RandomNumberGenerator) -> String { texts.randomElement(using: &random) ?? "" }

    private static func list(_ keys: [String], _ random: inout some RandomNumberGenerator) -> AttributeList {
        var list = AttributeList()
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let value: AttributeValue =
                switch Int.random(in: 0...5, using: &random) {
                case 0: .int(.random(in: -2...2, using: &random))
                case 1: .double(doubles.randomElement(using: &random) ?? 0)
                case 2: .array([.string(text(&random)), .bool(true)])
                case 3: .bytes([0, 1, 255])
                default: .string(text(&random))
                }
            list.append(keys.randomElement(using: &random) ?? "", value)
        }
        return list
    }

    private static func metric(_ metric: inout WireWriter, _ random: inout some RandomNumberGenerator) -> Int {
        let points = Int.random(in: 1...4, using: &random)
        metric.lengthDelimited(1, (names.randomElement(using: &random) ?? "").utf8)
        metric.lengthDelimited(2, text(&random).utf8)
        metric.lengthDelimited(3, (units.randomElement(using: &random) ?? "").utf8)
        let field = [5, 7, 9, 10, 11].randomElement(using: &random) ?? 5
        metric.message(field) { data in
            data.varint(2, .random(in: 0...2, using: &random))
            if field == 7 { data.varint(3, .random(in: 0...1, using: &random)) }
            for _ in 0..<points { data.message(1) { point(&$0, field, &random) } }
        }
        return points
    }

    private static func point(_ point: inout WireWriter, _ field: Int, _ random: inout some RandomNumberGenerator) {
        let time: Int64 = [0, 1, .max, ClientMetricsKit.beginning + .random(in: -5...5, using: &random)].randomElement(using: &random) ?? 0
        point.fixed64(2, UInt64(time) / 2)
        point.fixed64(3, UInt64(time))
        let isEnd = Int.random(in: 0...9, using: &random) == 0
        let flags = field == 5 || field == 7 || field == 11 ? 8 : 10
        if isEnd { point.varint(flags, 1) }
        let double = doubles.randomElement(using: &random) ?? 0
        switch field {
        case 5, 7:
            if Bool.random(using: &random) {
                point.fixed64(4, double.bitPattern)
            } else {
                point.fixed64(6, counts.randomElement(using: &random) ?? 0)
            }
            point.attributes(7, list(keys, &random))
        case 9:
            if Bool.random(using: &random) { point.fixed64(5, double.bitPattern) }
            var bounds = (0..<Int.random(in: 0...6, using: &random)).map { _ in doubles.randomElement(using: &random) ?? 0 }
            if Int.random(in: 0...4, using: &random) > 0 { bounds = bounds.filter { !$0.isNaN }.sorted() }
            for bound in bounds { point.fixed64(7, bound.bitPattern) }
            for _ in 0...bounds.count { point.fixed64(6, counts.randomElement(using: &random) ?? 0) }
            point.attributes(9, list(keys, &random))
        case 10: exponential(&point, double, &random)
        default: break
        }
    }

    private static func exponential(_ point: inout WireWriter, _ sum: Double, _ random: inout some RandomNumberGenerator) {
        let edges: [UInt64] = [0, 1, 2, 20, 39, 40, UInt64(UInt32.max), UInt64(UInt32.max) - 1]
        point.attributes(1, list(keys, &random))
        point.fixed64(5, sum.bitPattern)
        point.varint(6, edges.randomElement(using: &random) ?? 0)
        point.fixed64(7, counts.randomElement(using: &random) ?? 0)
        for field in 8...9 {
            point.message(field) { buckets in
                buckets.varint(1, edges.randomElement(using: &random) ?? 0)
                for _ in 0..<Int.random(in: 0...5, using: &random) { buckets.varint(2, counts.randomElement(using: &random) ?? 0) }
            }
        }
    }
}
