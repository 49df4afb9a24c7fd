import TelemetryModel

// What a segment is put together from while `SegmentEncoder` encodes it.

/// Fixed integers that every span has.
enum IntegerColumn: Int, CaseIterable {
    case traceIndex, start, duration, received, kind, statusCode, flags, resource, scope

    var name: String {
        switch self {
        case .traceIndex: FixedColumn.traceIndex
        case .start: FixedColumn.start
        case .duration: FixedColumn.duration
        case .received: FixedColumn.received
        case .kind: FixedColumn.kind
        case .statusCode: FixedColumn.statusCode
        case .flags: FixedColumn.flags
        case .resource: FixedColumn.resource
        case .scope: FixedColumn.scope
        }
    }

    var stream: Int {
        switch self {
        case .traceIndex: SegmentStreams.identity
        case .flags: SegmentStreams.rest
        default: SegmentStreams.common
        }
    }
}

/// Fixed fields that some spans have, or that are text: they go the way of attributes.
enum FieldColumn: Int, CaseIterable {
    case name, statusMessage, traceState, parentSpanID, droppedAttributes, droppedEvents, droppedLinks

    var columnName: String {
        switch self {
        case .name: FixedColumn.name
        case .statusMessage: FixedColumn.statusMessage
        case .traceState: FixedColumn.traceState
        case .parentSpanID: FixedColumn.parentSpanID
        case .droppedAttributes: FixedColumn.droppedAttributes
        case .droppedEvents: FixedColumn.droppedEvents
        case .droppedLinks: FixedColumn.droppedLinks
        }
    }

    var kind: AttributeKind {
        switch self {
        case .name, .statusMessage, .traceState: .string
        case .parentSpanID, .droppedAttributes, .droppedEvents, .droppedLinks: .int
        }
    }

    var stream: Int {
        switch self {
        case .parentSpanID: SegmentStreams.identity
        case .name, .statusMessage: SegmentStreams.common
        case .traceState, .droppedAttributes, .droppedEvents, .droppedLinks: SegmentStreams.rest
        }
    }

    /// The value as in `AttributeRecord`; `nil` when the span has none.
    @inline(__always)
    func payload(_ span: SpanRecord) -> UInt64? {
        switch self {
        case .name: Self.text(span.name)
        case .statusMessage: span.statusMessage.isEmpty ? nil : Self.text(span.statusMessage)
        case .traceState: span.traceState.isEmpty ? nil : Self.text(span.traceState)
        case .parentSpanID: span.parentSpanID.isValid ? span.parentSpanID.value : nil
        case .droppedAttributes: span.droppedAttributesCount > 0 ? UInt64(span.droppedAttributesCount) : nil
        case .droppedEvents: span.droppedEventsCount > 0 ? UInt64(span.droppedEventsCount) : nil
        case .droppedLinks: span.droppedLinksCount > 0 ? UInt64(span.droppedLinksCount) : nil
        }
    }

    @inline(__always)
    private static func text(_ slice: ByteSlice) -> UInt64 { AttributeRecord(key: 0, kind: .string, slice: slice).payload }
}

/// A column of bytes that few spans have.
struct BlobColumn {
    static let events = 0
    static let links = 1
    static let overflow = 2
    static let none = [FixedColumn.events, FixedColumn.links, FixedColumn.overflow].map { BlobColumn(name: $0) }

    let name: String
    private(set) var rows: [UInt32] = []
    private(set) var data: [UInt8] = []

    init(name: String) { self.name = name }

    mutating func append(_ blob: [UInt8], row: Int) {
        rows.append(UInt32(truncatingIfNeeded: row))
        data.appendVarint(blob.count)
        data.append(contentsOf: blob)
    }
}

/// The inflated streams of a segment that a commit writes.
struct SegmentStreams: ~Copyable {
    static let identity = 0
    /// What most queries read.
    static let common = 1
    static let rest = 2
    static let count = 3

    private var identityBytes = RecordBuffer<UInt8>(capacity: 1 << 14)
    private var commonBytes = RecordBuffer<UInt8>(capacity: 1 << 14)
    private var restBytes = RecordBuffer<UInt8>(capacity: 1 << 14)

    mutating func removeAll() {
        identityBytes.removeAll()
        commonBytes.removeAll()
        restBytes.removeAll()
    }

    /// Puts a column behind a stream's others; gives its offset.
    mutating func append(_ column: UnsafeRawBufferPointer, to number: Int) -> Int {
        let offset = byteCount(number)
        switch number {
        case Self.identity: identityBytes.append(column)
        case Self.common: commonBytes.append(column)
        default: restBytes.append(column)
        }
        return offset
    }

    func byteCount(_ number: Int) -> Int {
        switch number {
        case Self.identity: identityBytes.count
        case Self.common: commonBytes.count
        default: restBytes.count
        }
    }

    func withUnsafeBytes<Value>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        switch number {
        case Self.identity: identityBytes.withUnsafeBytes(body)
        case Self.common: commonBytes.withUnsafeBytes(body)
        default: restBytes.withUnsafeBytes(body)
        }
    }
}

/// Trace ids, numbered by first appearance.
struct TraceTable: ~Copyable {
    private(set) var ids: [TraceID] = []
    /// Number plus one of the trace in each slot; a power of two of slots, at most half of them taken.
    private var slots = RecordBuffer<UInt32>()
    private var last = 0
    /// Keeps clients from choosing ids that collide.
    private static let seed = UInt64.random(in: .min ... .max)

    mutating func removeAll() {
        ids.removeAll(keepingCapacity: true)
        slots.removeAll()
        slots.resize(to: 256, filling: 0)
        last = -1
    }

    @inline(__always)
    mutating func index(of trace: TraceID) -> Int {
        if last >= 0 && ids[last] == trace { return last }
        last = lookUp(trace)
        return last
    }

    private mutating func lookUp(_ trace: TraceID) -> Int {
        var slot = slot(trace)
        while slots[slot] != 0 {
            let candidate = Int(slots[slot] - 1)
            if ids[candidate] == trace { return candidate }
            slot = (slot + 1) & (slots.count - 1)
        }
        ids.append(trace)
        slots[slot] = UInt32(truncatingIfNeeded: ids.count)
        if ids.count * 2 > slots.count { grow() }
        return ids.count - 1
    }

    private func slot(_ trace: TraceID) -> Int {
        Int(truncatingIfNeeded: ByteHash.mix(trace.high ^ Self.seed, trace.low ^ 0x9E37_79B9_7F4A_7C15)) & (slots.count - 1)
    }

    private mutating func grow() {
        let count = slots.count * 2
        slots.removeAll()
        slots.resize(to: count, filling: 0)
        for (index, trace) in ids.enumerated() {
            var slot = slot(trace)
            while slots[slot] != 0 { slot = (slot + 1) & (count - 1) }
            slots[slot] = UInt32(truncatingIfNeeded: index + 1)
        }
    }
}

/// Distinct byte strings, numbered by first appearance, one after the other.
struct EncodedTable {
    private(set) var bytes: [UInt8] = []
    private var numbers: [[UInt8]: Int32] = [:]
    private var last: (entry: [UInt8], number: Int32)?

    var count: Int { numbers.count }

    mutating func index(of entry: [UInt8]) -> Int32 {
        // A client's requests follow each other.
        if let last, last.entry == entry { return last.number }
        let number = numbers[entry] ?? add(entry)
        last = (entry, number)
        return number
    }

    private mutating func add(_ entry: [UInt8]) -> Int32 {
        let number = Int32(truncatingIfNeeded: numbers.count)
        numbers[entry] = number
        bytes.append(contentsOf: entry)
        return number
    }
}
