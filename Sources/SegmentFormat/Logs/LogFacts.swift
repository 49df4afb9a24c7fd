package import TelemetryModel

/// What a log segment keeps of a record beside its body and attributes. Numbers point into the tables of `LogFacts`.
package struct LogRow: Equatable {
    /// How many ordinals of its segment come before its own.
    package var place: Int64 = 0
    /// As it came; 0 when the client gave none.
    package var timeUnixNano: Int64 = 0
    package var observedTimeUnixNano: Int64 = 0
    package var receivedTimeUnixNano: Int64 = 0
    /// 0 for none, else the number of the trace plus one; so are severity text and event name.
    package var trace = 0
    package var span: UInt64 = 0
    package var severityNumber: Int32 = 0
    package var severityText = 0
    package var eventName = 0
    package var flags: UInt32 = 0
    package var droppedAttributesCount: UInt32 = 0
    package var resource = 0
    package var scope = 0

    /// When it happened; else when it was seen, as OTLP says; else when it was received.
    package var shownTimeUnixNano: Int64 {
        if timeUnixNano != 0 { return timeUnixNano }
        return observedTimeUnixNano != 0 ? observedTimeUnixNano : receivedTimeUnixNano
    }
}

/// The facts of a log segment: its records without bodies and attributes. `LogSegmentFormat.swift` tells the bytes.
package struct LogFacts: Equatable {
    package struct Resource: Hashable {
        @ByBytes package var serviceName: String
        package var encoded: [UInt8]
    }

    package struct Scope: Hashable {
        @ByBytes package var name: String
        package var encoded: [UInt8]
    }

    package var texts: [[UInt8]] = []
    package var resources: [Resource] = []
    package var scopes: [Scope] = []
    package var traces: [TraceID] = []
    package var rows: [LogRow] = []
    /// Where each record's content begins, and behind them where the last one ends.
    package var offsets = [0]

    init() {}

    package var statistics: LogStatistics {
        var statistics = LogStatistics()
        for row in rows { statistics.include(row) }
        return statistics
    }

    // MARK: Encoding

    var encoded: [UInt8] {
        let hasGaps = zip(0..., rows).contains { $1.place != $0 }
        var bytes: [UInt8] = [hasGaps ? LogSegmentFormat.gapsVersion : LogSegmentFormat.version]
        bytes.reserveCapacity(64 + rows.count * 48)
        bytes.appendVarint(rows.count)
        bytes.appendVarint(texts.count)
        for text in texts { bytes.appendPrefixed(text) }
        bytes.appendVarint(resources.count)
        for resource in resources {
            bytes.appendPrefixed(resource.serviceName)
            bytes.appendPrefixed(resource.encoded)
        }
        bytes.appendVarint(scopes.count)
        for scope in scopes {
            bytes.appendPrefixed(scope.name)
            bytes.appendPrefixed(scope.encoded)
        }
        bytes.appendVarint(traces.count)
        for trace in traces {
            bytes.appendLittleEndian(trace.high.byteSwapped)
            bytes.appendLittleEndian(trace.low.byteSwapped)
        }
        appendColumns(to: &bytes)
        if hasGaps { appendPlaces(to: &bytes) }
        return bytes
    }

    private func appendColumns(to bytes: inout [UInt8]) {
        appendDifferences(\.timeUnixNano, to: &bytes)
        for row in rows { bytes.appendLittleEndian(UInt64(bitPattern: row.observedTimeUnixNano &- row.timeUnixNano)) }
        appendDifferences(\.receivedTimeUnixNano, to: &bytes)
        for row in rows { bytes.appendVarint(row.trace) }
        for row in rows { bytes.appendLittleEndian(row.span) }
        for row in rows { bytes.appendVarint(Int(UInt32(bitPattern: row.severityNumber))) }
        for row in rows { bytes.appendVarint(row.severityText) }
        for row in rows { bytes.appendVarint(row.eventName) }
        for row in rows { bytes.appendVarint(Int(row.flags)) }
        for row in rows { bytes.appendVarint(Int(row.droppedAttributesCount)) }
        for row in rows { bytes.appendVarint(row.resource) }
        for row in rows { bytes.appendVarint(row.scope) }
        for index in rows.indices { bytes.appendVarint(offsets[index + 1] - offsets[index]) }
    }

    private func appendPlaces(to bytes: inout [UInt8]) {
        var next: Int64 = 0
        for row in rows {
            bytes.appendVarint(Int(row.place - next))
            next = row.place + 1
        }
    }

    private func appendDifferences(_ field: KeyPath<LogRow, Int64>, to bytes: inout [UInt8]) {
        var last: Int64 = 0
        for row in rows {
            let value = row[keyPath: field]
            bytes.appendLittleEndian(UInt64(bitPattern: value &- last))
            last = value
        }
    }

    // MARK: Decoding

    package init(decoding bytes: [UInt8]) throws(SegmentError) {
        var cursor = try ByteCursor(bytes)
        let version = try cursor.byte()
        guard version == LogSegmentFormat.version || version == LogSegmentFormat.gapsVersion else {
            throw .unknownVersion(version)
        }
        let count = try cursor.count()
        // Every record takes more than a byte of the facts, every entry of a table one at least.
        guard count <= LogSegmentFormat.recordsMax, count <= bytes.count else { throw .damaged("too many log records") }
        for _ in 0..<(try Self.entries(&cursor)) { texts.append(Array(bytes[try cursor.prefixedRange()])) }
        for _ in 0..<(try Self.entries(&cursor)) {
            resources.append(Resource(serviceName: try cursor.prefixedText(), encoded: Array(bytes[try cursor.prefixedRange()])))
        }
        for _ in 0..<(try Self.entries(&cursor)) {
            scopes.append(Scope(name: try cursor.prefixedText(), encoded: Array(bytes[try cursor.prefixedRange()])))
        }
        for _ in 0..<(try Self.entries(&cursor)) {
            traces.append(TraceID(high: try cursor.littleEndian().byteSwapped, low: try cursor.littleEndian().byteSwapped))
        }
        rows = Array(repeating: LogRow(), count: count)
        try readColumns(&cursor)
        try readPlaces(&cursor, hasGaps: version == LogSegmentFormat.gapsVersion)
        guard cursor.position == cursor.end else { throw .damaged("log facts with a rest") }
    }

    private static func entries(_ cursor: inout ByteCursor) throws(SegmentError) -> Int {
        let count = try cursor.count()
        guard count <= cursor.end - cursor.position else { throw .damaged("a table past its stream") }
        return count
    }

    private mutating func readColumns(_ cursor: inout ByteCursor) throws(SegmentError) {
        var last: Int64 = 0
        for index in rows.indices {
            last = last &+ Int64(bitPattern: try cursor.littleEndian())
            rows[index].timeUnixNano = last
        }
        for index in rows.indices {
            rows[index].observedTimeUnixNano = rows[index].timeUnixNano &+ Int64(bitPattern: try cursor.littleEndian())
        }
        last = 0
        for index in rows.indices {
            last = last &+ Int64(bitPattern: try cursor.littleEndian())
            rows[index].receivedTimeUnixNano = last
        }
        for index in rows.indices { rows[index].trace = try Self.number(&cursor, upTo: traces.count) }
        for index in rows.indices { rows[index].span = try cursor.littleEndian() }
        for index in rows.indices { rows[index].severityNumber = Int32(bitPattern: try Self.word(&cursor)) }
        for index in rows.indices { rows[index].severityText = try Self.number(&cursor, upTo: texts.count) }
        for index in rows.indices { rows[index].eventName = try Self.number(&cursor, upTo: texts.count) }
        for index in rows.indices { rows[index].flags = try Self.word(&cursor) }
        for index in rows.indices { rows[index].droppedAttributesCount = try Self.word(&cursor) }
        for index in rows.indices { rows[index].resource = try Self.number(&cursor, upTo: resources.count - 1) }
        for index in rows.indices { rows[index].scope = try Self.number(&cursor, upTo: scopes.count - 1) }
        var end = 0
        offsets.reserveCapacity(rows.count + 1)
        for _ in rows.indices {
            let (sum, overflow) = end.addingReportingOverflow(try cursor.count())
            guard !overflow else { throw .damaged("a content of absurd length") }
            end = sum
            offsets.append(end)
        }
    }

    private mutating func readPlaces(_ cursor: inout ByteCursor, hasGaps: Bool) throws(SegmentError) {
        var next: Int64 = 0
        for index in rows.indices {
            let (place, overflow) = next.addingReportingOverflow(hasGaps ? Int64(try cursor.count()) : 0)
            guard !overflow, place < .max else { throw .damaged("a log record of an absurd place") }
            rows[index].place = place
            next = place + 1
        }
    }

    private static func number(_ cursor: inout ByteCursor, upTo bound: Int) throws(SegmentError) -> Int {
        let number = try cursor.count()
        guard number <= bound else { throw .damaged("a log record points past a table") }
        return number
    }

    private static func word(_ cursor: inout ByteCursor) throws(SegmentError) -> UInt32 {
        guard let word = UInt32(exactly: try cursor.count()) else { throw .damaged("a number of more than 32 bits") }
        return word
    }
}

extension [UInt8] {
    mutating func appendPrefixed(_ bytes: [UInt8]) {
        appendVarint(bytes.count)
        append(contentsOf: bytes)
    }
}
