package import TelemetryModel

/// Reads an `ExportTraceServiceRequest` in one pass over its bytes.
///
/// What it refuses as a whole is what no protobuf reader could take: broken wire format, values nested past the limit, a field of
/// the schema with another wire type (silently skipping it would lose data). What is wrong with a single span is counted in
/// `SpanBatch.rejections`, and the rest of the request goes on. Malformed UTF-8 is mended, overlong values are cut, and what is
/// past a count limit is dropped and counted in the span's own dropped counts.
package struct TraceDecoder: Sendable {
    /// Caps on what one request can make us hold.
    package struct Limits: Sendable {
        /// Levels of arrays and lists inside an attribute value. Common protobuf runtimes stop at about 47.
        package var valueDepthMax = 64
        /// A longer string is cut; a longer array, list, bytes value or event is dropped. Prompts of 200,000 tokens fit.
        package var valueBytesMax = 1 << 20
        /// OpenTelemetry SDKs keep 128 unless told otherwise.
        package var attributesPerSpanMax = 1024
        package var eventsPerSpanMax = 1024
        package var linksPerSpanMax = 1024
        /// Attributes in one request, spans' and events' together: bounds the records of a body that is all tiny attributes.
        package var attributesMax = 4 << 20
        /// Distinct attribute keys in one request; one with more is refused. Agents use hundreds: what varies belongs into values.
        package var keysMax = 20_000
        /// Events in one request: bounds the records of a body that is all tiny events.
        package var eventsMax = 1 << 20

        package init() {}
    }

    package let limits: Limits

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Decodes a whole request body. An empty body is a request without spans.
    package func decode(_ body: [UInt8]) throws(OTLPDecodingError) -> SpanBatch {
        var output = TraceDecoderOutput(limits: limits, bodyCount: body.count)
        do throws(WireError) {
            try output.request(body.span.bytes)
        } catch {
            switch error {
            case .tooDeep: throw .valueTooDeep(limit: limits.valueDepthMax)
            case .tooManyKeys: throw .tooManyKeys(limit: limits.keysMax)
            default: throw .malformed(error)
            }
        }
        return output.batch(over: body)
    }
}
