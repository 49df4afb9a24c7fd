public import TelemetryModel

/// The spans that one commit stores: batches as they were decoded, which of their spans were taken, and what was derived of each.
///
/// A value: the thread that gathered it hands it to the one that encodes it. For each batch: `append` its new spans, the derived
/// columns of each before it, then `add` the batch.
public struct SpanGroup: Sendable {
    struct Entry: Sendable {
        /// The span's position in its batch.
        var span: UInt32
        var contentHash: UInt32
        var identity: SpanIdentity
        /// A run of `derived`.
        var derived: RecordRange
        var annotations: SpanAnnotations
    }

    struct DerivedValue: Sendable {
        /// Its position among the derived columns.
        var column: UInt8
        var value: ColumnValue
    }

    /// A batch and the entries of its spans.
    struct Part: Sendable {
        var batch: SpanBatch
        var entries: Range<Int>
    }

    private(set) var parts: [Part] = []
    private(set) var entries: [Entry] = []
    private(set) var derived: [DerivedValue] = []
    /// Where the derived values of the span that is appended next start.
    private var derivedStart = 0
    /// Room for derived values that a span is given; most have fewer.
    private static let derivedPerSpan = 10
    /// Hashes by identity of the first `indexedCount` entries: made when somebody asks.
    private var index: [SpanIdentity: UInt32] = [:]
    private var indexedCount = 0

    public init() {}

    public var spanCount: Int { entries.count }
    public var isEmpty: Bool { entries.isEmpty }

    /// Makes room for the spans of a batch, so that taking them moves nothing.
    public mutating func reserve(spanCount: Int) {
        let needed = min(entries.count + spanCount, SegmentFormat.spansPerCommitMax)
        guard entries.capacity < needed else { return }
        let wanted = max(needed, 2 * entries.capacity)
        entries.reserveCapacity(wanted)
        derived.reserveCapacity(wanted * Self.derivedPerSpan)
    }

    /// Takes a span of the batch that is added next.
    @inline(__always)
    public mutating func append(_ span: SpanRecord, at position: Int, annotations: SpanAnnotations) {
        entries.append(
            Entry(
                span: UInt32(truncatingIfNeeded: position), contentHash: span.contentHash,
                identity: span.identity,
                derived: RecordRange(
                    start: UInt32(truncatingIfNeeded: derivedStart), count: UInt32(truncatingIfNeeded: derived.count &- derivedStart)),
                annotations: annotations))
        derivedStart = derived.count
    }

    /// Gives the span that is appended next a value in a derived column.
    @inline(__always)
    public mutating func appendDerived(_ value: ColumnValue, column: Int) {
        derived.append(DerivedValue(column: UInt8(truncatingIfNeeded: column), value: value))
    }

    /// Adds the batch of the spans that were appended since the last one.
    public mutating func add(_ batch: SpanBatch) {
        let start = parts.last?.entries.upperBound ?? 0
        guard start < entries.count else { return }
        parts.append(Part(batch: batch, entries: start..<entries.count))
    }

    /// The content hash of the span with this identity; `nil` when the group does not have it.
    public mutating func contentHash(_ identity: SpanIdentity) -> UInt32? {
        for entry in entries[indexedCount...] { index[entry.identity] = entry.contentHash }
        indexedCount = entries.count
        return index[identity]
    }
}
