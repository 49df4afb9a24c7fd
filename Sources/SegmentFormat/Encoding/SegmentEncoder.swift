import TelemetryModel

/// Encodes groups of spans as segments. Keeps its storage from one to the next; one thread at a time.
///
/// Column by column: a first pass over the spans copies the fixed fields and counts the values of each attribute, a second brings
/// the values of each column together, and then each column is written in one go.
package struct SegmentEncoder: ~Copyable {
    /// Keys past this many are forgotten between segments, so that a flood of one-time keys does not stay in memory.
    private static let keptNamesMax = 4096
    /// Stands for the column of an attribute that goes to the overflow column.
    private static let overflow: Int32 = -2

    let derivedNames: [String]
    let annotations: AnnotationValues
    /// Keys of attributes that were ever seen, by number.
    var names = ByteStringTable(slotCount: 512)
    /// By the number of a key, its column in the segment at hand; negative without one.
    private var nameColumns = RecordBuffer<Int32>()
    /// The numbers of the segment's attribute keys, in the order of their columns.
    var attributeNames = RecordBuffer<Int32>()
    /// For each part of the group, where its keys' columns start in `keyColumns`.
    private var keyStarts = RecordBuffer<Int>()
    private var keyColumns = RecordBuffer<Int32>()

    var cells = ColumnCells()
    /// Fixed integers that every span has, column after column.
    var integers = RecordBuffer<Int64>()
    var spanIDs = RecordBuffer<UInt64>()
    var contentHashes = RecordBuffer<UInt32>()
    var traces = TraceTable()
    var resources = EncodedTable()
    var scopes = EncodedTable()
    var blobs: [BlobColumn] = []
    private var resourceNumbers: [Int32] = []
    private var scopeNumbers: [Int32] = []
    private var statistics = SegmentStatistics()
    private var scratch: [UInt8] = []

    /// Of the column that is being written: the spans that have a value, and numbers of annotations.
    var rows = RecordBuffer<UInt32>()
    var numbers = RecordBuffer<UInt8>()
    /// By the place of an attribute's column, whether a derived column stands for it.
    var isAliased = RecordBuffer<Bool>()
    var dictionary = TextDictionary()
    var column = RecordBuffer<UInt8>(capacity: 1 << 14)
    var sections = SegmentSections()
    var directory = DirectoryWriter()
    let compressor = ZstandardCompressor(level: 1)

    /// - Parameter derivedColumns: SQL names of the derived columns, by the numbers that `SpanGroup` is given.
    package init(derivedColumns: [String], annotations: AnnotationValues) {
        derivedNames = derivedColumns
        self.annotations = annotations
    }

    /// The group as a segment; `nil` when it is empty.
    package mutating func encode(_ group: SpanGroup) throws(SegmentError) -> EncodedSegment? {
        guard !group.isEmpty else { return nil }
        removeAll(spanCount: group.spanCount)
        for part in group.parts.indices {
            resolve(group.parts[part].batch)
            takeSpans(group.parts[part], group)
        }
        cells.place()
        for part in group.parts.indices { appendCells(group.parts[part], group, number: part) }
        writeColumns(group)
        let frame = try directory.frame(spanCount: group.spanCount, sections, compressor)
        return EncodedSegment(
            statistics: statistics, spanCount: group.spanCount, directory: frame, traceFilter: TraceFilter(traces.ids),
            streams: try sections.frames(compressor))
    }

    private mutating func removeAll(spanCount: Int) {
        for index in attributeNames.indices { nameColumns[Int(attributeNames[index])] = -1 }
        attributeNames.removeAll()
        if names.count > Self.keptNamesMax {
            names = ByteStringTable(slotCount: 512)
            nameColumns.removeAll()
        }
        keyStarts.removeAll()
        keyColumns.removeAll()
        cells.removeAll(columnCount: FieldColumn.allCases.count + derivedNames.count)
        integers.removeAll()
        integers.resize(to: IntegerColumn.allCases.count * spanCount, filling: 0)
        spanIDs.removeAll()
        contentHashes.removeAll()
        traces.removeAll()
        resources = EncodedTable()
        scopes = EncodedTable()
        blobs = BlobColumn.none
        statistics = SegmentStatistics()
        sections.removeAll()
        directory.removeAll()
    }

    // MARK: A batch

    /// Finds the columns of a batch's keys, and the numbers of its resources and scopes.
    private mutating func resolve(_ batch: SpanBatch) {
        keyStarts.append(keyColumns.count)
        let bytes = batch.bytes.span.bytes
        for key in batch.keys {
            let number = names.insert(key.range, in: bytes).index
            if number == nameColumns.count { nameColumns.append(-1) }
            // Given a column when a span that was taken has it.
            keyColumns.append(Int32(truncatingIfNeeded: number))
        }
        resourceNumbers.removeAll(keepingCapacity: true)
        for resource in batch.resources { resourceNumbers.append(number(of: resource, batch)) }
        scopeNumbers.removeAll(keepingCapacity: true)
        for scope in batch.scopes { scopeNumbers.append(number(of: scope, batch)) }
    }

    /// The column of an attribute; `overflow` when the segment has as many as it may have.
    @inline(__always)
    private mutating func column(of attribute: AttributeRecord, _ keyStart: Int) -> Int32 {
        let name = Int(keyColumns[keyStart &+ Int(attribute.key)])
        let column = nameColumns[name]
        return column >= 0 ? column : addColumn(name)
    }

    private mutating func addColumn(_ name: Int) -> Int32 {
        guard attributeNames.count < SegmentFormat.attributeColumnsMax else { return Self.overflow }
        attributeNames.append(Int32(truncatingIfNeeded: name))
        let column = Int32(truncatingIfNeeded: cells.addColumn())
        nameColumns[name] = column
        return column
    }

    /// The column that an attribute key of a part got; negative without one.
    @inline(__always)
    private func existingColumn(_ keyStart: Int, _ key: Int) -> Int32 { nameColumns[Int(keyColumns[keyStart &+ key])] }

    private mutating func number(of resource: ResourceRecord, _ batch: SpanBatch) -> Int32 {
        scratch.removeAll(keepingCapacity: true)
        scratch.appendPrefixed(ResourceIdentity(resource, batch).serviceName)
        for slice in [resource.encoded, resource.schemaURL] {
            scratch.appendVarint(Int(slice.count))
            scratch.append(contentsOf: batch.bytes(slice))
        }
        return resources.index(of: scratch)
    }

    private mutating func number(of scope: ScopeRecord, _ batch: SpanBatch) -> Int32 {
        scratch.removeAll(keepingCapacity: true)
        for slice in [scope.name, scope.version, scope.schemaURL, scope.encoded] {
            scratch.appendVarint(Int(slice.count))
            scratch.append(contentsOf: batch.bytes(slice))
        }
        return scopes.index(of: scratch)
    }

    // MARK: A span

    /// Takes the fixed fields of a part's spans, and counts their other values.
    private mutating func takeSpans(_ part: borrowing SpanGroup.Part, _ group: SpanGroup) {
        let spans = part.batch.spans.span
        let attributes = part.batch.attributes.span
        let entries = group.entries.span
        for row in part.entries {
            let index = Int(entries[row].span)
            take(spans[index], row, group.spanCount, received: entries[row].annotations.receivedTimeUnixNano)
            if spans[index].events.count > 0 { appendEvents(spans[index], part.batch, row) }
            if spans[index].links.count > 0 { appendLinks(spans[index], part.batch, row) }
            countCells(spans[index], entries[row].derived, attributes, group)
        }
    }

    @inline(__always)
    private mutating func take(_ span: SpanRecord, _ row: Int, _ count: Int, received: Int64) {
        func put(_ column: IntegerColumn, _ value: Int64) { integers[column.rawValue &* count &+ row] = value }
        put(.traceIndex, Int64(traces.index(of: span.traceID)))
        put(.start, span.startTimeUnixNano)
        // Kept as a difference, which may be negative: clients' clocks step back, and what came is kept.
        put(.duration, span.endTimeUnixNano &- span.startTimeUnixNano)
        put(.received, received)
        put(.kind, Int64(span.kind))
        put(.statusCode, Int64(span.statusCode))
        put(.flags, Int64(span.flags))
        put(.resource, Int64(resourceNumbers[Int(span.resource)]))
        put(.scope, Int64(scopeNumbers[Int(span.scope)]))
        spanIDs.append(span.spanID.value)
        contentHashes.append(span.contentHash)
        statistics.include(start: span.startTimeUnixNano, end: span.endTimeUnixNano, received: received)
    }

    private mutating func appendEvents(_ span: SpanRecord, _ batch: SpanBatch, _ row: Int) {
        scratch.removeAll(keepingCapacity: true)
        for event in batch.events[span.events.indices] {
            scratch.appendVarint(Int(event.encoded.count))
            scratch.append(contentsOf: batch.bytes(event.encoded))
        }
        blobs[BlobColumn.events].append(scratch, row: row)
    }

    private mutating func appendLinks(_ span: SpanRecord, _ batch: SpanBatch, _ row: Int) {
        scratch.removeAll(keepingCapacity: true)
        for link in batch.links[span.links.indices] {
            scratch.appendVarint(Int(link.count))
            scratch.append(contentsOf: batch.bytes(link))
        }
        blobs[BlobColumn.links].append(scratch, row: row)
    }

    @inline(__always)
    private mutating func countCells(
        _ span: SpanRecord, _ derived: RecordRange, _ attributes: Span<AttributeRecord>, _ group: SpanGroup
    ) {
        for field in FieldColumn.allCases where field.payload(span) != nil { cells.count(field.rawValue) }
        for position in derived.indices {
            cells.count(FieldColumn.allCases.count &+ Int(group.derived[position].column))
        }
        let keyStart = keyStarts[keyStarts.count &- 1]
        for position in span.attributes.indices {
            let column = column(of: attributes[position], keyStart)
            if column >= 0 { cells.count(Int(column)) }
        }
    }

    /// Brings a part's values to their columns.
    private mutating func appendCells(_ part: borrowing SpanGroup.Part, _ group: SpanGroup, number: Int) {
        let spans = part.batch.spans.span
        let attributes = part.batch.attributes.span
        let entries = group.entries.span
        for row in part.entries {
            let index = Int(entries[row].span)
            let overflows = appendCells(
                spans[index], entries[row].derived, attributes, group, row: UInt32(truncatingIfNeeded: row), part: number)
            if overflows { appendOverflow(spans[index], part.batch, keyStarts[number], row) }
        }
    }

    /// Whether some attributes have no column of their own.
    @inline(__always)
    private mutating func appendCells(
        _ span: SpanRecord, _ derived: RecordRange, _ attributes: Span<AttributeRecord>, _ group: SpanGroup, row: UInt32, part: Int
    ) -> Bool {
        var cell = ColumnCell(payload: 0, row: row, part: UInt32(truncatingIfNeeded: part), source: -1, kind: .int)
        for field in FieldColumn.allCases {
            guard let payload = field.payload(span) else { continue }
            cell.kind = field.kind
            cell.payload = payload
            cells.append(cell, to: field.rawValue)
        }
        let keyStart = keyStarts[part]
        for position in derived.indices {
            let derived = group.derived[position]
            cell.kind = derived.value.kind == .text ? .string : .int
            cell.payload = derived.value.payload
            cell.source = derived.value.sourceKey < 0 ? -1 : existingColumn(keyStart, Int(derived.value.sourceKey))
            cells.append(cell, to: FieldColumn.allCases.count &+ Int(derived.column))
        }
        cell.source = -1
        var isOverflowing = false
        for position in span.attributes.indices {
            let attribute = attributes[position]
            let column = existingColumn(keyStart, Int(attribute.key))
            guard column >= 0 else {
                isOverflowing = true
                continue
            }
            cell.kind = attribute.kind
            cell.payload = attribute.payload
            cells.append(cell, to: Int(column))
        }
        return isOverflowing
    }

    /// Attributes without a column of their own, in one blob: key and value of each, a mixed value as in `SegmentFormat`.
    private mutating func appendOverflow(_ span: SpanRecord, _ batch: SpanBatch, _ keyStart: Int, _ row: Int) {
        scratch.removeAll(keepingCapacity: true)
        for attribute in batch.attributes[span.attributes.indices] where existingColumn(keyStart, Int(attribute.key)) < 0 {
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
        blobs[BlobColumn.overflow].append(scratch, row: row)
    }
}
