// The log segment: how log records lie in the database.
//
// A log segment is an immutable run of log records in the order of arrival. It is one row of the table `log_segment` (its statistics and
// its trace filter, as of segments of spans) and two rows of `log_stream`, each a frame with a checksum (`StoredFrame`): the facts, which
// conditions are asked of, and the contents, bodies and attributes, which are read only when they are named.
//
// Facts:
//
//     version          1 byte: 1; 2 when records were forgotten
//     record count     varint
//     texts            count (varint), then each: varint length, bytes. Severity texts and event names
//     resources        count, then each: service name, encoded `Resource` (varint length, bytes)
//     scopes           count, then each: name, encoded `InstrumentationScope` (varint length, bytes)
//     traces           count, then each: 16 bytes, big-endian
//     columns          one after the other, each with a value for every record:
//       time           8 bytes: difference to the record before, wrapping; 0 of the first
//       observed time  8 bytes: difference to the record's own time, wrapping
//       received time  8 bytes: difference to the record before, wrapping
//       trace          varint: 0 for none, else the number of the trace plus one
//       span           8 bytes: 0 for none
//       severity       varint of its 32 bits
//       severity text, event name   varint: 0 for none, else the number of the text plus one
//       flags, dropped attributes   varint
//       resource, scope             varint: number
//       content length varint: bytes of the record in the contents
//       place          varint, version 2 only: how many ordinals lie between this record and the one before
//
// Contents, for each record:
//
//     body             `AttributeKind` (1 byte), then nothing for none, 8 bytes for int and double, 1 byte for bool, varint length and
//                      bytes for the rest; of an array or a list the encoded message
//     attributes       to the record's end: encoded `KeyValue` messages as field 6 of a message, as they came
//
// All integers are little-endian unless told otherwise.

/// Numbers of the log segment format, and its bounds.
package enum LogSegmentFormat {
    /// Changes when an older reader would misread a newer segment.
    static let version: UInt8 = 1
    /// Of one with gaps.
    static let gapsVersion: UInt8 = 2
    /// A segment's number of records must fit the low bits of a row id.
    static let recordsMax = 1 << 24
    /// Streams of a segment: facts and contents.
    package static let streams: Int64 = 2
    /// The field of `LogRecord` that its attributes are kept as.
    static let attributesField = 6

    /// The row ids of a segment's streams in `log_stream`.
    package static func facts(of id: Int64) -> Int64 { id &* streams }
    package static func contents(of id: Int64) -> Int64 { id &* streams &+ 1 }
}

/// What a log segment's row says of its records.
package struct LogStatistics: Equatable, Sendable {
    package var recordCount = 0
    /// Of the times that `logs` shows.
    package var timeMinimum = Int64.max
    package var timeMaximum = Int64.min
    package var receivedMinimum = Int64.max
    package var receivedMaximum = Int64.min
    package var severityMinimum = Int64.max
    package var severityMaximum = Int64.min

    /// Of no record.
    package init() {}

    mutating func include(_ row: LogRow) {
        recordCount += 1
        timeMinimum = min(timeMinimum, row.shownTimeUnixNano)
        timeMaximum = max(timeMaximum, row.shownTimeUnixNano)
        receivedMinimum = min(receivedMinimum, row.receivedTimeUnixNano)
        receivedMaximum = max(receivedMaximum, row.receivedTimeUnixNano)
        severityMinimum = min(severityMinimum, Int64(row.severityNumber))
        severityMaximum = max(severityMaximum, Int64(row.severityNumber))
    }
}

/// A log segment as it is written.
package struct EncodedLogSegment: Sendable {
    package let statistics: LogStatistics
    package let traceFilter: TraceFilter
    /// Of the inflated contents.
    package let contentBytes: Int
    /// Compressed.
    package let facts: [UInt8]
    package let contents: [UInt8]

    package var storedBytes: Int { facts.count + contents.count + traceFilter.byteCount }
}
