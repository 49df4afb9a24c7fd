package import TelemetryModel

/// Reads an `ExportLogsServiceRequest` in one pass over its bytes.
///
/// It refuses as a whole what no protobuf reader could take: broken wire format, a field of the schema with another wire type. What is
/// wrong with a single record is counted in `LogBatch.rejections`, and the rest of the request goes on. An invalid trace or span id
/// makes a record one outside of a trace, as OTLP says.
package struct LogsDecoder: Sendable {
    /// Caps on what one request can make us hold.
    package struct Limits: Sendable {
        /// Levels of arrays and lists inside a value.
        package var valueDepthMax = 64
        /// A longer text is cut; a record with a longer body of another kind is refused, a longer attribute is dropped.
        package var valueBytesMax = 1 << 20
        /// OpenTelemetry SDKs keep 128 unless told otherwise.
        package var attributesPerRecordMax = 1024
        /// An empty record is two bytes on the wire and a hundred in memory: SDKs send 512 at a time.
        package var recordsMax = 1 << 18
        /// Attributes in one request.
        package var attributesMax = 4 << 20

        package init() {}
    }

    package let limits: Limits

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Decodes a whole request body. An empty body is a request without records.
    package func decode(_ body: [UInt8]) throws(OTLPDecodingError) -> LogBatch {
        var output = LogsDecoderOutput(limits: limits, bodyCount: body.count)
        do throws(WireError) {
            try output.request(body.span.bytes)
        } catch {
            // A resource's or scope's value; a record's is counted.
            throw error == .tooDeep ? .valueTooDeep(limit: limits.valueDepthMax) : .malformed(error)
        }
        return output.batch(over: body)
    }
}
