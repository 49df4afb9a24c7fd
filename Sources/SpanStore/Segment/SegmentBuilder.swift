package import TelemetryModel

/// Gathers the spans of one commit, column by column, and encodes them as a segment. Keeps its storage from segment to segment:
/// agents send the same keys all day.
package struct SegmentBuilder {
    /// Columns past this many are forgotten between segments, so that a flood of one-time keys does not stay in memory.
    private static let keptColumnsMax = 2048

    /// How many columns the caller derives.
    private let derivedCount: Int
    private let fixed: Int
    private var columns: [ColumnBuilder]
    private var attributeColumns: [String: Int] = [:]
    /// Attribute columns in use in this segment.
    private var attributeColumnCount = 0

    package private(set) var spanCount = 0
    private var traces: [TraceID: UInt32] = [:]
    private var traceOrder: [TraceID] = []
    private var lastTrace: (id: TraceID, index: UInt32)?
    /// Identities in the order of spans, for finding a span that came twice in one commit.
    private var identities: [(trace: UInt32, span: SpanID, hash: UInt32)] = []
    private var resourceTable = EncodedTable()
    private var scopeTable = EncodedTable()
    private var statistics = SegmentStatistics()
    private var scratch: [UInt8] = []
    private let compressor: ZstandardCompressor

    /// For the batch that is being added: the attribute column of each of its keys, and its resources' and scopes' numbers.
    private var keyColumns: [Int32] = []
    private var resourceNumbers: [Int32] = []
    private var scopeNumbers: [Int32] = []

    /// Positions of the fixed columns in `columns`.
    private enum Fixed: Int, CaseIterable {
        case traceIndex, spanID, parentSpanID, contentHash, start, duration, received, kind, statusCode, flags, name
        case statusMessage, traceState, resource, scope, events, links, droppedAttributes, droppedEvents, droppedLinks, overflow
        case stage, outcome, timeoutReason, timeoutPhase

        var name: String {
            switch self {
            case .traceIndex: FixedColumn.traceIndex
            case .spanID: FixedColumn.spanID
            case .parentSpanID: FixedColumn.parentSpanID
            case .contentHash: FixedColumn.contentHash
            case .start: FixedColumn.start
            case .duration: FixedColumn.duration
            case .received: FixedColumn.received
            case .kind: FixedColumn.kind
            case .statusCode: FixedColumn.statusCode
            case .flags: FixedColumn.flags
            case .name: FixedColumn.name
            case .statusMessage: FixedColumn.statusMessage
            case .traceState: FixedColumn.traceState
            case .resource: FixedColumn.resource
            case .scope: FixedColumn.scope
            case .events: FixedColumn.events
            case .links: FixedColumn.links
            case .droppedAttributes: FixedColumn.droppedAttributes
            case .droppedEvents: FixedColumn.droppedEvents
            case .droppedLinks: FixedColumn.droppedLinks
            case .overflow: FixedColumn.overflow
            case .stage: "stage"
            case .outcome: "outcome"
            case .timeoutReason: "timeout_reason"
            case .timeoutPhase: "timeout_phase"
            }
        }

        var space: ColumnSpace {
            switch self {
            case .stage, .outcome, .timeoutReason, .timeoutPhase: .derived
            default: .fixed
            }
        }

        /// 0 identity, 1 what most queries read, 2 the rest.
        var stream: Int {
            switch self {
            case .traceIndex, .spanID, .parentSpanID, .contentHash: 0
            case .events, .links, .droppedAttributes, .droppedEvents, .droppedLinks, .overflow, .traceState, .flags: 2
            default: 1
            }
        }
    }

    /// - Parameter derivedColumns: SQL names of the columns that the caller derives, in the order in which it gives their values.
    package init(derivedColumns: [String]) {
        derivedCount = derivedColumns.count
        columns = Fixed.allCases.map { ColumnBuilder(space: $0.space, name: $0.name) }
        columns += derivedColumns.map { ColumnBuilder(space: .derived, name: $0) }
        fixed = columns.count
        compressor = ZstandardCompressor(level: 1)
    }

    // MARK: Adding spans

    /// Prepares for the spans of a batch; call before `append` for each batch.
    package mutating func begin(_ batch: SpanBatch) {
        keyColumns.removeAll(keepingCapacity: true)
        keyColumns.append(contentsOf: repeatElement(-1, count: batch.keys.count))
        resourceNumbers.removeAll(keepingCapacity: true)
        resourceNumbers.append(contentsOf: repeatElement(-1, count: batch.resources.count))
        scopeNumbers.removeAll(keepingCapacity: true)
        scopeNumbers.append(contentsOf: repeatElement(-1, count: batch.scopes.count))
    }

    /// Adds a span of the batch that `begin` was called with. The caller made sure that it is new.
    ///
    /// - Parameter derived: values of the derived columns, in their order; what stands behind them is not read.
    package mutating func append(
        _ span: SpanRecord, of batch: SpanBatch, derived: borrowing [ColumnValue], annotations: borrowing SpanAnnotations
    ) {
        let row = UInt32(truncatingIfNeeded: spanCount)
        let bytes = batch.bytes.span.bytes
        spanCount += 1
        appendIdentity(row, span)
        appendTimes(row, span, received: annotations.receivedTimeUnixNano)
        append(row, .kind, integer: Int64(span.kind))
        append(row, .statusCode, integer: Int64(span.statusCode))
        append(row, .flags, integer: Int64(span.flags))
        columns[Fixed.name.rawValue].append(row, text: span.name.range, in: bytes)
        if !span.statusMessage.isEmpty {
            columns[Fixed.statusMessage.rawValue].append(row, text: span.statusMessage.range, in: bytes)
        }
        if !span.traceState.isEmpty {
            columns[Fixed.traceState.rawValue].append(row, text: span.traceState.range, in: bytes)
        }
        append(row, .resource, integer: Int64(resourceNumber(span.resource, batch)))
        append(row, .scope, integer: Int64(scopeNumber(span.scope, batch)))
        appendRarities(row, span, batch)
        appendAttributes(row, span, batch)
        appendDerived(row, derived, bytes)
        appendText(row, .stage, annotations.stage)
        appendText(row, .outcome, annotations.outcome)
        appendText(row, .timeoutReason, annotations.timeoutReason)
        appendText(row, .timeoutPhase, annotations.timeoutPhase)
    }

    @inline(__always)
    private mutating func append(_ row: UInt32, _ column: Fixed, integer: Int64) {
        columns[column.rawValue].append(row, integer: integer)
    }

    private mutating func appendIdentity(_ row: UInt32, _ span: SpanRecord) {
        let index: UInt32
        if let lastTrace, lastTrace.id == span.traceID {
            index = lastTrace.index
        } else {
            if let known = traces[span.traceID] {
                index = known
            } else {
                index = UInt32(truncatingIfNeeded: traceOrder.count)
                traces[span.traceID] = index
                traceOrder.append(span.traceID)
            }
            lastTrace = (span.traceID, index)
        }
        identities.append((index, span.spanID, span.contentHash))
        append(row, .traceIndex, integer: Int64(index))
        columns[Fixed.spanID.rawValue].append(row, fixed8: span.spanID.value)
        if span.parentSpanID.isValid {
            columns[Fixed.parentSpanID.rawValue].append(row, fixed8: span.parentSpanID.value)
        }
        columns[Fixed.contentHash.rawValue].append(row, fixed4: span.contentHash)
    }

    private mutating func appendTimes(_ row: UInt32, _ span: SpanRecord, received: Int64) {
        append(row, .start, integer: span.startTimeUnixNano)
        // Kept as a difference, which may be negative: clients' clocks step back, and what came is kept.
        append(row, .duration, integer: span.endTimeUnixNano &- span.startTimeUnixNano)
        append(row, .received, integer: received)
        statistics.include(start: span.startTimeUnixNano, end: span.endTimeUnixNano, received: received)
    }

    private mutating func appendRarities(_ row: UInt32, _ span: SpanRecord, _ batch: SpanBatch) {
        if span.events.count > 0 {
            scratch.removeAll(keepingCapacity: true)
            for event in batch.events[span.events.indices] {
                scratch.appendVarint(Int(event.encoded.count))
                scratch.append(contentsOf: batch.bytes(event.encoded))
            }
            columns[Fixed.events.rawValue].append(row, blob: scratch)
        }
        if span.links.count > 0 {
            scratch.removeAll(keepingCapacity: true)
            for link in batch.links[span.links.indices] {
                scratch.appendVarint(Int(link.count))
                scratch.append(contentsOf: batch.bytes(link))
            }
            columns[Fixed.links.rawValue].append(row, blob: scratch)
        }
        if span.droppedAttributesCount > 0 { append(row, .droppedAttributes, integer: Int64(span.droppedAttributesCount)) }
        if span.droppedEventsCount > 0 { append(row, .droppedEvents, integer: Int64(span.droppedEventsCount)) }
        if span.droppedLinksCount > 0 { append(row, .droppedLinks, integer: Int64(span.droppedLinksCount)) }
    }

    private mutating func appendAttributes(_ row: UInt32, _ span: SpanRecord, _ batch: SpanBatch) {
        let bytes = batch.bytes.span.bytes
        var overflowing = false
        // Backwards, since of two attributes with one key the later wins.
        for position in span.attributes.indices.reversed() {
            let attribute = batch.attributes[position]
            var column = Int(keyColumns[Int(attribute.key)])
            if column < 0 {
                guard let found = attributeColumn(attribute.key, batch) else {
                    overflowing = true
                    continue
                }
                column = found
            }
            if columns[column].has(row) { continue }
            columns[column].append(row, attribute: attribute, in: bytes)
        }
        if overflowing { appendOverflow(row, span, batch) }
    }

    /// The column of an attribute key; `nil` when the segment has as many as it may have.
    private mutating func attributeColumn(_ key: UInt32, _ batch: SpanBatch) -> Int? {
        let name = batch.string(batch.keys[Int(key)])
        let column: Int
        if let known = attributeColumns[name] {
            if columns[known].count == 0 {
                guard attributeColumnCount < SegmentFormat.attributeColumnsMax else { return nil }
                attributeColumnCount += 1
            }
            column = known
        } else {
            guard attributeColumnCount < SegmentFormat.attributeColumnsMax else { return nil }
            attributeColumnCount += 1
            column = columns.count
            columns.append(ColumnBuilder(space: .attribute, name: name))
            attributeColumns[name] = column
        }
        keyColumns[Int(key)] = Int32(truncatingIfNeeded: column)
        return column
    }

    /// Attributes without a column of their own, in one blob: key and value of each, a mixed value as in `SegmentFormat`.
    private mutating func appendOverflow(_ row: UInt32, _ span: SpanRecord, _ batch: SpanBatch) {
        scratch.removeAll(keepingCapacity: true)
        for position in span.attributes.indices {
            let attribute = batch.attributes[position]
            guard keyColumns[Int(attribute.key)] < 0 else { continue }
            let key = batch.keys[Int(attribute.key)]
            scratch.appendVarint(Int(key.count))
            scratch.append(contentsOf: batch.bytes(key))
            scratch.append(attribute.kind.rawValue)
            switch attribute.kind {
            case .int, .double: scratch.appendLittleEndian(attribute.payload)
            case .bool: scratch.append(attribute.bool ? 1 : 0)
            case .empty: break
            case .string, .array, .keyValueList, .bytes:
                scratch.appendVarint(Int(attribute.slice.count))
                scratch.append(contentsOf: batch.bytes(attribute.slice))
            }
        }
        columns[Fixed.overflow.rawValue].append(row, blob: scratch)
    }

    private mutating func appendDerived(_ row: UInt32, _ derived: borrowing [ColumnValue], _ bytes: RawSpan) {
        for position in 0..<derivedCount {
            let value = derived[position]
            if value.kind == .none { continue }
            let column = Fixed.allCases.count + position
            let source = value.sourceKey < 0 ? -1 : Int(keyColumns[Int(value.sourceKey)])
            if source >= 0 && columns[column].appendAlias(row, of: source) { continue }
            if let alias = columns[column].aliasOf {
                var resolved = columns[column]
                resolved.resolveAlias(from: columns[alias])
                columns[column] = resolved
            }
            if value.kind == .text {
                columns[column].append(row, text: value.slice.range, in: bytes)
            } else {
                columns[column].append(row, integer: value.integer)
            }
        }
    }

    private mutating func appendText(_ row: UInt32, _ column: Fixed, _ text: String) {
        guard !text.isEmpty else { return }
        var text = text
        text.withUTF8 { bytes in
            columns[column.rawValue].append(
                row, text: WireRange(offset: 0, count: bytes.count), in: UnsafeRawBufferPointer(bytes).bytes)
        }
    }

    private mutating func resourceNumber(_ index: UInt32, _ batch: SpanBatch) -> Int32 {
        let known = resourceNumbers[Int(index)]
        if known >= 0 { return known }
        let resource = batch.resources[Int(index)]
        scratch.removeAll(keepingCapacity: true)
        scratch.appendPrefixed(ResourceIdentity(resource, batch).serviceName)
        scratch.appendVarint(Int(resource.encoded.count))
        scratch.append(contentsOf: batch.bytes(resource.encoded))
        scratch.appendVarint(Int(resource.schemaURL.count))
        scratch.append(contentsOf: batch.bytes(resource.schemaURL))
        let number = resourceTable.index(of: scratch)
        resourceNumbers[Int(index)] = number
        return number
    }

    private mutating func scopeNumber(_ index: UInt32, _ batch: SpanBatch) -> Int32 {
        let known = scopeNumbers[Int(index)]
        if known >= 0 { return known }
        let scope = batch.scopes[Int(index)]
        scratch.removeAll(keepingCapacity: true)
        for slice in [scope.name, scope.version, scope.schemaURL, scope.encoded] {
            scratch.appendVarint(Int(slice.count))
            scratch.append(contentsOf: batch.bytes(slice))
        }
        let number = scopeTable.index(of: scratch)
        scopeNumbers[Int(index)] = number
        return number
    }

    /// The content hash of a span with this identity among those added since the last segment; `nil` when there is none.
    package func contentHash(_ trace: TraceID, _ span: SpanID) -> UInt32? {
        guard let index = traces[trace] else { return nil }
        return identities.first { $0.span == span && $0.trace == index }?.hash
    }

    // MARK: Encoding

    /// Encodes what was added and starts anew; `nil` when nothing was added.
    package mutating func finish() throws(SegmentError) -> EncodedSegment? {
        guard spanCount > 0 else { return nil }
        defer { removeAll() }
        var streams: [[UInt8]] = [[], [], []]
        var entries: [ColumnEntry] = []
        writeTable(FixedColumn.traceIDs, traceBytes(), count: traceOrder.count, to: &streams[0], 0, &entries)
        writeTable(FixedColumn.resources, resourceTable.bytes, count: resourceTable.count, to: &streams[1], 1, &entries)
        writeTable(FixedColumn.scopes, scopeTable.bytes, count: scopeTable.count, to: &streams[1], 1, &entries)
        // Attribute columns that a derived column stands for lie in the stream of the common columns.
        let aliased = Set(columns[Fixed.allCases.count..<fixed].compactMap(\.aliasOf))
        for (index, column) in columns.enumerated() where column.count > 0 {
            var column = column
            if let source = column.aliasOf {
                if columns[source].count == column.count {
                    entries.append(aliasEntry(column, of: columns[source]))
                    continue
                }
                column.resolveAlias(from: columns[source])
            }
            let stream = Fixed(rawValue: index)?.stream ?? (index < fixed || aliased.contains(index) ? 1 : 2)
            entries.append(column.write(to: &streams[stream], streamNumber: stream, spanCount: spanCount))
        }
        let directory = SegmentDirectory(spanCount: spanCount, streamCounts: streams.map(\.count), columns: entries)
        var frames: [[UInt8]] = []
        for stream in streams { frames.append(try compressor.compress(stream)) }
        return EncodedSegment(
            statistics: statistics, spanCount: spanCount, directory: try compressor.compress(directory.encoded()),
            traceFilter: TraceFilter(traceOrder), streams: frames)
    }

    private func aliasEntry(_ column: ColumnBuilder, of source: ColumnBuilder) -> ColumnEntry {
        ColumnEntry(
            space: column.space, name: column.name, encoding: .alias, stream: 0, offset: 0, length: 0,
            valueCount: column.count, minimum: 0, maximum: 0, valueMask: .max, aliasName: source.name)
    }

    private func traceBytes() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(traceOrder.count * 16)
        for trace in traceOrder {
            bytes.appendLittleEndian(trace.high)
            bytes.appendLittleEndian(trace.low)
        }
        return bytes
    }

    /// Puts a table that spans refer to by number into a stream: its own count, not the spans'.
    private func writeTable(
        _ name: String, _ bytes: [UInt8], count: Int, to stream: inout [UInt8], _ number: Int, _ entries: inout [ColumnEntry]
    ) {
        entries.append(
            ColumnEntry(
                space: .fixed, name: name, encoding: .blobs, stream: number, offset: stream.count, length: bytes.count,
                valueCount: count, minimum: 0, maximum: 0, valueMask: .max))
        stream.append(contentsOf: bytes)
    }

    /// Drops what was added since the last segment.
    package mutating func removeAll() {
        if columns.count > Self.keptColumnsMax {
            columns.removeSubrange(fixed...)
            attributeColumns.removeAll()
        }
        for index in columns.indices where columns[index].count > 0 { columns[index].removeAll() }
        attributeColumnCount = 0
        spanCount = 0
        traces.removeAll(keepingCapacity: true)
        traceOrder.removeAll(keepingCapacity: true)
        lastTrace = nil
        identities.removeAll(keepingCapacity: true)
        resourceTable = EncodedTable()
        scopeTable = EncodedTable()
        statistics = SegmentStatistics()
    }
}

/// Distinct byte strings, numbered by first appearance, one after the other.
struct EncodedTable {
    private(set) var bytes: [UInt8] = []
    private var numbers: [[UInt8]: Int32] = [:]

    var count: Int { numbers.count }

    mutating func index(of entry: [UInt8]) -> Int32 {
        if let known = numbers[entry] { return known }
        let number = Int32(truncatingIfNeeded: numbers.count)
        numbers[entry] = number
        bytes.append(contentsOf: entry)
        return number
    }
}
