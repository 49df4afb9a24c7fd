import Ingest
import OTLP
import PrometheusText
import Synchronization
import TelemetryModel
import TelemetryTesting
import Testing

/// Clients' metrics with clocks that a test moves: requests in JSON go through the decoder, and come out as an exposition that a strict
/// reader has taken in both formats.
final class ClientMetricsKit: Sendable {
    /// The wall clock at the beginning, and what points are dated around.
    static let beginning: Int64 = 1_800_000_000_000_000_000

    let registry = MetricRegistry()
    let metrics: ClientMetrics
    private let clock: Clock

    private final class Clock: Sendable {
        let receipt = Mutex(MetricsReceipt(unixNano: ClientMetricsKit.beginning, instant: .now))
    }

    init(_ limits: ClientMetricsLimits = ClientMetricsLimits(), own: [MetricFamily] = []) {
        let clock = Clock()
        self.clock = clock
        metrics = ClientMetrics(registry: registry, own: { own }, limits: limits, now: { clock.receipt.withLock { $0 } })
    }

    /// Lets time pass on both clocks.
    func wait(_ seconds: Int64) {
        clock.receipt.withLock { receipt in
            receipt.unixNano += seconds * 1_000_000_000
            receipt.instant += .seconds(seconds)
        }
    }

    /// Moves the wall clock alone.
    func jump(_ seconds: Int64) {
        clock.receipt.withLock { $0.unixNano += seconds * 1_000_000_000 }
    }

    /// Sends metrics of one resource and scope; the answer's message, empty when nothing was refused.
    @discardableResult
    func send(
        _ metrics: String..., resource: String = attributes(["service.name": "svc"]), scope: String = #"{}"#
    ) throws -> String {
        try sendRequest(
            #"{"resourceMetrics":[{"resource":{"attributes":\#(resource)},"scopeMetrics":[{"scope":\#(scope),"metrics":["#
                + metrics.joined(separator: ",") + "]}]}]}")
    }

    @discardableResult
    func sendRequest(_ json: String) throws -> String {
        try send(protobuf: JSONTranscoder.protobuf(Array(json.utf8), as: .metricsRequest, limit: 1 << 26))
    }

    @discardableResult
    func send(protobuf: [UInt8]) throws -> String {
        let request = metrics.request()
        let skipped = try MetricsDecoder.decode(protobuf) { request.take($0) }
        return request.finish(unsupported: skipped.unsupported, tooMany: skipped.tooMany).explanation
    }

    /// The lines with values whose names begin so, from a text that both formats' readers take.
    func lines(_ prefix: String) throws -> [String] {
        let families = metrics.families()
        _ = try ExpositionCheck.samples(ExpositionEncoder.encode(families, as: .openMetrics100), isOpenMetrics: true)
        let text = ExpositionEncoder.encode(families, as: .text004)
        _ = try ExpositionCheck.samples(text, isOpenMetrics: false)
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init).filter { $0.hasPrefix(prefix) }
    }

    /// A count of the collector's own about clients' metrics.
    func count(_ name: String, _ labels: String = "") -> Int64? {
        for family in registry.families() where family.name == name {
            for sample in family.samples where sample.labels == labels {
                if case .integer(let value) = sample.value { return value }
                if case .double(let value) = sample.value { return Int64(value) }
            }
        }
        return nil
    }

    func dropped(_ reason: PointRefusal) -> Int64? {
        count("fusebox_client_points_dropped_total", #"reason="\#(reason.rawValue)""#)
    }
}

// MARK: Requests in JSON

func attributes(_ pairs: KeyValuePairs<String, String>) -> String {
    "[" + pairs.map { #"{"key":"\#($0)","value":{"stringValue":"\#($1)"}}"# }.joined(separator: ",") + "]"
}

/// A number's point; `seconds` is its time after the beginning, `nil` for a point without.
func point(_ value: String, at seconds: Int64? = 0, start: Int64? = nil, _ pairs: KeyValuePairs<String, String> = [:]) -> String {
    #"{"asInt":"\#(value)",\#(times(seconds, start)),"attributes":\#(attributes(pairs))}"#
}

func times(_ seconds: Int64?, _ start: Int64? = nil) -> String {
    func nanoseconds(_ seconds: Int64?) -> Int64 { seconds.map { ClientMetricsKit.beginning + $0 * 1_000_000_000 } ?? 0 }
    return #""timeUnixNano":"\#(nanoseconds(seconds))","startTimeUnixNano":"\#(nanoseconds(start))""#
}

func gauge(_ name: String, _ points: String..., unit: String = "") -> String {
    #"{"name":"\#(name)","unit":"\#(unit)","gauge":{"dataPoints":[\#(points.joined(separator: ","))]}}"#
}

func counter(_ name: String, _ points: String..., unit: String = "") -> String {
    #"{"name":"\#(name)","unit":"\#(unit)","sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":["#
        + points.joined(separator: ",") + "]}}"
}

func delta(_ name: String, _ points: String..., isMonotonic: Bool = true) -> String {
    #"{"name":"\#(name)","sum":{"isMonotonic":\#(isMonotonic),"aggregationTemporality":1,"dataPoints":["#
        + points.joined(separator: ",") + "]}}"
}

/// A cumulative histogram of one point; `rest` are further members of the point.
func histogram(
    _ name: String, bounds: String, counts: String, sum: String? = "1", at seconds: Int64 = 0, temporality: Int = 2, rest: String = ""
) -> String {
    let sum = sum.map { #""sum":\#($0),"# } ?? ""
    return #"{"name":"\#(name)","histogram":{"aggregationTemporality":\#(temporality),"dataPoints":[{\#(sum)"count":"9","#
        + #""explicitBounds":[\#(bounds)],"bucketCounts":[\#(counts)],\#(times(seconds))\#(rest)}]}}"#
}
