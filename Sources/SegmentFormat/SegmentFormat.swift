// The segment: how spans lie in the database.
//
// A segment is an immutable set of spans, stored column by column. It is one row of the table `segment` (its statistics, its
// directory, its trace filter) and one row of `segment_stream` for each of its streams. A stream is a frame with a checksum
// (`StoredFrame`) that holds one or more columns; a query reads only the streams of the columns that it names. A segment as a commit
// writes it has three sections (identity, common columns, the rest), which are one stream when they are short and three when not; a
// merged one has a stream for each column but the smallest, which share stream 0: readers follow the directory and do not care.
//
// The spans of a merged segment are sorted by service, trace and start. Its column `arrival` says in which order they came: how many ordinals
// of the segment come before each one's own. Where some were forgotten, it has gaps (docs/adr/0105).
//
// Directory, as a commit writes it (a frame of its own):
//
//     version          1 byte: 3. The stream set is the segment's id
//     span count       varint
//     is joined        1 byte: 1 when the sections are one stream, one behind the other
//     sections         the length of each of the three (varint)
//     columns, in the order in which they lie in their sections:
//       tag            1 byte: 0 ends the directory; 1 to 64 is a fixed column, its number in `FixedColumn.names` plus 1; 65 a derived
//                      column and 66 an attribute, with its name behind (varint length, UTF-8)
//       encoding       1 byte, `ColumnEncoding`
//       value count    varint: how many spans have a value
//       of an alias    varint: which of the attribute columns, in their order, has the values; nothing else
//       section        1 byte
//       length         varint: the column begins where the one before it in its section ends
//       of integers    minimum (8 bytes), then how many bytes the difference to the maximum has (1 byte) and it
//       of a dictionary and of texts   value mask, 8 bytes: bit (hash of text mod 64) is set for each text
//
// Directory of a merged segment, and of one that a commit of an earlier release wrote (version 1):
//
//     version          1 byte: 1 or 2, 2 merged
//     stream set       varint, version 2 only: stream n is row `stream set` * 4096 + n of `segment_stream`. In version 1 the
//                      stream set is the segment's id
//     span count       varint
//     stream count     varint, then for each stream its inflated length (varint)
//     column count     varint, then for each column:
//       space          1 byte, `ColumnSpace`
//       name           varint length, UTF-8
//       encoding       1 byte, `ColumnEncoding`
//       stream         varint
//       offset, length varint, varint: where the column lies in the inflated stream
//       value count    varint: how many spans have a value
//       minimum, maximum  8 bytes each, little-endian, of integer columns; 0 for the rest
//       value mask     8 bytes: bit (hash of text mod 64) is set for each text of a text column; all bits for other columns
//
// A column in its stream:
//
//     presence         1 byte: 0 every span has a value; 1 a bitmap of (span count + 7) / 8 bytes; 2 gaps as varints
//     values           by encoding, one for each span that has a value, in the order of spans
//
// Values by `ColumnEncoding`:
//
//     integers         base (8 bytes), width w in bytes (1 byte, 0...8), then value - base in w bytes each
//     doubles          8 bytes each
//     bools            1 byte each
//     dictionary       entry count (varint), entries (varint length, bytes), index width (1, 2 or 4), then indices
//     texts            varint length, bytes
//     blobs            the same; what they hold is the column's matter
//     fixed(n)         n bytes each
//     mixed            for each: `AttributeKind` (1 byte), then 8 bytes for int and double, 1 byte for bool, varint length and
//                      bytes for the rest
//     alias            nothing: the values are those of the attribute column whose name stands in place of the data
//
// Only in merged segments:
//
//     planes           mode (1 byte), base (8 bytes), width w in bytes (1 byte, 0...8), then w planes: the lowest bytes of all
//                      words, then the next higher ones. In mode 0 a word is value - base; in mode 1 it is the zigzag difference
//                      to the value before, and the first value is base
//     references       the column of parents: count of outer ids (varint), outer ids (8 bytes each), then for each value a
//                      zigzag varint: 0 for the next outer id, else the span's row - the row whose span id is the parent
//
// All integers are little-endian.

/// Numbers of the segment format.
package enum SegmentFormat {
    /// Of a segment as a commit writes it. Changes when an older reader would misread a newer segment.
    package static let version: UInt8 = 3
    /// Of a segment as commits wrote it before; it is read, and goes when it is merged.
    static let earlierVersion: UInt8 = 1
    /// Of a merged segment.
    static let mergedVersion: UInt8 = 2
    /// Streams of one segment are numbered below this; a stream's row id is segment id * this + number.
    package static let streamsMax = 4096
    /// Attribute keys that get a column of their own in a segment; those past it go to the overflow column.
    package static let attributeColumnsMax = 512
    /// Columns of any kind, for readers of what may be damaged.
    static let columnsMax = 4096
    /// Spans of a segment that a commit writes.
    package static let spansPerCommitMax = 20_000
}

/// Which names a column's name is among.
package enum ColumnSpace: UInt8, Sendable {
    /// Fields of a span that OTLP defines, by the names in `FixedColumn`.
    case fixed = 0
    /// Columns that were derived from attributes, by their SQL names.
    case derived = 1
    /// Span attributes, by key.
    case attribute = 2
}

/// How a column's values are written.
package enum ColumnEncoding: UInt8, Sendable {
    case integers = 0
    case doubles = 1
    case bools = 2
    case dictionary = 3
    case texts = 4
    case blobs = 5
    case fixed4 = 6
    case fixed8 = 7
    case fixed16 = 8
    case mixed = 9
    case alias = 10
    /// Attribute values of kind `empty`, which have no bytes.
    case empties = 11
    /// Arrays, lists and bytes in wire encoding, by their own kind.
    case arrays = 12
    case keyValueLists = 13
    /// Integers of a merged segment, byte planes of values or of differences.
    case planes = 14
    /// Parents of a merged segment: the rows that they are in, or their ids.
    case references = 15
}

/// Names of the columns in `ColumnSpace.fixed`.
package enum FixedColumn {
    package static let traceIndex = "trace_index"
    package static let traceIDs = "trace_ids"
    package static let spanID = "span_id"
    package static let parentSpanID = "parent_span_id"
    package static let contentHash = "content_hash"
    package static let start = "start_time_unix_nano"
    package static let duration = "duration"
    package static let received = "received_unix_nano"
    package static let kind = "kind"
    package static let statusCode = "status_code"
    package static let flags = "flags"
    package static let name = "name"
    package static let statusMessage = "status_message"
    package static let traceState = "trace_state"
    package static let resource = "resource"
    package static let scope = "scope"
    package static let resources = "resources"
    package static let scopes = "scopes"
    package static let events = "events"
    package static let links = "links"
    package static let droppedAttributes = "dropped_attributes_count"
    package static let droppedEvents = "dropped_events_count"
    package static let droppedLinks = "dropped_links_count"
    package static let overflow = "overflow_attributes"
    /// In a merged segment, the place of each span in the order of arrival.
    static let arrival = "arrival"

    /// A column's place here stands for its name in the directory of a segment that a commit wrote: it never changes, and new ones come
    /// at the end. At most 64.
    static let names = [
        traceIndex, traceIDs, spanID, parentSpanID, contentHash, start, duration, received, kind, statusCode, flags, name, statusMessage,
        traceState, resource, scope, resources, scopes, events, links, droppedAttributes, droppedEvents, droppedLinks, overflow,
    ]

    static func number(_ name: String) -> Int {
        let number = names.firstIndex(of: name) ?? names.count
        precondition(number < names.count, "a fixed column has no number")
        return number
    }
}
