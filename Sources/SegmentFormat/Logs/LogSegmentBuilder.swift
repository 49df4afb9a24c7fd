package import TelemetryModel

/// A log segment while records are put into it: by a commit from batches, by merging from other segments.
package struct LogSegmentBuilder {
    private(set) var facts = LogFacts()
    private var contents: [UInt8] = []
    private var textNumbers: [[UInt8]: Int] = [:]
    private var resourceNumbers: [[UInt8]: Int] = [:]
    private var scopeNumbers: [LogFacts.Scope: Int] = [:]
    private var traceNumbers: [TraceID: Int] = [:]
    /// Records of a trace follow each other.
    private var lastTrace: (id: TraceID, number: Int)?

    /// Without records.
    package init() {}

    var isEmpty: Bool { facts.rows.isEmpty }

    // MARK: Tables

    /// The number of a text plus one; 0 for none.
    mutating func text(_ bytes: ArraySlice<UInt8>) -> Int {
        if bytes.isEmpty { return 0 }
        let text = Array(bytes)
        if let number = textNumbers[text] { return number }
        facts.texts.append(text)
        textNumbers[text] = facts.texts.count
        return facts.texts.count
    }

    /// The number of a trace plus one; 0 for an invalid id.
    mutating func trace(_ id: TraceID) -> Int {
        guard id.isValid else { return 0 }
        if let lastTrace, lastTrace.id == id { return lastTrace.number }
        let number: Int
        if let known = traceNumbers[id] {
            number = known
        } else {
            facts.traces.append(id)
            number = facts.traces.count
            traceNumbers[id] = number
        }
        lastTrace = (id, number)
        return number
    }

    mutating func resource(_ encoded: ArraySlice<UInt8>) -> Int {
        let bytes = Array(encoded)
        if let number = resourceNumbers[bytes] { return number }
        let name = ResourceIdentity.serviceName(bytes, WireRange(offset: 0, count: bytes.count))
        facts.resources.append(LogFacts.Resource(serviceName: name, encoded: bytes))
        resourceNumbers[bytes] = facts.resources.count - 1
        return facts.resources.count - 1
    }

    mutating func scope(_ scope: LogFacts.Scope) -> Int {
        if let number = scopeNumbers[scope] { return number }
        facts.scopes.append(scope)
        scopeNumbers[scope] = facts.scopes.count - 1
        return facts.scopes.count - 1
    }

    // MARK: Records

    /// Appends the records of a request.
    package mutating func append(_ batch: LogBatch, receivedTimeUnixNano: Int64) {
        let resources = batch.resources.map { resource(batch.bytes($0.encoded)) }
        let scopes = batch.scopes.map {
            scope(LogFacts.Scope(name: batch.string($0.name), encoded: Array(batch.bytes($0.encoded))))
        }
        for record in batch.records {
            var row = LogRow()
            row.place = Int64(facts.rows.count)
            row.timeUnixNano = record.timeUnixNano
            row.observedTimeUnixNano = record.observedTimeUnixNano
            row.receivedTimeUnixNano = receivedTimeUnixNano
            row.trace = trace(record.traceID)
            row.span = record.spanID.value
            row.severityNumber = record.severityNumber
            row.severityText = text(batch.bytes(record.severityText))
            row.eventName = text(batch.bytes(record.eventName))
            row.flags = record.flags
            row.droppedAttributesCount = record.droppedAttributesCount
            row.resource = resources[Int(record.resource)]
            row.scope = scopes[Int(record.scope)]
            LogContent.append(record, of: batch, to: &contents)
            close(row)
        }
    }

    /// Appends records of another segment, in their order.
    ///
    /// - Parameters:
    ///   - firstPlace: the place here of what has the first place there.
    ///   - isKept: says of a record, by its number there, whether it is taken.
    package mutating func append(
        _ other: LogFacts, contents otherContents: [UInt8], firstPlace: Int64, isKept: (Int) -> Bool = { _ in true }
    ) throws(SegmentError) {
        guard other.offsets.last == otherContents.count else { throw .damaged("log contents of another length") }
        // Only what a record that is taken refers to comes along, looked up once.
        var texts = Renumbering(other.texts.count)
        var traces = Renumbering(other.traces.count)
        var resources = Renumbering(other.resources.count)
        var scopes = Renumbering(other.scopes.count)
        for (index, var row) in other.rows.enumerated() where isKept(index) {
            row.place += firstPlace
            if row.trace > 0 { row.trace = traces.number(row.trace - 1) { trace(other.traces[$0]) } }
            if row.severityText > 0 { row.severityText = texts.number(row.severityText - 1) { text(other.texts[$0][...]) } }
            if row.eventName > 0 { row.eventName = texts.number(row.eventName - 1) { text(other.texts[$0][...]) } }
            row.resource = resources.number(row.resource) { resource(other.resources[$0].encoded[...]) }
            row.scope = scopes.number(row.scope) { scope(other.scopes[$0]) }
            contents.append(contentsOf: otherContents[other.offsets[index]..<other.offsets[index + 1]])
            close(row)
        }
    }

    private mutating func close(_ row: LogRow) {
        facts.rows.append(row)
        facts.offsets.append(contents.count)
    }

    /// The segment as it is stored.
    /// - Parameter store: what is stored for a stream's bytes: `StoredFrame.stored` of a commit, a zstd frame of a merge.
    package func encoded(_ store: ([UInt8]) throws(SegmentError) -> [UInt8]) throws(SegmentError) -> EncodedLogSegment {
        EncodedLogSegment(
            statistics: facts.statistics, traceFilter: TraceFilter(facts.traces), contentBytes: contents.count,
            facts: try store(facts.encoded), contents: try store(contents))
    }
}

/// New numbers of a table's entries, each asked for once.
private struct Renumbering {
    private var numbers: [Int?]

    init(_ count: Int) {
        numbers = Array(repeating: nil, count: count)
    }

    mutating func number(_ old: Int, _ make: (Int) -> Int) -> Int {
        if let known = numbers[old] { return known }
        let number = make(old)
        numbers[old] = number
        return number
    }
}

/// Log records that wait for one commit, as they were decoded.
package struct LogGroup: Sendable {
    private var batches: [(batch: LogBatch, receivedTimeUnixNano: Int64)] = []
    package private(set) var recordCount = 0

    package init() {}

    package var isEmpty: Bool { recordCount == 0 }

    /// - Parameter receivedTimeUnixNano: must not go back.
    package mutating func append(_ batch: LogBatch, receivedTimeUnixNano: Int64) {
        guard !batch.records.isEmpty else { return }
        batches.append((batch, receivedTimeUnixNano))
        recordCount += batch.records.count
    }

    fileprivate func write(into builder: inout LogSegmentBuilder) {
        for (batch, received) in batches { builder.append(batch, receivedTimeUnixNano: received) }
    }
}

/// Makes log segments of groups. One thread at a time.
package final class LogSegmentEncoder {
    /// Made when the first records come.
    private var compressor: ZstandardCompressor?

    package init() {}

    /// The segment of a group; `nil` of an empty one.
    package func encode(_ group: LogGroup) throws(SegmentError) -> EncodedLogSegment? {
        if group.isEmpty { return nil }
        let compressor = compressor ?? ZstandardCompressor(level: 1)
        self.compressor = compressor
        var builder = LogSegmentBuilder()
        group.write(into: &builder)
        return try builder.encoded { bytes throws(SegmentError) in try StoredFrame.stored(bytes, compressor) }
    }
}
