extension SpanBatch {
    /// One batch of the spans of several, in their order.
    ///
    /// Equal resources, scopes and keys are there once, and the attributes of each span are sorted by the bytes of their keys. So the
    /// same spans give the same batch in whatever parts they lie: what is encoded of it is the same bytes before and after segments were
    /// merged. Attributes of resources and events are in their encoded forms alone.
    package static func combining(_ parts: [SpanBatch]) -> SpanBatch {
        var combination = BatchCombination()
        for part in parts { combination.append(part) }
        return combination.batch
    }

    /// About how many bytes a span takes in a request.
    package func encodedCost(_ span: SpanRecord) -> Int {
        var cost = 64 + Int(span.name.count) + Int(span.traceState.count) + Int(span.statusMessage.count)
        for attribute in attributes[span.attributes.indices] {
            cost += 16 + Int(keys[Int(attribute.key)].count) + (attribute.kind.isSlice ? Int(attribute.slice.count) : 0)
        }
        for event in events[span.events.indices] { cost += 4 + Int(event.encoded.count) }
        for link in links[span.links.indices] { cost += 4 + Int(link.count) }
        return cost
    }
}

/// A batch while parts are put into it.
private struct BatchCombination {
    /// An encoded message and its schema URL.
    private struct Envelope: Hashable {
        var encoded: ArraySlice<UInt8>
        var schemaURL: ArraySlice<UInt8>
    }

    private(set) var batch = SpanBatch(bytes: [])
    private var keyNumbers: [ArraySlice<UInt8>: UInt32] = [:]
    private var resourceNumbers: [Envelope: UInt32] = [:]
    private var scopeNumbers: [Envelope: UInt32] = [:]

    mutating func append(_ part: SpanBatch) {
        let base = UInt32(truncatingIfNeeded: batch.bytes.count)
        batch.bytes.append(contentsOf: part.bytes)
        let keys = part.keys.map { key($0, of: part, base) }
        let resources = part.resources.map { resource($0, of: part, base) }
        let scopes = part.scopes.map { scope($0, of: part, base) }
        let ranks = Self.ranks(part)
        for span in part.spans {
            var moved = span
            moved.name = span.name.moved(base)
            moved.traceState = span.traceState.moved(base)
            moved.statusMessage = span.statusMessage.moved(base)
            moved.resource = resources[Int(span.resource)]
            moved.scope = scopes[Int(span.scope)]
            moved.attributes = RecordRange(start: UInt32(batch.attributes.count), count: span.attributes.count)
            let sorted = part.attributes[span.attributes.indices].sorted { ranks[Int($0.key)] < ranks[Int($1.key)] }
            for var attribute in sorted {
                attribute.key = keys[Int(attribute.key)]
                if attribute.kind.isSlice {
                    attribute = AttributeRecord(key: attribute.key, kind: attribute.kind, slice: attribute.slice.moved(base))
                }
                batch.attributes.append(attribute)
            }
            moved.events = RecordRange(start: UInt32(batch.events.count), count: span.events.count)
            for var event in part.events[span.events.indices] {
                event.encoded = event.encoded.moved(base)
                event.name = event.name.moved(base)
                event.attributes = RecordRange()
                batch.events.append(event)
            }
            moved.links = RecordRange(start: UInt32(batch.links.count), count: span.links.count)
            for link in part.links[span.links.indices] { batch.links.append(link.moved(base)) }
            batch.spans.append(moved)
        }
    }

    /// For each key of a part its place among them by bytes.
    private static func ranks(_ part: SpanBatch) -> [Int] {
        let sorted = part.keys.indices.sorted { part.bytes(part.keys[$0]).lexicographicallyPrecedes(part.bytes(part.keys[$1])) }
        var ranks = [Int](repeating: 0, count: sorted.count)
        for (rank, index) in sorted.enumerated() { ranks[index] = rank }
        return ranks
    }

    private mutating func key(_ slice: ByteSlice, of part: SpanBatch, _ base: UInt32) -> UInt32 {
        let bytes = part.bytes(slice)
        if let known = keyNumbers[bytes] { return known }
        let number = UInt32(batch.keys.count)
        keyNumbers[bytes] = number
        batch.keys.append(slice.moved(base))
        return number
    }

    private mutating func resource(_ record: ResourceRecord, of part: SpanBatch, _ base: UInt32) -> UInt32 {
        let envelope = Envelope(encoded: part.bytes(record.encoded), schemaURL: part.bytes(record.schemaURL))
        if let known = resourceNumbers[envelope] { return known }
        let number = UInt32(batch.resources.count)
        resourceNumbers[envelope] = number
        var moved = ResourceRecord()
        moved.encoded = record.encoded.moved(base)
        moved.schemaURL = record.schemaURL.moved(base)
        batch.resources.append(moved)
        return number
    }

    private mutating func scope(_ record: ScopeRecord, of part: SpanBatch, _ base: UInt32) -> UInt32 {
        let envelope = Envelope(encoded: part.bytes(record.encoded), schemaURL: part.bytes(record.schemaURL))
        if let known = scopeNumbers[envelope] { return known }
        let number = UInt32(batch.scopes.count)
        scopeNumbers[envelope] = number
        var moved = record
        moved.encoded = record.encoded.moved(base)
        moved.name = record.name.moved(base)
        moved.version = record.version.moved(base)
        moved.schemaURL = record.schemaURL.moved(base)
        batch.scopes.append(moved)
        return number
    }
}

extension ByteSlice {
    /// The slice in bytes before which `base` others were put.
    fileprivate func moved(_ base: UInt32) -> ByteSlice { ByteSlice(offset: offset &+ base, count: count) }
}
