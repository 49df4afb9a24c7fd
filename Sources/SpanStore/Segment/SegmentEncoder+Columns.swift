import TelemetryModel

/// Writing the columns of a segment, each in the encoding that its values call for.
extension SegmentEncoder {
    /// Writes all columns to the streams, and gives the directory.
    mutating func writeColumns(_ group: SpanGroup) -> SegmentDirectory {
        var entries: [ColumnEntry] = []
        let count = group.spanCount
        writeTable(FixedColumn.traceIDs, traceBytes(), count: traces.ids.count, SegmentStreams.identity, &entries)
        writeTable(FixedColumn.resources, resources.bytes, count: resources.count, SegmentStreams.common, &entries)
        writeTable(FixedColumn.scopes, scopes.bytes, count: scopes.count, SegmentStreams.common, &entries)
        for integer in IntegerColumn.allCases {
            column.removeAll()
            column.append(0)
            let bounds = writeIntegers(integer.rawValue * count, count)
            var entry = entry(.fixed, integer.name, .integers, count)
            (entry.minimum, entry.maximum) = bounds
            finish(entry, integer.stream, &entries)
        }
        writeFixed(count, &entries)
        for field in FieldColumn.allCases where !cells.indices(field.rawValue).isEmpty {
            write(field.rawValue, .fixed, field.columnName, group, field.stream, &entries)
        }
        for blob in blobs where !blob.rows.isEmpty { write(blob, count, &entries) }
        writeAnnotations(group, &entries)
        writeAttributes(group, &entries)
        let streamCounts = (0..<SegmentStreams.count).map { streams.byteCount($0) }
        return SegmentDirectory(spanCount: count, streamCounts: streamCounts, columns: entries)
    }

    private func entry(_ space: ColumnSpace, _ name: String, _ encoding: ColumnEncoding, _ valueCount: Int) -> ColumnEntry {
        ColumnEntry(
            space: space, name: name, encoding: encoding, stream: 0, offset: 0, length: 0, valueCount: valueCount,
            minimum: 0, maximum: 0, valueMask: .max)
    }

    /// Moves what was written to `column` to its stream.
    private mutating func finish(_ entry: ColumnEntry, _ stream: Int, _ entries: inout [ColumnEntry]) {
        var entry = entry
        entry.stream = stream
        entry.length = column.count
        entry.offset = column.withUnsafeBytes { streams.append($0, to: stream) }
        entries.append(entry)
    }

    /// A table that spans refer to by number: its own count, not the spans'.
    private mutating func writeTable(
        _ name: String, _ bytes: [UInt8], count: Int, _ stream: Int, _ entries: inout [ColumnEntry]
    ) {
        column.removeAll()
        bytes.withUnsafeBytes { column.append($0) }
        finish(entry(.fixed, name, .blobs, count), stream, &entries)
    }

    private func traceBytes() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(traces.ids.count * 16)
        for trace in traces.ids {
            bytes.appendLittleEndian(trace.high)
            bytes.appendLittleEndian(trace.low)
        }
        return bytes
    }

    private mutating func writeFixed(_ count: Int, _ entries: inout [ColumnEntry]) {
        column.removeAll()
        column.append(0)
        for row in spanIDs.indices { column.appendLittleEndian(spanIDs[row]) }
        finish(entry(.fixed, FixedColumn.spanID, .fixed8, count), SegmentStreams.identity, &entries)
        column.removeAll()
        column.append(0)
        for row in contentHashes.indices { column.appendLittleEndian(UInt64(contentHashes[row]), width: 4) }
        finish(entry(.fixed, FixedColumn.contentHash, .fixed4, count), SegmentStreams.identity, &entries)
    }

    private mutating func write(_ blob: BlobColumn, _ count: Int, _ entries: inout [ColumnEntry]) {
        column.removeAll()
        rows.removeAll()
        for row in blob.rows { rows.append(row) }
        writePresence(rows.count, of: count)
        blob.data.withUnsafeBytes { column.append($0) }
        finish(entry(.fixed, blob.name, .blobs, blob.rows.count), SegmentStreams.rest, &entries)
    }

    /// Which of the spans have a value: the `valueCount` first ones in `rows`.
    private mutating func writePresence(_ valueCount: Int, of spanCount: Int) {
        if valueCount == spanCount {
            column.append(0)
        } else if valueCount * 16 >= spanCount {
            column.append(1)
            let start = column.count
            column.resize(to: start + (spanCount + 7) / 8, filling: 0)
            for index in 0..<valueCount {
                let row = rows[index]
                column[start &+ Int(row >> 3)] |= 1 << UInt8(truncatingIfNeeded: row & 7)
            }
        } else {
            column.append(2)
            var next: UInt32 = 0
            for index in 0..<valueCount {
                let row = rows[index]
                column.appendVarint(Int(row - next))
                next = row + 1
            }
        }
    }

    /// Writes `count` integers from position `start` of `integers` on, in as few bytes as their range needs; gives their bounds.
    private mutating func writeIntegers(_ start: Int, _ count: Int) -> (minimum: Int64, maximum: Int64) {
        var minimum = Int64.max
        var maximum = Int64.min
        for index in start..<start + count {
            minimum = min(minimum, integers[index])
            maximum = max(maximum, integers[index])
        }
        let range = UInt64(bitPattern: maximum) &- UInt64(bitPattern: minimum)
        let width = (64 - range.leadingZeroBitCount + 7) / 8
        column.appendLittleEndian(UInt64(bitPattern: minimum))
        column.append(UInt8(width))
        if width > 0 {
            for index in start..<start + count {
                column.appendLittleEndian(UInt64(bitPattern: integers[index]) &- UInt64(bitPattern: minimum), width: width)
            }
        }
        return (minimum, maximum)
    }

    // MARK: Annotations

    private mutating func writeAnnotations(_ group: SpanGroup, _ entries: inout [ColumnEntry]) {
        writeAnnotation("stage", annotations.stages, group, &entries) { $0.stage }
        writeAnnotation("outcome", annotations.outcomes, group, &entries) { $0.outcome }
        writeAnnotation("timeout_reason", annotations.timeoutReasons, group, &entries) { $0.timeoutReason }
        writeAnnotation("timeout_phase", annotations.timeoutPhases, group, &entries) { $0.timeoutPhase }
    }

    /// A text out of `values`, as a dictionary.
    @inline(__always)
    private mutating func writeAnnotation(
        _ name: String, _ values: [String], _ group: SpanGroup, _ entries: inout [ColumnEntry],
        _ number: (borrowing SpanAnnotations) -> UInt8
    ) {
        rows.removeAll()
        numbers.removeAll()
        for row in group.entries.indices {
            let number = number(group.entries[row].annotations)
            guard number > 0, number <= values.count else { continue }
            rows.append(UInt32(truncatingIfNeeded: row))
            numbers.append(number)
        }
        guard rows.count > 0 else { return }
        column.removeAll()
        writePresence(rows.count, of: group.spanCount)
        let mask = writeNumbers(values)
        var entry = entry(.derived, name, .dictionary, rows.count)
        entry.valueMask = mask
        finish(entry, SegmentStreams.common, &entries)
    }

    /// Writes `numbers` as a dictionary of those `values` that they stand for; gives the column's value mask.
    private mutating func writeNumbers(_ values: [String]) -> UInt64 {
        var used = [Int](repeating: -1, count: values.count)
        var order: [Int] = []
        for index in numbers.indices where used[Int(numbers[index]) - 1] < 0 {
            used[Int(numbers[index]) - 1] = order.count
            order.append(Int(numbers[index]) - 1)
        }
        var mask: UInt64 = 0
        column.appendVarint(order.count)
        for value in order {
            let bytes = values[value].utf8.span.bytes
            let range = WireRange(offset: 0, count: bytes.byteCount)
            mask |= 1 << (ByteHash.hash(bytes, range) & 63)
            column.appendPrefixed(range, of: bytes)
        }
        column.append(1)
        for index in numbers.indices { column.append(UInt8(truncatingIfNeeded: used[Int(numbers[index]) - 1])) }
        return mask
    }

    // MARK: Derived columns and attributes

    private mutating func writeAttributes(_ group: SpanGroup, _ entries: inout [ColumnEntry]) {
        let firstDerived = FieldColumn.allCases.count
        let firstAttribute = firstDerived + derivedNames.count
        // Attribute columns that a derived column stands for lie in the stream of the common columns.
        var aliased = Set<Int>()
        for (index, name) in derivedNames.enumerated() {
            let column = firstDerived + index
            guard let first = cells.indices(column).first else { continue }
            let source = Int(cells[first].source)
            if source >= 0, cells.areSame(column, source) {
                aliased.insert(source)
                var entry = entry(.derived, name, .alias, cells.indices(column).count)
                entry.aliasName = attributeName(source - firstAttribute)
                entries.append(entry)
            } else {
                write(column, .derived, name, group, SegmentStreams.common, &entries)
            }
        }
        for index in attributeNames.indices {
            let column = firstAttribute + index
            let stream = aliased.contains(column) ? SegmentStreams.common : SegmentStreams.rest
            write(column, .attribute, attributeName(index), group, stream, &entries)
        }
    }

    private func attributeName(_ index: Int) -> String {
        let range = names.ranges[Int(attributeNames[index])].range
        return String(decoding: names.bytes[range.offset..<range.end], as: UTF8.self)
    }

    /// Writes a column of cells.
    private mutating func write(
        _ number: Int, _ space: ColumnSpace, _ name: String, _ group: SpanGroup, _ stream: Int,
        _ entries: inout [ColumnEntry]
    ) {
        let range = cells.indices(number)
        column.removeAll()
        rows.removeAll()
        if range.count < group.spanCount { for index in range { rows.append(cells[index].row) } }
        writePresence(range.count, of: group.spanCount)
        var entry = entry(space, name, .mixed, range.count)
        switch cells.commonKind(number) {
        case .string: writeTexts(range, group, &entry)
        case .int where number == FieldColumn.parentSpanID.rawValue:
            entry.encoding = .fixed8
            for index in range { column.appendLittleEndian(cells[index].payload) }
        case .int: writeIntegers(range, &entry)
        case .double:
            entry.encoding = .doubles
            for index in range { column.appendLittleEndian(cells[index].payload) }
        case .bool:
            entry.encoding = .bools
            for index in range { column.append(UInt8(truncatingIfNeeded: cells[index].payload)) }
        case .empty: entry.encoding = .empties
        case .array: writeSlices(range, .arrays, group, &entry)
        case .keyValueList: writeSlices(range, .keyValueLists, group, &entry)
        case .bytes: writeSlices(range, .blobs, group, &entry)
        case nil: writeMixed(range, group)
        }
        finish(entry, stream, &entries)
    }

    private mutating func writeIntegers(_ range: Range<Int>, _ entry: inout ColumnEntry) {
        entry.encoding = .integers
        // The fixed ones are written by now.
        integers.removeAll()
        for index in range { integers.append(Int64(bitPattern: cells[index].payload)) }
        (entry.minimum, entry.maximum) = writeIntegers(0, integers.count)
    }

    /// Texts as a dictionary, or one after the other when most of them differ.
    private mutating func writeTexts(_ range: Range<Int>, _ group: SpanGroup, _ entry: inout ColumnEntry) {
        entry.encoding = .dictionary
        entry.valueMask = 0
        dictionary.removeAll(valueCount: range.count)
        var position = range.lowerBound
        while position < range.upperBound {
            let end = cells.endOfPart(position, in: range)
            let batch = group.parts[Int(cells[position].part)].batch.bytes
            let bytes = batch.span.bytes
            var last = WireRange(offset: 0, count: -1)
            for index in position..<end {
                let text = cells[index].slice.range
                if last.count == text.count && RawSpanComparison.areEqual(bytes, last, bytes, text) {
                    dictionary.appendSame()
                    continue
                }
                last = text
                let hash = ByteHash.hash(bytes, text)
                entry.valueMask |= 1 << (hash & 63)
                dictionary.append(text, of: bytes, hash: hash)
                if dictionary.isUseless { return writePlainTexts(range, group, &entry) }
            }
            position = end
        }
        dictionary.write(to: &column)
    }

    private mutating func writePlainTexts(_ range: Range<Int>, _ group: SpanGroup, _ entry: inout ColumnEntry) {
        entry.encoding = .texts
        var position = range.lowerBound
        while position < range.upperBound {
            let end = cells.endOfPart(position, in: range)
            let batch = group.parts[Int(cells[position].part)].batch.bytes
            let bytes = batch.span.bytes
            for index in position..<end {
                let text = cells[index].slice.range
                entry.valueMask |= 1 << (ByteHash.hash(bytes, text) & 63)
                column.appendPrefixed(text, of: bytes)
            }
            position = end
        }
    }

    private mutating func writeSlices(
        _ range: Range<Int>, _ encoding: ColumnEncoding, _ group: SpanGroup, _ entry: inout ColumnEntry
    ) {
        entry.encoding = encoding
        for index in range {
            let batch = group.parts[Int(cells[index].part)].batch.bytes
            column.appendPrefixed(cells[index].slice.range, of: batch.span.bytes)
        }
    }

    private mutating func writeMixed(_ range: Range<Int>, _ group: SpanGroup) {
        for index in range {
            let cell = cells[index]
            column.append(cell.kind.rawValue)
            switch cell.kind {
            case .int, .double: column.appendLittleEndian(cell.payload)
            case .bool: column.append(UInt8(truncatingIfNeeded: cell.payload))
            case .empty: break
            case .string, .array, .keyValueList, .bytes:
                let batch = group.parts[Int(cell.part)].batch.bytes
                column.appendPrefixed(cell.slice.range, of: batch.span.bytes)
            }
        }
    }
}
