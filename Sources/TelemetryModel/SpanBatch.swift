/// Where a string or an encoded value lies in `SpanBatch.bytes`. Both halves fit 32 bits since a request is at most 64 MiB.
public struct ByteSlice: Hashable, Sendable {
    public var offset: UInt32
    public var count: UInt32

    @inlinable
    public init(offset: UInt32, count: UInt32) {
        self.offset = offset
        self.count = count
    }

    @inlinable
    public init(_ range: WireRange) {
        offset = UInt32(truncatingIfNeeded: range.offset)
        count = UInt32(truncatingIfNeeded: range.count)
    }

    @inlinable
    public var isEmpty: Bool { count == 0 }

    @inlinable
    public var range: WireRange { WireRange(offset: Int(offset), count: Int(count)) }

    public static let empty = ByteSlice(offset: 0, count: 0)
}

/// What an attribute's value is. Raw values are stored in segments and never change meaning.
public enum AttributeKind: UInt8, Sendable {
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
    public var isSlice: Bool { self == .string || rawValue >= AttributeKind.array.rawValue }
}

/// One attribute: 16 bytes. What `payload` holds depends on `kind`: the slice of a string, array, list or bytes; the bit pattern
/// of an int or a double; 0 or 1 of a bool.
public struct AttributeRecord: Sendable {
    /// Index into `SpanBatch.keys`.
    public var key: UInt32
    public var kind: AttributeKind
    public var payload: UInt64

    @inlinable
    public init(key: UInt32, kind: AttributeKind, payload: UInt64) {
        self.key = key
        self.kind = kind
        self.payload = payload
    }

    @inlinable
    public init(key: UInt32, kind: AttributeKind, slice: ByteSlice) {
        self.init(key: key, kind: kind, payload: UInt64(slice.offset) << 32 | UInt64(slice.count))
    }

    /// The value's slice; meaningful when `kind.isSlice`.
    @inlinable
    public var slice: ByteSlice {
        ByteSlice(offset: UInt32(truncatingIfNeeded: payload >> 32), count: UInt32(truncatingIfNeeded: payload))
    }

    @inlinable
    public var int: Int64 { Int64(bitPattern: payload) }

    @inlinable
    public var double: Double { Double(bitPattern: payload) }

    @inlinable
    public var bool: Bool { payload != 0 }
}

/// A run of records in one of the batch's flat arrays.
public struct RecordRange: Sendable {
    public var start: UInt32
    public var count: UInt32

    @inlinable
    public init(start: UInt32 = 0, count: UInt32 = 0) {
        self.start = start
        self.count = count
    }

    @inlinable
    public var indices: Range<Int> { Int(start)..<Int(start) + Int(count) }
}

/// Who sent the spans: one for each `ResourceSpans`.
public struct ResourceRecord: Sendable {
    /// The encoded `Resource` message, stored as it came.
    public var encoded = ByteSlice.empty
    public var attributes = RecordRange()
    public var schemaURL = ByteSlice.empty

    public init() {}
}

/// What made the spans: one for each `ScopeSpans`.
public struct ScopeRecord: Sendable {
    /// The encoded `InstrumentationScope` message, stored as it came.
    public var encoded = ByteSlice.empty
    public var name = ByteSlice.empty
    public var version = ByteSlice.empty
    public var schemaURL = ByteSlice.empty

    public init() {}
}

/// Something that happened at a moment of a span.
public struct EventRecord: Sendable {
    /// The encoded `Span.Event` message, stored as it came.
    public var encoded = ByteSlice.empty
    public var name = ByteSlice.empty
    /// Nanoseconds since 1970; clamped to `Int64.max`.
    public var timeUnixNano: Int64 = 0
    public var attributes = RecordRange()

    public init() {}
}

/// One span, its strings and values as slices and ranges of its batch.
public struct SpanRecord: Sendable {
    public var traceID = TraceID(high: 0, low: 0)
    public var spanID = SpanID(0)
    /// Zero for a root.
    public var parentSpanID = SpanID(0)
    /// Nanoseconds since 1970; 0 when the client gave none.
    public var startTimeUnixNano: Int64 = 0
    public var endTimeUnixNano: Int64 = 0
    public var name = ByteSlice.empty
    public var traceState = ByteSlice.empty
    public var statusMessage = ByteSlice.empty
    /// `Span.SpanKind` of OTLP; values out of its range are kept.
    public var kind: Int32 = 0
    /// 0 unset, 1 ok, 2 error; values out of range are kept.
    public var statusCode: Int32 = 0
    public var flags: UInt32 = 0
    public var attributes = RecordRange()
    public var events = RecordRange()
    /// Slices of encoded `Span.Link` messages with valid ids: a run of `SpanBatch.links`.
    public var links = RecordRange()
    public var droppedAttributesCount: UInt32 = 0
    public var droppedEventsCount: UInt32 = 0
    public var droppedLinksCount: UInt32 = 0
    public var resource: UInt32 = 0
    public var scope: UInt32 = 0
    /// Hash of the encoded span: tells a re-sent span from another one that took its id.
    public var contentHash: UInt32 = 0

    public init() {}

    /// What tells it from every other span.
    @inlinable
    public var identity: SpanIdentity {
        SpanIdentity(trace: traceID, span: spanID, isServerSide: kind == Self.serverKind)
    }

    /// `SPAN_KIND_SERVER`.
    public static let serverKind: Int32 = 2

    /// End minus start; 0 when the clock ran backwards, `nil` when the client gave no end.
    @inlinable
    public var durationNanoseconds: Int64? {
        guard endTimeUnixNano > 0 else { return nil }
        return endTimeUnixNano > startTimeUnixNano ? endTimeUnixNano - startTimeUnixNano : 0
    }
}

/// Why spans of a request were not taken; each is counted and reported in `partial_success`.
public struct SpanRejections: Equatable, Sendable {
    /// Trace or span id missing, all zero or of the wrong length.
    public var invalidIDs = 0
    /// A time beyond the year 2262, which no signed 64-bit nanosecond clock can hold.
    public var timesOutOfRange = 0
    /// Ended at or before the retention floor: it may have been stored and deleted before.
    public var tooOld = 0

    public init() {}

    public var total: Int { invalidIDs + timesOutOfRange + tooOld }
}

/// The spans of one export request, decoded into flat arrays over the request's own bytes.
///
/// A value: whoever holds it owns all of it. Strings are valid UTF-8 (what came malformed was repaired with U+FFFD in bytes
/// appended behind the request's). Arrays, lists, events and links keep their wire encoding, so that they are stored as they came.
public struct SpanBatch: Sendable {
    public var bytes: [UInt8]
    /// The distinct attribute keys of the batch.
    public var keys: [ByteSlice] = []
    public var resources: [ResourceRecord] = []
    public var scopes: [ScopeRecord] = []
    public var spans: [SpanRecord] = []
    public var attributes: [AttributeRecord] = []
    public var events: [EventRecord] = []
    public var links: [ByteSlice] = []
    public var rejections = SpanRejections()

    public init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The text of a slice.
    public func string(_ slice: ByteSlice) -> String {
        String(decoding: bytes[slice.range.offset..<slice.range.end], as: UTF8.self)
    }

    /// The bytes of a slice.
    public func bytes(_ slice: ByteSlice) -> ArraySlice<UInt8> {
        bytes[slice.range.offset..<slice.range.end]
    }

    /// Whether a slice holds exactly this text.
    public func equals(_ slice: ByteSlice, _ text: String) -> Bool {
        Int(slice.count) == text.utf8.count && hasPrefix(slice, text)
    }

    /// Whether a slice begins with this text.
    public func hasPrefix(_ slice: ByteSlice, _ text: String) -> Bool {
        let prefix = text.utf8.span.bytes
        guard Int(slice.count) >= prefix.byteCount else { return false }
        let range = WireRange(offset: Int(slice.offset), count: prefix.byteCount)
        return RawSpanComparison.areEqual(bytes.span.bytes, range, prefix, WireRange(offset: 0, count: prefix.byteCount))
    }

    /// Puts a text behind the bytes and gives its slice.
    public mutating func append(_ text: String) -> ByteSlice {
        let offset = bytes.count
        bytes.append(contentsOf: text.utf8)
        return ByteSlice(WireRange(offset: offset, count: bytes.count - offset))
    }

    /// Bytes that the batch holds in memory, for admission: the request's and the records'.
    public var byteCost: Int {
        bytes.count + spans.count * MemoryLayout<SpanRecord>.stride + attributes.count * MemoryLayout<AttributeRecord>.stride
            + events.count * MemoryLayout<EventRecord>.stride
    }
}
