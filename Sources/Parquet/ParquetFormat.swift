/// A column of a Parquet file. Every value may be missing.
package struct ParquetColumn: Sendable {
    package enum Kind: Sendable {
        case integer
        /// UTF-8.
        case text
        /// Microseconds since 1970, UTC.
        case timestamp
    }

    package var name: String
    package var kind: Kind

    package init(name: String, kind: Kind) {
        self.name = name
        self.kind = kind
    }
}

/// Why a file could not be written.
package enum ParquetError: Error, Sendable {
    case compression
    /// A page of more bytes than the format can count.
    case pageTooLarge

    package var isRetryable: Bool { false }

    package var message: String {
        switch self {
        case .compression: "zstd could not compress; is memory short?"
        case .pageTooLarge: "a value of more than a gigabyte cannot be written"
        }
    }
}

/// Numbers of the Parquet format that are written here (parquet-format 2.10): of the many encodings two, of pages the first version.
enum ParquetFormat {
    static let magic = Array("PAR1".utf8)
    static let version = 2

    enum PhysicalType {
        static let int64 = 2
        static let byteArray = 6
    }

    enum Encoding {
        static let plain = 0
        static let rle = 3
        static let rleDictionary = 8
    }

    enum PageType {
        static let data = 0
        static let dictionary = 2
    }

    static let zstandard = 6
    static let optional = 1
    /// The older names of the types, for readers that do not know the newer ones.
    static let convertedText = 0
    static let convertedTimestampMicroseconds = 10
}

/// What the footer says of a column in a row group.
struct ParquetChunk {
    var column: ParquetColumn
    var encodings: [Int]
    var valueCount: Int
    var inflatedBytes: Int
    var storedBytes: Int
    var dictionaryOffset: Int?
    var dataOffset: Int
    var nullCount: Int
    /// The least and the greatest value as they are written plainly, without a text's length; `nil` when there is none, or it is long.
    var minimum: [UInt8]?
    var maximum: [UInt8]?
}

/// A row group as the footer lists it.
struct ParquetRowGroup {
    var chunks: [ParquetChunk]
    var rowCount: Int
}

/// The footer of a file.
struct ParquetFooter {
    var columns: [ParquetColumn]
    var groups: [ParquetRowGroup]
    var createdBy: String
    var notes: [(key: String, value: String)]

    var encoded: [UInt8] {
        var writer = ThriftWriter()
        writer.structure { file in
            file.int32(1, ParquetFormat.version)
            file.list(2, [nil] + columns.map(Optional.some)) { element, column in schema(column, &element) }
            file.int64(3, groups.reduce(0) { $0 + $1.rowCount })
            file.list(4, groups) { group, row in
                group.list(1, row.chunks) { chunk, part in self.chunk(part, &chunk) }
                group.int64(2, row.chunks.reduce(0) { $0 + $1.inflatedBytes })
                group.int64(3, row.rowCount)
                group.int64(6, row.chunks.reduce(0) { $0 + $1.storedBytes })
            }
            file.list(5, notes) { note, pair in
                note.binary(1, pair.key.utf8)
                note.binary(2, pair.value.utf8)
            }
            file.binary(6, createdBy.utf8)
            // Values are ordered as their types are: without that, readers leave the statistics aside.
            file.list(7, columns) { order, _ in order.structure(1) { _ in } }
        }
        return writer.bytes
    }

    private func schema(_ column: ParquetColumn?, _ element: inout ThriftWriter) {
        guard let column else {
            element.binary(4, "schema".utf8)
            element.int32(5, columns.count)
            return
        }
        let isText = column.kind == .text
        element.int32(1, isText ? ParquetFormat.PhysicalType.byteArray : ParquetFormat.PhysicalType.int64)
        element.int32(3, ParquetFormat.optional)
        element.binary(4, column.name.utf8)
        switch column.kind {
        case .integer: break
        case .text:
            element.int32(6, ParquetFormat.convertedText)
            element.structure(10) { $0.structure(1) { _ in } }
        case .timestamp:
            element.int32(6, ParquetFormat.convertedTimestampMicroseconds)
            element.structure(10) { type in
                type.structure(8) { timestamp in
                    timestamp.bool(1, true)
                    timestamp.structure(2) { unit in unit.structure(2) { _ in } }
                }
            }
        }
    }

    private func chunk(_ part: ParquetChunk, _ chunk: inout ThriftWriter) {
        chunk.int64(2, part.dictionaryOffset ?? part.dataOffset)
        chunk.structure(3) { data in
            data.int32(1, part.column.kind == .text ? ParquetFormat.PhysicalType.byteArray : ParquetFormat.PhysicalType.int64)
            data.list(2, part.encodings)
            data.list(3, [part.column.name])
            data.int32(4, ParquetFormat.zstandard)
            data.int64(5, part.valueCount)
            data.int64(6, part.inflatedBytes)
            data.int64(7, part.storedBytes)
            data.int64(9, part.dataOffset)
            if let offset = part.dictionaryOffset { data.int64(11, offset) }
            data.structure(12) { statistics in
                statistics.int64(3, part.nullCount)
                if let maximum = part.maximum { statistics.binary(5, maximum) }
                if let minimum = part.minimum { statistics.binary(6, minimum) }
            }
        }
    }
}
