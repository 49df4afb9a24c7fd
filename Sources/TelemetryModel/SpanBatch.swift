/// Where a string or an encoded value lies in `SpanBatch.bytes`. Both halves fit 32 bits since a request is at most 64 MiB.
package struct ByteSlice: Hashable, Sendable {
    package var offset: UInt32
    package var count: UInt32

    @inlinable
    package init(offset: UInt32, count: UInt32) {
        self.offset = offset
        self.count = count
    }

    @inlinable
    package init(_ range: WireRange) {
        offset = UInt32(truncatingIfNeeded: range.offset)
        count = UInt32(truncatingIfNeeded: range.count)
    }

    @inlinable
    package var isEmpty: Bool { count == 0 }

    @inlinable
    package var range: WireRange { WireRange(offset: Int(offset), count: Int(count)) }

    package static let empty = ByteSlice(offset: 0, count: 0)
}

/// What an attribute's value is. Raw values are stored in segments and never change meaning.
package enum AttributeKind: UInt8, Sendable {
    /// An `AnyValue` with nothing set, which OTLP allows.
    case empty = 0
    case string = 1
    case bool = 2
    case int = 3
    case double = 4
    /// The bytes of an encoded `ArrayValue`, checked for structure and depth.
    case array = 5
    /// The bytes of an encoded `KeyValueList`, checked for structure and depth.
    case keyValueList = 6
    case bytes = 7

    /// True when the value lies in `SpanBatch.bytes` and the payload is its slice.
    @inlinable
    package var isSlice: Bool { self == .string || rawValue >= AttributeKind.array.rawValue }
}

/// One attribute: 16 bytes. What `payload` holds depends on `kind`: the slice of a string, array, list or bytes; the bit pattern
/// of an int or a double; 0 or 1 of a bool.
package struct AttributeRecord: Sendable {
    /// Index into `SpanBatch.keys`.
    package var key: UInt32
    package var kind: AttributeKind
    package var payload: UInt64

    @inlinable
    package init(key: UInt32, kind: AttributeKind, payload: UInt64) {
        self.key = key
        self.kind = kind
        self.payload = payload
    }

    @inlinable
    package init(key: UInt32, kind: AttributeKind, slice: ByteSlice) {
        self.init(key: key, kind: kind, payload: UInt64(slice.offset) << 32 | UInt64(slice.count))
    }

    /// The value's slice; meaningful when `kind.isSlice`.
    @inlinable
    package var slice: ByteSlice {
        ByteSlice(offset: UInt32(truncatingIfNeeded: payload >> 32), count: UInt32(truncatingIfNeeded: payload))
    }

    @inlinable
    package var int: Int64 { Int64(bitPattern: payload) }

    @inlinable
    package var double: Double { Double(bitPattern: payload) }

    @inlinable
    package var bool: Bool { payload != 0 }
}

/// A run of records in one of the batch's flat arrays.
package struct RecordRange: Sendable {
    package var start: UInt32
    package var count: UInt32

    @inlinable
    package init(start: UInt32 = 0, count: UInt32 = 0) {
        self.start = start
        self.count = count
    }

    @inlinable
    package var indices: Range<Int> { Int(start)..<Int(start) + Int(count) }
}

/// Who sent the spans: one for each `ResourceSpans`.
package struct ResourceRecord: Sendable {
    /// The encoded `Resource` message, stored as it came.
    package var encoded = ByteSlice.empty
    package var attributes = RecordRange()
    package var schemaURL = ByteSlice.empty

    package init() {}
}

/// What made the spans: one for each `ScopeSpans`.
package struct ScopeRecord: Sendable {
    /// The encoded `InstrumentationScope` message, stored as it came.
    package var encoded = ByteSlice.empty
    package var name = ByteSlice.empty
    package var version = ByteSlice.empty
    package var schemaURL = ByteSlice.empty

    package init() {}
}

/// Something that happened at a moment of a span.
package struct EventRecord: Sendable {
    /// The encoded `Span.Event` message, stored as it came.
    package var encoded = ByteSlice.empty
    package var name = ByteSlice.empty
    /// Nanoseconds since 1970; clamped to `Int64.max`.
    package var timeUnixNano: Int64 = 0
    package var attributes = RecordRange()

    package init() {}
}

/// One span, its strings and values as slices and ranges of its batch.
package struct SpanRecord: Sendable {
    package var traceID = TraceID(high: 0, low: 0)
    package var spanID = SpanID(0)
    /// Zero for a root.
    package var parentSpanID = SpanID(0)
    /// Nanoseconds since 1970; 0 when the client gave none.
    package var startTimeUnixNano: Int64 = 0
    package var endTimeUnixNano: Int64 = 0
    package var name = ByteSlice.empty
    package var traceState = ByteSlice.empty
    package var statusMessage = ByteSlice.empty
    /// `Span.SpanKind` of OTLP; values out of its range are kept.
    package var kind: Int32 = 0
    /// 0 unset, 1 ok, 2 error; values out of range are kept.
    package var statusCode: Int32 = 0
    package var flags: UInt32 = 0
    package var attributes = RecordRange()
    package var events = RecordRange()
    /// Slices of encoded `Span.Link` messages with valid ids: a run of `SpanBatch.links`.
    package var links = RecordRange()
    package var droppedAttributesCount: UInt32 = 0
    package var droppedEventsCount: UInt32 = 0
    package var droppedLinksCount: UInt32 = 0
    package var resource: UInt32 = 0
    package var scope: UInt32 = 0
    /// Hash of the encoded span: tells a re-sent span from another one that took its id.
    package var contentHash: UInt32 = 0

    package init() {}

    /// End minus start; 0 when the clock ran backwards, `nil` when the client gave no end.
    @inlinable
    package var durationNanoseconds: Int64? {
        guard endTimeUnixNano > 0 else { return nil }
        return endTimeUnixNano > startTimeUnixNano ? endTimeUnixNano - startTimeUnixNano : 0
    }
}

/// Why spans of a request were not taken; each is counted and reported in `partial_success`.
package struct SpanRejections: Equatable, Sendable {
    /// Trace or span id missing, all zero or of the wrong length.
    package var invalidIDs = 0
    /// A time beyond the year 2262, which no signed 64-bit nanosecond clock can hold.
    package var timesOutOfRange = 0
    /// Ended at or before the retention floor: it may have been stored and deleted before.
    package var tooOld = 0

    package init() {}

    package var total: Int { invalidIDs + timesOutOfRange + tooOld }
}

/// The spans of one export request, decoded into flat arrays over the request's own bytes.
///
/// A value: whoever holds it owns all of it. Strings are valid UTF-8 (what came malformed was repaired with U+FFFD in bytes
/// appended behind the request's). Arrays, lists, events and links keep their wire encoding, so that they are stored as they came.
package struct SpanBatch: Sendable {
    package var bytes: [UInt8]
    /// The distinct attribute keys of the batch.
    package var keys: [ByteSlice] = []
    package var resources: [ResourceRecord] = []
    package var scopes: [ScopeRecord] = []
    package var spans: [SpanRecord] = []
    package var attributes: [AttributeRecord] = []
    package var events: [EventRecord] = []
    package var links: [ByteSlice] = []
    package var rejections = SpanRejections()

    package init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The text of a slice.
    package func string(_ slice: ByteSlice) -> String {
        String(decoding: bytes[slice.range.offset..<slice.range.end], as: UTF8.self)
    }

    /// The bytes of a slice.
    package func bytes(_ slice: ByteSlice) -> ArraySlice<UInt8> {
        bytes[slice.range.offset..<slice.range.end]
    }

    /// Whether a slice holds exactly this text.
    package func equals(_ slice: ByteSlice, _ text: String) -> Bool {
        Int(slice.count) == text.utf8.count && bytes(slice).elementsEqual(text.utf8)
    }

    /// Puts a text behind the bytes and gives its slice.
    package mutating func append(_ text: String) -> ByteSlice {
        let offset = bytes.count
        bytes.append(contentsOf: text.utf8)
        return ByteSlice(WireRange(offset: offset, count: bytes.count - offset))
    }

    /// Bytes that the batch holds in memory, for admission: the request's and the records'.
    package var byteCost: Int {
        bytes.count + spans.count * MemoryLayout<SpanRecord>.stride + attributes.count * MemoryLayout<AttributeRecord>.stride
            + events.count * MemoryLayout<EventRecord>.stride
    }
}
