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

    /// Numbers of the names, by raw value.
    static let numbers = allCases.map { FixedColumn.number($0.name) }

    var section: Int {
        switch self {
        case .traceIndex: SegmentSections.identity
        case .flags: SegmentSections.rest
        default: SegmentSections.common
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

    /// Numbers of the names, by raw value.
    static let numbers = allCases.map { FixedColumn.number($0.columnName) }

    var section: Int {
        switch self {
        case .parentSpanID: SegmentSections.identity
        case .name, .statusMessage: SegmentSections.common
        case .traceState, .droppedAttributes, .droppedEvents, .droppedLinks: SegmentSections.rest
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
    static let none = [FixedColumn.events, FixedColumn.links, FixedColumn.overflow].map { BlobColumn(number: FixedColumn.number($0)) }

    /// Of the column's name.
    let number: Int
    private(set) var rows: [UInt32] = []
    private(set) var data: [UInt8] = []

    init(number: Int) { self.number = number }

    mutating func append(_ blob: [UInt8], row: Int) {
        rows.append(UInt32(truncatingIfNeeded: row))
        data.appendVarint(blob.count)
        data.append(contentsOf: blob)
    }
}

/// The sections of a segment that a commit writes, and how they are stored.
struct SegmentSections: ~Copyable {
    static let identity = 0
    /// What most queries read.
    static let common = 1
    static let rest = 2
    static let count = 3
    /// Sections of so many bytes together are one stream: to read one of them alone would save less than a row costs.
    private static let joinedBytesMax = 64 << 10

    private var identityBytes = RecordBuffer<UInt8>(capacity: 1 << 14)
    private var commonBytes = RecordBuffer<UInt8>(capacity: 1 << 14)
    private var restBytes = RecordBuffer<UInt8>(capacity: 1 << 14)

    mutating func removeAll() {
        identityBytes.removeAll()
        commonBytes.removeAll()
        restBytes.removeAll()
    }

    /// Puts a column behind a section's others.
    mutating func append(_ column: UnsafeRawBufferPointer, to number: Int) {
        switch number {
        case Self.identity: identityBytes.append(column)
        case Self.common: commonBytes.append(column)
        default: restBytes.append(column)
        }
    }

    var counts: (identity: Int, common: Int, rest: Int) { (identityBytes.count, commonBytes.count, restBytes.count) }

    var isJoined: Bool { identityBytes.count + commonBytes.count + restBytes.count <= Self.joinedBytesMax }

    /// The frames of the streams. Ends what was in the sections.
    mutating func frames(_ compressor: ZstandardCompressor) throws(SegmentError) -> [[UInt8]] {
        guard isJoined else {
            return [
                try StoredFrame.stored(identityBytes, compressor), try StoredFrame.stored(commonBytes, compressor),
                try StoredFrame.stored(restBytes, compressor),
            ]
        }
        commonBytes.withUnsafeBytes { identityBytes.append($0) }
        restBytes.withUnsafeBytes { identityBytes.append($0) }
        return [try StoredFrame.stored(identityBytes, compressor)]
    }
}

/// Trace ids, numbered by first appearance.
struct TraceTable: ~Copyable {
    private(set) var ids: [TraceID] = []
    /// Number plus one of the trace in each slot; a power of two of slots, at most half of them taken.
    private var slots = RecordBuffer<UInt32>()
    private var last = 0
    private var seed: HashSeed
    /// Traces from which on another seed may be taken: as in `ByteStringTable`.
    private var reseedingCount = 0
    /// Slots that were passed over to place traces.
    private(set) var probeCount = 0

    /// - Parameter seed: another one than the process's for tests alone.
    init(seed: HashSeed = .process) {
        self.seed = seed
    }

    mutating func removeAll() {
        ids.removeAll(keepingCapacity: true)
        slots.removeAll()
        slots.resize(to: 256, filling: 0)
        last = -1
        reseedingCount = 0
    }

    @inline(__always)
    mutating func index(of trace: TraceID) -> Int {
        if last >= 0 && ids[last] == trace { return last }
        last = lookUp(trace)
        return last
    }

    private mutating func lookUp(_ trace: TraceID) -> Int {
        let first = slot(trace)
        var slot = first
        while slots[slot] != 0 {
            let candidate = Int(slots[slot] - 1)
            if ids[candidate] == trace { return candidate }
            slot = (slot + 1) & (slots.count - 1)
        }
        ids.append(trace)
        slots[slot] = UInt32(truncatingIfNeeded: ids.count)
        var probes = (slot - first) & (slots.count - 1)
        probeCount += probes
        if ids.count * 2 > slots.count { probes = placeAll(slotCount: slots.count * 2) }
        if probes > ByteStringTable.probesMax && ids.count >= reseedingCount {
            seed = .random()
            reseedingCount = ids.count * 2
            _ = placeAll(slotCount: slots.count)
        }
        return ids.count - 1
    }

    private func slot(_ trace: TraceID) -> Int {
        Int(truncatingIfNeeded: ByteHash.hash(trace.high, trace.low, seed)) & (slots.count - 1)
    }

    /// The longest way to a slot.
    private mutating func placeAll(slotCount count: Int) -> Int {
        slots.removeAll()
        slots.resize(to: count, filling: 0)
        var longest = 0
        for (index, trace) in ids.enumerated() {
            let first = slot(trace)
            var slot = first
            while slots[slot] != 0 { slot = (slot + 1) & (count - 1) }
            slots[slot] = UInt32(truncatingIfNeeded: index + 1)
            probeCount += (slot - first) & (count - 1)
            longest = max(longest, (slot - first) & (count - 1))
        }
        return longest
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
