// The libFuzzer target of logs and metrics in protobuf: the first byte chooses the request (1 metrics, all else logs), the rest is its
// bytes. Logs must be read as libprotobuf-c reads them, and must read after redaction whenever they did before; histograms must have
// bounds in order and a count for each of their buckets, and whatever metrics come, strict readers must take the exposition.

import Ingest
import OTLP
import PrometheusText
import TelemetryModel
import TelemetryTesting

/// What libprotobuf-c may take to unpack one; AddressSanitizer makes large allocations slow.
private let oracleBytesMax = 1 << 20
private let decoder = LogsDecoder()
private let redactor = Redactor(RedactionRules())

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = input.first else { return 0 }
    let body = Array(input.dropFirst())
    if first == 1 { checkMetrics(body) } else { checkLogs(body) }
    return 0
}

private func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}

private func checkLogs(_ body: [UInt8]) {
    guard let batch = try? decoder.decode(body) else { return }
    require(batch.bytes.count <= 4 * body.count, "repairs are out of proportion")
    require(batch.records.count <= decoder.limits.recordsMax, "too many records")
    if let oracle = ProtobufOracle.decodeLogsRequest(body, memoryMax: oracleBytesMax), !RepeatedMessages.areFound(inLogs: body),
        batch.rejections.tooDeep == 0
    {
        require(ComparableLogs.records(batch) == ComparableLogs.records(oracle), "libprotobuf-c reads another request")
    }
    do {
        let again = try decoder.decode(redactor.redacted(body, as: .logsRequest))
        require(again.records.count == batch.records.count, "records were lost")
        require(again.rejections == batch.rejections, "records are refused otherwise")
    } catch {
        // Redaction refuses a request for a value too deep; the decoder, a record.
        if let error = error as? OTLPDecodingError, case .malformed(.tooDeep) = error { return }
        require(false, "refused what decodes: \(error)")
    }
}

private func checkMetrics(_ body: [UInt8]) {
    let receipt = MetricsReceipt(unixNano: 1_800_000_000_000_000_000, instant: .now)
    let metrics = ClientMetrics(registry: MetricRegistry(), own: { [] }, now: { receipt })
    let request = metrics.request()
    var count = 0
    _ = try? MetricsDecoder.decode(body) { point in
        count += 1
        request.take(point)
        guard case .buckets(let bounds, let counts, _) = point.value else { return }
        require(counts.count == bounds.count + 1, "\(counts.count) counts of \(bounds.count) bounds")
        require(zip(bounds, bounds.dropFirst()).allSatisfy(<) && bounds.last != .infinity, "bounds: \(bounds)")
    }
    require(count <= body.count, "more points than bytes")
    for format in ExpositionFormat.allCases {
        let text = ExpositionEncoder.encode(metrics.families(), as: format)
        do {
            _ = try ExpositionCheck.samples(text, isOpenMetrics: format == .openMetrics100)
        } catch {
            require(false, "\(error)")
        }
        require(text.count <= metrics.limits.bytesMax + 6, "\(text.count) bytes")
    }
}
