package import TelemetryModel

/// The spans of a stored segment as a batch, as they were when they came in, so that whatever reads batches can read the past.
package struct StoredBatch: Sendable {
    package private(set) var batch = SpanBatch(bytes: [])
    /// For each span of the batch, when it was received.
    package private(set) var receivedTimesUnixNano: [Int64] = []
    private var keys: [ExactText: UInt32] = [:]

    /// - Parameter rows: which spans, in which order.
    package init(_ segment: SegmentReader, rows: [Int]) throws {
        try appendResources(segment)
        try appendScopes(segment)
        try appendSpans(segment, rows)
        try appendAttributes(segment, rows)
    }

    /// Leaves the first spans alone.
    package mutating func truncate(to count: Int) {
        batch.spans.removeLast(max(0, batch.spans.count - count))
        receivedTimesUnixNano.removeLast(max(0, receivedTimesUnixNano.count - count))
    }

    /// All rows of a segment in the order in which its spans came.
    package static func rowsByArrival(_ segment: SegmentReader) throws -> [Int] { try arrivals(segment).map(\.row) }

    /// The rows of a segment in the order in which they arrived, each with its place: how many ordinals of the segment come before its own.
    package static func arrivals(_ segment: SegmentReader) throws -> [(row: Int, place: Int)] {
        guard let arrival = try segment.column(.fixed, FixedColumn.arrival) else {
            return (0..<segment.spanCount).map { ($0, $0) }
        }
        return (0..<segment.spanCount).map { (row: $0, place: Int(clamping: arrival.integer($0) ?? 0)) }.sorted {
            $0.place < $1.place
        }
    }

    private mutating func append(_ bytes: ArraySlice<UInt8>) -> ByteSlice {
        let offset = batch.bytes.count
        batch.bytes.append(contentsOf: bytes)
        return ByteSlice(WireRange(offset: offset, count: bytes.count))
    }

    private mutating func key(_ name: String) -> UInt32 {
        if let known = keys[ExactText(name)] { return known }
        let index = UInt32(truncatingIfNeeded: batch.keys.count)
        batch.keys.append(batch.append(name))
        keys[ExactText(name)] = index
        return index
    }

    private mutating func appendResources(_ segment: SegmentReader) throws {
        for stored in try segment.resources() {
            var resource = ResourceRecord()
            resource.encoded = append(stored.encoded[...])
            resource.schemaURL = batch.append(stored.schemaURL)
            resource.attributes = try appendPairs(resource.encoded.range, field: 1)
            batch.resources.append(resource)
        }
    }

    private mutating func appendScopes(_ segment: SegmentReader) throws {
        for stored in try segment.scopes() {
            var scope = ScopeRecord()
            scope.name = batch.append(stored.name)
            scope.version = batch.append(stored.version)
            scope.schemaURL = batch.append(stored.schemaURL)
            scope.encoded = append(stored.encoded[...])
            batch.scopes.append(scope)
        }
    }

    private mutating func appendSpans(_ segment: SegmentReader, _ rows: [Int]) throws {
        let traces = try segment.traceIDs()
        func integers(_ name: String) throws -> (Int) -> Int64 {
            let column = try segment.column(.fixed, name)
            return { column?.integer($0) ?? 0 }
        }
        let trace = try integers(FixedColumn.traceIndex)
        let span = try integers(FixedColumn.spanID)
        let parent = try integers(FixedColumn.parentSpanID)
        let hash = try integers(FixedColumn.contentHash)
        let start = try integers(FixedColumn.start)
        let duration = try integers(FixedColumn.duration)
        let received = try integers(FixedColumn.received)
        let kind = try integers(FixedColumn.kind)
        let code = try integers(FixedColumn.statusCode)
        let flags = try integers(FixedColumn.flags)
        let resource = try integers(FixedColumn.resource)
        let scope = try integers(FixedColumn.scope)
        let droppedAttributes = try integers(FixedColumn.droppedAttributes)
        let droppedEvents = try integers(FixedColumn.droppedEvents)
        let droppedLinks = try integers(FixedColumn.droppedLinks)
        let name = try segment.column(.fixed, FixedColumn.name)
        let message = try segment.column(.fixed, FixedColumn.statusMessage)
        let state = try segment.column(.fixed, FixedColumn.traceState)
        let events = try segment.column(.fixed, FixedColumn.events)
        let links = try segment.column(.fixed, FixedColumn.links)
        for row in rows {
            var record = SpanRecord()
            guard traces.indices.contains(Int(trace(row))), batch.resources.indices.contains(Int(resource(row))),
                batch.scopes.indices.contains(Int(scope(row)))
            else { throw SegmentError.damaged("a span that refers past a table") }
            record.traceID = traces[Int(trace(row))]
            record.spanID = SpanID(UInt64(bitPattern: span(row)))
            record.parentSpanID = SpanID(UInt64(bitPattern: parent(row)))
            record.contentHash = UInt32(truncatingIfNeeded: hash(row))
            record.startTimeUnixNano = start(row)
            record.endTimeUnixNano = start(row) &+ duration(row)
            record.kind = Int32(truncatingIfNeeded: kind(row))
            record.statusCode = Int32(truncatingIfNeeded: code(row))
            record.flags = UInt32(truncatingIfNeeded: flags(row))
            record.resource = UInt32(truncatingIfNeeded: resource(row))
            record.scope = UInt32(truncatingIfNeeded: scope(row))
            record.droppedAttributesCount = UInt32(truncatingIfNeeded: droppedAttributes(row))
            record.droppedEventsCount = UInt32(truncatingIfNeeded: droppedEvents(row))
            record.droppedLinksCount = UInt32(truncatingIfNeeded: droppedLinks(row))
            record.name = text(name, row)
            record.statusMessage = text(message, row)
            record.traceState = text(state, row)
            try appendEvents(events, row, to: &record)
            try appendLinks(links, row, to: &record)
            batch.spans.append(record)
            receivedTimesUnixNano.append(received(row))
        }
    }

    private mutating func text(_ column: DecodedColumn?, _ row: Int) -> ByteSlice {
        guard let column, case .text(let range) = column.value(row) else { return .empty }
        return append(column.bytes[range])
    }

    private mutating func appendEvents(_ column: DecodedColumn?, _ row: Int, to record: inout SpanRecord) throws {
        guard let column, case .encoded(_, let range) = column.value(row) else { return }
        let start = batch.events.count
        var cursor = try ByteCursor(column.bytes, range: range)
        while cursor.position < cursor.end {
            var event = EventRecord()
            event.encoded = append(column.bytes[try cursor.prefixedRange()])
            var reader = WireReader(batch.bytes.span.bytes, range: event.encoded.range)
            while let tag = try reader.nextTag() {
                switch (tag.field, tag.type) {
                case (1, .fixed64): event.timeUnixNano = Int64(clamping: try reader.fixed64())
                case (2, .lengthDelimited): event.name = ByteSlice(try reader.lengthDelimited())
                default: try reader.skip(tag)
                }
            }
            event.attributes = try appendPairs(event.encoded.range, field: 3)
            batch.events.append(event)
        }
        record.events = RecordRange(start: UInt32(start), count: UInt32(batch.events.count - start))
    }

    private mutating func appendLinks(_ column: DecodedColumn?, _ row: Int, to record: inout SpanRecord) throws {
        guard let column, case .encoded(_, let range) = column.value(row) else { return }
        let start = batch.links.count
        var cursor = try ByteCursor(column.bytes, range: range)
        while cursor.position < cursor.end { batch.links.append(append(column.bytes[try cursor.prefixedRange()])) }
        record.links = RecordRange(start: UInt32(start), count: UInt32(batch.links.count - start))
    }

    /// Appends the attributes in a repeated `KeyValue` field of an encoded message that lies in the batch's bytes.
    private mutating func appendPairs(_ range: WireRange, field: Int) throws -> RecordRange {
        let start = batch.attributes.count
        var pairs: [WireRange] = []
        var reader = WireReader(batch.bytes.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            if tag == WireTag(field: field, type: .lengthDelimited) {
                pairs.append(try reader.lengthDelimited())
            } else {
                try reader.skip(tag)
            }
        }
        for pair in pairs {
            var name = ""
            var value: WireRange?
            var reader = WireReader(batch.bytes.span.bytes, range: pair)
            while let tag = try reader.nextTag() {
                switch (tag.field, tag.type) {
                case (1, .lengthDelimited): name = batch.string(ByteSlice(try reader.lengthDelimited()))
                case (2, .lengthDelimited): value = try reader.lengthDelimited()
                default: try reader.skip(tag)
                }
            }
            var record =
                try value.map { try EncodedValue.record($0, in: batch.bytes) }
                ?? AttributeRecord(key: 0, kind: .empty, payload: 0)
            record.key = key(name)
            batch.attributes.append(record)
        }
        return RecordRange(start: UInt32(start), count: UInt32(batch.attributes.count - start))
    }

    // MARK: Attributes

    private mutating func appendAttributes(_ segment: SegmentReader, _ rows: [Int]) throws {
        var columns: [(key: UInt32, column: DecodedColumn)] = []
        for entry in segment.directory.columns where entry.space == .attribute {
            if let column = try segment.column(.attribute, entry.name) { columns.append((key(entry.name), column)) }
        }
        let overflow = try segment.column(.fixed, FixedColumn.overflow)
        for (position, row) in rows.enumerated() {
            let start = batch.attributes.count
            for (key, column) in columns {
                if let record = record(column.value(row), column.bytes, key: key) { batch.attributes.append(record) }
            }
            if let overflow, case .encoded(_, let range) = overflow.value(row) {
                var cursor = try ByteCursor(overflow.bytes, range: range)
                while cursor.position < cursor.end {
                    let key = key(try cursor.prefixedText())
                    let value = try DecodedColumn.mixed(&cursor)
                    if let record = record(value, overflow.bytes, key: key) { batch.attributes.append(record) }
                }
            }
            batch.spans[position].attributes = RecordRange(start: UInt32(start), count: UInt32(batch.attributes.count - start))
        }
    }

    private mutating func record(_ value: DecodedValue, _ bytes: [UInt8], key: UInt32) -> AttributeRecord? {
        switch value {
        case .absent: nil
        case .empty: AttributeRecord(key: key, kind: .empty, payload: 0)
        case .integer(let integer): AttributeRecord(key: key, kind: .int, payload: UInt64(bitPattern: integer))
        case .double(let double): AttributeRecord(key: key, kind: .double, payload: double.bitPattern)
        case .bool(let bool): AttributeRecord(key: key, kind: .bool, payload: bool ? 1 : 0)
        case .text(let range): AttributeRecord(key: key, kind: .string, slice: append(bytes[range]))
        case .encoded(let kind, let range): AttributeRecord(key: key, kind: kind, slice: append(bytes[range]))
        }
    }
}

/// Reads an `AnyValue` that was checked when it came in.
private enum EncodedValue {
    static func record(_ range: WireRange, in bytes: [UInt8]) throws(WireError) -> AttributeRecord {
        var reader = WireReader(bytes.span.bytes, range: range)
        var record = AttributeRecord(key: 0, kind: .empty, payload: 0)
        while let tag = try reader.nextTag() {
            switch (tag.field, tag.type) {
            case (1, .lengthDelimited): record = slice(.string, try reader.lengthDelimited())
            case (2, .varint): record = AttributeRecord(key: 0, kind: .bool, payload: try reader.varint() != 0 ? 1 : 0)
            case (3, .varint): record = AttributeRecord(key: 0, kind: .int, payload: try reader.varint())
            case (4, .fixed64): record = AttributeRecord(key: 0, kind: .double, payload: try reader.fixed64())
            case (5, .lengthDelimited): record = slice(.array, try reader.lengthDelimited())
            case (6, .lengthDelimited): record = slice(.keyValueList, try reader.lengthDelimited())
            case (7, .lengthDelimited): record = slice(.bytes, try reader.lengthDelimited())
            default: try reader.skip(tag)
            }
        }
        return record
    }

    private static func slice(_ kind: AttributeKind, _ range: WireRange) -> AttributeRecord {
        AttributeRecord(key: 0, kind: kind, slice: ByteSlice(range))
    }
}
