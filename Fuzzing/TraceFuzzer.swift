// The libFuzzer target of scripts/fuzz.sh: everything that the bytes of a trace request meet before they are stored.
//
// The first byte chooses how the rest is encoded: 1 gzip, 2 deflate, 3 zstd, all else as it stands. Then the request is decoded, its
// columns are read, its nested values are written as JSON, it is encoded and decoded again, and what was decoded is compared with
// what libprotobuf-c makes of the same bytes. What must hold is checked, so that a wrong answer is a crash too.

import OTLP
import SemanticColumns
import TelemetryModel
import TelemetryTesting

/// A request may inflate to this much: small, so that bombs are cheap.
private let inflatedBytesMax = 1 << 20
/// What libprotobuf-c may take to unpack one; AddressSanitizer makes large allocations slow.
private let oracleBytesMax = 1 << 20
/// One in so many inputs is compared, by their size: comparing takes three times as long as all else.
private let oracleShare = 4
private let decoder = TraceDecoder()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = input.first else { return 0 }
    let encoding: ContentEncoding =
        switch first {
        case 1: .gzip
        case 2: .deflate
        case 3: .zstd
        default: .identity
        }
    do {
        let body = try Inflation.inflate(Array(input.dropFirst()), encoding, limit: inflatedBytesMax)
        require(body.count <= inflatedBytesMax, "inflated past the cap")
        let batch = try decoder.decode(body)
        check(batch, bodyCount: body.count)
        if body.count % oracleShare == 0 { compare(batch, body) }
    } catch {
        // Refused: a fine answer.
    }
    return 0
}

private func require(_ condition: Bool, _ message: StaticString) {
    if !condition { fatalError("\(message)") }
}

/// Where libprotobuf-c takes the bytes too, it must have found the same spans.
private func compare(_ batch: SpanBatch, _ body: [UInt8]) {
    guard let oracle = ProtobufOracle.decodeTraceRequest(body, memoryMax: oracleBytesMax), !RepeatedMessages.areFound(in: body)
    else { return }
    require(ComparableRequest(batch) == ComparableRequest(oracle), "libprotobuf-c reads another request")
}

private func check(_ batch: SpanBatch, bodyCount: Int) {
    require(batch.bytes.count <= 4 * bodyCount, "repairs are out of proportion")
    require(batch.byteCost <= 64 * bodyCount, "records are out of proportion")
    checkSlices(batch)
    writeJSON(batch)
    var reader = ColumnReader(table: .standard)
    let columns = columns(batch, &reader)

    let encoded = TraceRequestMessage.encode(batch)
    do {
        let again = try decoder.decode(encoded)
        require(again.rejections.total == 0, "encoded spans are refused")
        require(BatchContent(again) == BatchContent(batch), "encoding changes the batch")
        require(TraceFuzzer.columns(again, &reader) == columns, "encoding changes the columns")
    } catch {
        fatalError("encoded batch does not decode: \(error)")
    }
}

private func checkSlices(_ batch: SpanBatch) {
    let texts =
        batch.keys + batch.resources.map(\.schemaURL) + batch.scopes.flatMap { [$0.name, $0.version, $0.schemaURL] }
        + batch.spans.flatMap { [$0.name, $0.traceState, $0.statusMessage] } + batch.events.map(\.name)
        + batch.attributes.filter { $0.kind == .string }.map(\.slice)
    for slice in texts {
        require(String(validating: batch.bytes(slice), as: UTF8.self) != nil, "text is not UTF-8")
    }
    for attribute in batch.attributes {
        require(Int(attribute.key) < batch.keys.count, "key index out of range")
        if attribute.kind.isSlice { _ = batch.bytes(attribute.slice) }
    }
    for span in batch.spans {
        require(span.traceID.isValid && span.spanID.isValid && span.parentSpanID != span.spanID, "ids")
        require(span.startTimeUnixNano >= 0 && span.endTimeUnixNano >= 0, "times")
        require(Int(span.resource) < batch.resources.count && Int(span.scope) < batch.scopes.count, "envelopes")
    }
    _ = batch.resources.map { ResourceIdentity($0, batch) }
}

/// The columns of every span as plain values; one reader reads both batches of an input, as one reads all batches of a server.
private func columns(_ source: SpanBatch, _ reader: inout ColumnReader) -> [[[UInt8]]] {
    var batch = source
    reader.begin(&batch)
    return source.spans.map { span in
        reader.read(span, of: &batch)
        return Column.allCases.map { column in
            let value = reader.row[column]
            switch value.kind {
            case .none: return []
            case .integer: return Array("\(value.integer)".utf8)
            case .text:
                require(!value.slice.isEmpty, "an empty text is no value")
                require(String(validating: batch.bytes(value.slice), as: UTF8.self) != nil, "column is not UTF-8")
                return Array(batch.bytes(value.slice)) + [0]
            }
        }
    }
}

private func writeJSON(_ batch: SpanBatch) {
    var json = JSONWriter()
    for attribute in batch.attributes where attribute.kind.isSlice {
        WireJSON.value(attribute.kind, batch.bytes, attribute.slice.range, into: &json)
    }
    for resource in batch.resources { WireJSON.attributes(batch.bytes, resource.encoded.range, field: 1, into: &json) }
    for scope in batch.scopes { WireJSON.attributes(batch.bytes, scope.encoded.range, field: 3, into: &json) }
    for event in batch.events { WireJSON.event(batch.bytes, event.encoded.range, into: &json) }
    for link in batch.links { WireJSON.link(batch.bytes, link.range, into: &json) }
    require(String(validating: json.bytes, as: UTF8.self) != nil, "JSON is not UTF-8")
}
