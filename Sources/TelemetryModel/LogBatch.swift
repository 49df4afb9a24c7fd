/// One log record, its strings and values as slices of its batch.
package struct LogRecord: Sendable {
    /// Not valid for a record outside of a trace.
    package var traceID = TraceID(high: 0, low: 0)
    /// Zero for a record outside of a span.
    package var spanID = SpanID(0)
    /// When it happened, nanoseconds since 1970; 0 when the client did not know.
    package var timeUnixNano: Int64 = 0
    /// When a collector or library saw it; 0 when the client gave none.
    package var observedTimeUnixNano: Int64 = 0
    /// `SeverityNumber` of OTLP, 1 to 24; 0 unset; values out of its range are kept.
    package var severityNumber: Int32 = 0
    package var severityText = ByteSlice.empty
    package var eventName = ByteSlice.empty
    /// The body; its key means nothing.
    package var body = AttributeRecord(key: 0, kind: .empty, payload: 0)
    /// A run of `LogBatch.attributes`.
    package var attributes = RecordRange()
    package var flags: UInt32 = 0
    package var droppedAttributesCount: UInt32 = 0
    package var resource: UInt32 = 0
    package var scope: UInt32 = 0

    package init() {}
}

/// Why log records of a request were not taken; each is counted and reported in `partial_success`.
package struct LogRejections: Equatable, Sendable {
    /// A time beyond the year 2262, which no signed 64-bit nanosecond clock can hold.
    package var timesOutOfRange = 0
    /// A value nested deeper than the decoder's limit.
    package var tooDeep = 0
    /// A body that is longer than the decoder's limit and no text, which could be cut.
    package var tooLarge = 0
    /// Past the records that one request may have.
    package var tooMany = 0

    package init() {}

    package var total: Int { timesOutOfRange + tooDeep + tooLarge + tooMany }
}

/// The log records of one export request, decoded into flat arrays over the request's own bytes.
///
/// A value: whoever holds it owns all of it. Names and bodies of text are valid UTF-8. Attributes, and bodies that are arrays or lists,
/// keep their wire encoding, checked for structure and depth, so that they are stored as they came.
package struct LogBatch: Sendable {
    package var bytes: [UInt8]
    package var resources: [ResourceRecord] = []
    package var scopes: [ScopeRecord] = []
    package var records: [LogRecord] = []
    /// Encoded `KeyValue` messages.
    package var attributes: [ByteSlice] = []
    package var rejections = LogRejections()

    package init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The bytes of a slice.
    package func bytes(_ slice: ByteSlice) -> ArraySlice<UInt8> {
        bytes[slice.range.offset..<slice.range.end]
    }

    /// The text of a slice.
    package func string(_ slice: ByteSlice) -> String {
        String(decoding: bytes(slice), as: UTF8.self)
    }

    /// Whether a slice holds exactly this text.
    package func equals(_ slice: ByteSlice, _ text: String) -> Bool {
        Int(slice.count) == text.utf8.count && bytes(slice).elementsEqual(text.utf8)
    }

    /// Bytes that the batch holds in memory, for admission: the request's and the records'.
    package var byteCost: Int {
        bytes.count + records.count * MemoryLayout<LogRecord>.stride + attributes.count * MemoryLayout<ByteSlice>.stride
    }
}
