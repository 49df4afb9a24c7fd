package import TelemetryModel

/// Some rows of a log segment.
package struct StoredLogs {
    package var facts: LogFacts
    package var contents: [UInt8]
    package var rows: Range<Int>

    /// - Parameter rows: positions in the facts.
    package init(facts: LogFacts, contents: [UInt8], rows: Range<Int>) {
        self.facts = facts
        self.contents = contents
        self.rows = rows
    }
}

extension LogBatch {
    /// Stored log records as a batch, as they were when they came in. Equal resources and scopes are there once, so that the same records
    /// give the same batch before and after segments were merged.
    package init(stored parts: [StoredLogs]) throws(SegmentError) {
        self.init(bytes: [])
        var resourceNumbers: [[UInt8]: UInt32] = [:]
        var scopeNumbers: [LogFacts.Scope: UInt32] = [:]
        for part in parts {
            for index in part.rows {
                let row = part.facts.rows[index]
                let resource = part.facts.resources[row.resource]
                let scope = part.facts.scopes[row.scope]
                var record = LogRecord()
                record.resource = resourceNumbers[resource.encoded] ?? append(resource)
                resourceNumbers[resource.encoded] = record.resource
                record.scope = scopeNumbers[scope] ?? append(scope)
                scopeNumbers[scope] = record.scope
                if row.trace > 0 { record.traceID = part.facts.traces[row.trace - 1] }
                record.spanID = SpanID(row.span)
                record.timeUnixNano = row.timeUnixNano
                record.observedTimeUnixNano = row.observedTimeUnixNano
                record.severityNumber = row.severityNumber
                if row.severityText > 0 { record.severityText = append(part.facts.texts[row.severityText - 1][...]) }
                if row.eventName > 0 { record.eventName = append(part.facts.texts[row.eventName - 1][...]) }
                record.flags = row.flags
                record.droppedAttributesCount = row.droppedAttributesCount
                try append(part, index, to: &record)
                records.append(record)
            }
        }
    }

    private mutating func append(_ text: ArraySlice<UInt8>) -> ByteSlice {
        let offset = bytes.count
        bytes.append(contentsOf: text)
        return ByteSlice(WireRange(offset: offset, count: text.count))
    }

    private mutating func append(_ stored: LogFacts.Resource) -> UInt32 {
        var resource = ResourceRecord()
        resource.encoded = append(stored.encoded[...])
        resources.append(resource)
        return UInt32(resources.count - 1)
    }

    private mutating func append(_ stored: LogFacts.Scope) -> UInt32 {
        var scope = ScopeRecord()
        scope.encoded = append(stored.encoded[...])
        scope.name = append(Array(stored.name.utf8)[...])
        scopes.append(scope)
        return UInt32(scopes.count - 1)
    }

    private mutating func append(_ part: StoredLogs, _ index: Int, to record: inout LogRecord) throws(SegmentError) {
        let range = part.facts.offsets[index]..<part.facts.offsets[index + 1]
        guard range.upperBound <= part.contents.count else { throw .damaged("log contents of another length") }
        let content = try LogContent(part.contents, range)
        record.body = content.body
        if content.body.kind.isSlice {
            let body = content.body.slice.range
            record.body = AttributeRecord(
                key: 0, kind: content.body.kind, slice: append(part.contents[body.offset..<body.end]))
        }
        let start = attributes.count
        do throws(WireError) {
            var reader = WireReader(part.contents.span.bytes, range: content.attributes)
            while let tag = try reader.nextTag() {
                guard tag == WireTag(field: LogSegmentFormat.attributesField, type: .lengthDelimited) else {
                    try reader.skip(tag)
                    continue
                }
                let pair = try reader.lengthDelimited()
                attributes.append(append(part.contents[pair.offset..<pair.end]))
            }
        } catch {
            throw .damaged("attributes of a log record that cannot be read")
        }
        record.attributes = RecordRange(start: UInt32(start), count: UInt32(attributes.count - start))
    }
}
