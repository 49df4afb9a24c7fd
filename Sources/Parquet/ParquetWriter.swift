import CZstd

/// Writes a Parquet file: row groups of column chunks of zstd pages, dictionaries where few values repeat, statistics, and the footer. Rows come one
/// after another, a value for each column in their order.
///
/// Memory: one row group, `groupBytesMax` at most but for a single row, and its compressed form.
package final class ParquetWriter {
    package enum Limits {
        package static let groupRowsMax = 131_072
        package static let groupBytesMax = 64 << 20
        /// Of a page before it is compressed, about.
        static let pageBytes = 1 << 20
        static let pageRowsMax = 20_000
        static let pageBytesMax = 1 << 30
    }

    private let columns: [ParquetColumn]
    private let createdBy: String
    private let notes: [(key: String, value: String)]
    private let write: ([UInt8]) throws -> Void
    private let compressor: OpaquePointer?
    private var buffers: [ColumnBuffer]
    private var groups: [ParquetRowGroup] = []
    private var nextColumn = 0
    private var offset = 0
    package private(set) var rowCount = 0

    /// - Parameters:
    ///   - createdBy: the program and its version.
    ///   - notes: what the footer says besides.
    ///   - write: takes the file's bytes, in order.
    package init(
        columns: [ParquetColumn], createdBy: String, notes: [(key: String, value: String)] = [],
        write: @escaping ([UInt8]) throws -> Void
    ) throws {
        self.columns = columns
        self.createdBy = createdBy
        self.notes = notes
        self.write = write
        buffers = columns.map { ColumnBuffer($0.kind) }
        compressor = ZSTD_createCCtx()
        ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, 3)
        try emit(ParquetFormat.magic)
    }

    deinit {
        ZSTD_freeCCtx(compressor)
    }

    private func emit(_ bytes: [UInt8]) throws {
        try write(bytes)
        offset += bytes.count
    }

    // MARK: Rows

    package func appendNull() throws {
        buffers[nextColumn].appendNull()
        try step()
    }

    /// An integer, or a timestamp's microseconds.
    package func append(_ value: Int64) throws {
        buffers[nextColumn].append(value)
        try step()
    }

    package func append(_ text: [UInt8]) throws {
        buffers[nextColumn].append(text)
        try step()
    }

    private func step() throws {
        nextColumn += 1
        guard nextColumn == columns.count else { return }
        nextColumn = 0
        rowCount += 1
        let rows = buffers.first?.presence.count ?? 0
        if rows >= Limits.groupRowsMax
            || rows.isMultiple(of: 256) && buffers.reduce(0, { $0 + $1.byteCount }) >= Limits.groupBytesMax
        {
            try flush()
        }
    }

    /// Ends the file.
    package func finish() throws {
        try flush()
        let footer = ParquetFooter(columns: columns, groups: groups, createdBy: createdBy, notes: notes).encoded
        var end = footer
        end.appendLittleEndian(UInt64(footer.count), width: 4)
        try emit(end + ParquetFormat.magic)
    }

    // MARK: Row groups

    private func flush() throws {
        guard let rows = buffers.first?.presence.count, rows > 0 else { return }
        var chunks: [ParquetChunk] = []
        for index in columns.indices {
            chunks.append(try writeChunk(columns[index], buffers[index]))
            buffers[index].removeAll()
        }
        groups.append(ParquetRowGroup(chunks: chunks, rowCount: rows))
    }

    private func writeChunk(_ column: ParquetColumn, _ buffer: ColumnBuffer) throws -> ParquetChunk {
        let bounds = buffer.bounds()
        var chunk = ParquetChunk(
            column: column, encodings: [ParquetFormat.Encoding.rle, ParquetFormat.Encoding.plain],
            valueCount: buffer.presence.count,
            inflatedBytes: 0, storedBytes: 0, dataOffset: offset, nullCount: buffer.presence.count - buffer.valueCount,
            minimum: bounds?.minimum, maximum: bounds?.maximum)
        let dictionary = buffer.valueCount > 0 ? buffer.dictionary() : nil
        if let dictionary {
            chunk.dictionaryOffset = offset
            chunk.encodings.append(ParquetFormat.Encoding.rleDictionary)
            try writePage(dictionary.plain, &chunk, type: ParquetFormat.PageType.dictionary) { head in
                head.structure(7) { dictionaryHead in
                    dictionaryHead.int32(1, dictionary.entryCount)
                    dictionaryHead.int32(2, ParquetFormat.Encoding.plain)
                }
            }
            chunk.dataOffset = offset
        }
        var row = 0
        var value = 0
        while row < buffer.presence.count {
            let page = Self.page(buffer, row, value)
            var bytes: [UInt8] = []
            var levels: [UInt8] = []
            levels.appendHybrid(buffer.presence[row..<page.endRow].lazy.map { $0 ? 1 : 0 }, bitWidth: 1)
            bytes.appendLittleEndian(UInt64(levels.count), width: 4)
            bytes += levels
            if let dictionary {
                let width = max(1, Int.bitWidth - max(1, dictionary.entryCount - 1).leadingZeroBitCount)
                bytes.append(UInt8(width))
                bytes.appendHybrid(dictionary.indices[value..<page.endValue], bitWidth: width)
            } else {
                bytes += buffer.plain(value..<page.endValue)
            }
            try writePage(bytes, &chunk, type: ParquetFormat.PageType.data) { head in
                head.structure(5) { data in
                    data.int32(1, page.endRow - row)
                    data.int32(2, dictionary == nil ? ParquetFormat.Encoding.plain : ParquetFormat.Encoding.rleDictionary)
                    data.int32(3, ParquetFormat.Encoding.rle)
                    data.int32(4, ParquetFormat.Encoding.rle)
                }
            }
            (row, value) = (page.endRow, page.endValue)
        }
        return chunk
    }

    /// Where the page ends that begins at a row, whose first value is the one of that number.
    private static func page(_ buffer: ColumnBuffer, _ row: Int, _ value: Int) -> (endRow: Int, endValue: Int) {
        var (endRow, endValue) = (row, value)
        var bytes = 0
        while endRow < buffer.presence.count, bytes < Limits.pageBytes, endRow - row < Limits.pageRowsMax {
            if buffer.presence[endRow] {
                bytes += buffer.plainCount(endValue)
                endValue += 1
            }
            endRow += 1
        }
        return (endRow, endValue)
    }

    private func writePage(
        _ bytes: [UInt8], _ chunk: inout ParquetChunk, type: Int, _ describe: (inout ThriftWriter) -> Void
    ) throws {
        guard bytes.count <= Limits.pageBytesMax else { throw ParquetError.pageTooLarge }
        let compressed = try compress(bytes)
        var head = ThriftWriter()
        head.structure { page in
            page.int32(1, type)
            page.int32(2, bytes.count)
            page.int32(3, compressed.count)
            describe(&page)
        }
        chunk.inflatedBytes += head.bytes.count + bytes.count
        chunk.storedBytes += head.bytes.count + compressed.count
        try emit(head.bytes)
        try emit(compressed)
    }

    private func compress(_ bytes: [UInt8]) throws -> [UInt8] {
        var failed = false
        let compressed = [UInt8](unsafeUninitializedCapacity: ZSTD_compressBound(bytes.count)) { target, count in
            let result = bytes.withUnsafeBytes {
                ZSTD_compress2(compressor, target.baseAddress, target.count, $0.baseAddress, $0.count)
            }
            failed = ZSTD_isError(result) != 0
            count = failed ? 0 : result
        }
        guard !failed else { throw ParquetError.compression }
        return compressed
    }
}
