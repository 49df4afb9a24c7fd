// The libFuzzer target of OTLP/JSON: the first byte chooses the request (1 metrics, 2 logs, 3 one that is not known, all else traces), the
// rest is its text. What is transcoded must be protobuf that our decoder and libprotobuf-c read alike, within its limit.

import OTLP
import TelemetryModel
import TelemetryTesting

/// Bytes of the protobuf form: small, so that the limit is met.
private let outputBytesMax = 1 << 18
/// What libprotobuf-c may take to unpack one; AddressSanitizer makes large allocations slow.
private let oracleBytesMax = 1 << 20
private let decoder = TraceDecoder()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = input.first else { return 0 }
    let root: MessageName =
        switch first {
        case 1: .metricsRequest
        case 2: .logsRequest
        case 3: .unknown
        default: .traceRequest
        }
    do {
        let body = try JSONTranscoder.protobuf(Array(input.dropFirst()), as: root, limit: outputBytesMax)
        // The limit is looked at after each message, whose lengths come on top.
        require(body.count <= 2 * (outputBytesMax + count), "the output is past the limit")
        if root == .traceRequest { check(body) } else { _ = try RecordCounter.records(in: body) }
    } catch is JSONDecodingError {
        // Refused: a fine answer.
    } catch {
        require(false, "what was transcoded is no protobuf")
    }
    return 0
}

private func require(_ condition: Bool, _ message: StaticString) {
    if !condition { fatalError("\(message)") }
}

private func check(_ body: [UInt8]) {
    let batch: SpanBatch
    do {
        batch = try decoder.decode(body)
    } catch {
        guard case .valueTooDeep = error else { return require(false, "our decoder refuses what was transcoded") }
        return
    }
    if let oracle = ProtobufOracle.decodeTraceRequest(body, memoryMax: oracleBytesMax), !RepeatedMessages.areFound(in: body) {
        require(ComparableRequest(batch) == ComparableRequest(oracle), "libprotobuf-c reads another request")
    }
}
