import TelemetryModel

/// Writing the columns of a segment, each in the encoding that its values call for.
extension SegmentEncoder {
    /// Writes all columns to their sections, and what the directory says of them.
    mutating func writeColumns(_ group: SpanGroup) {
        let count = group.spanCount
        writeTable(Self.traceIDsNumber, traceBytes(), count: traces.ids.count, SegmentSections.identity)
        writeTable(Self.resourcesNumber, resources.bytes, count: resources.count, SegmentSections.common)
        writeTable(Self.scopesNumber, scopes.bytes, count: scopes.count, SegmentSections.common)
        for integer in IntegerColumn.allCases {
            column.removeAll()
            column.append(0)
            var written = WrittenColumn(encoding: .integers, valueCount: count)
            (written.minimum, written.maximum) = writeIntegers(integer.rawValue * count, count)
            finish(.fixed(IntegerColumn.numbers[integer.rawValue]), written, integer.section)
        }
        writeFixed(count)
        for field in FieldColumn.allCases where !cells.indices(field.rawValue).isEmpty {
            write(field.rawValue, .fixed(FieldColumn.numbers[field.rawValue]), group, field.section)
        }
        for blob in blobs where !blob.rows.isEmpty { write(blob, count) }
        writeAnnotations(group)
        writeAttributes(group)
    }

    private static let traceIDsNumber = FixedColumn.number(FixedColumn.traceIDs)
    private static let resourcesNumber = FixedColumn.number(FixedColumn.resources)
    private static let scopesNumber = FixedColumn.number(FixedColumn.scopes)
    private static let spanIDNumber = FixedColumn.number(FixedColumn.spanID)
    private static let contentHashNumber = FixedColumn.number(FixedColumn.contentHash)

    /// What a column is called in the directory.
    private enum Name {
        /// By its number in `FixedColumn.names`.
        case fixed(Int)
        case derived(String)
        /// By its place in `attributeNames`.
        case attribute(Int)
    }

    /// Moves what was written to `column` to its section.
    private mutating func finish(_ name: Name, _ written: WrittenColumn, _ section: Int) {
        column.withUnsafeBytes { sections.append($0, to: section) }
        switch name {
        case .fixed(let number): directory.appendFixed(number, written, section: section, length: column.count)
        case .derived(let name): directory.appendDerived(name, written, section: section, length: column.count)
        case .attribute(let index):
            let range = names.ranges[Int(attributeNames[index])].range
            let bytes = names.bytes
            directory.appendAttribute(range, of: bytes.span.bytes, written, section: section, length: column.count)
        }
    }

    /// A table that spans refer to by number: its own count, not the spans'.
    private mutating func writeTable(_ number: Int, _ bytes: [UInt8], count: Int, _ section: Int) {
        column.removeAll()
        bytes.withUnsafeBytes { column.append($0) }
        finish(.fixed(number), WrittenColumn(encoding: .blobs, valueCount: count), section)
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

    private mutating func writeFixed(_ count: Int) {
        column.removeAll()
        column.append(0)
        for row in spanIDs.indices { column.appendLittleEndian(spanIDs[row]) }
        finish(.fixed(Self.spanIDNumber), WrittenColumn(encoding: .fixed8, valueCount: count), SegmentSections.identity)
        column.removeAll()
        column.append(0)
        for row in contentHashes.indices { column.appendLittleEndian(UInt64(contentHashes[row]), width: 4) }
        finish(.fixed(Self.contentHashNumber), WrittenColumn(encoding: .fixed4, valueCount: count), SegmentSections.identity)
    }

    private mutating func write(_ blob: BlobColumn, _ count: Int) {
        column.removeAll()
        rows.removeAll()
        for row in blob.rows { rows.append(row) }
        writePresence(rows.count, of: count)
        blob.data.withUnsafeBytes { column.append($0) }
        finish(.fixed(blob.number), WrittenColumn(encoding: .blobs, valueCount: blob.rows.count), SegmentSections.rest)
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
        let width = range.byteWidth
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

    private mutating func writeAnnotations(_ group: SpanGroup) {
        writeAnnotation("stage", annotations.stages, group) { $0.stage }
        writeAnnotation("outcome", annotations.outcomes, group) { $0.outcome }
        writeAnnotation("timeout_reason", annotations.timeoutReasons, group) { $0.timeoutReason }
        writeAnnotation("timeout_phase", annotations.timeoutPhases, group) { $0.timeoutPhase }
    }

    /// A text out of `values`, as a dictionary.
    @inline(__always)
    private mutating func writeAnnotation(
        _ name: String, _ values: [String], _ group: SpanGroup, _ number: (borrowing SpanAnnotations) -> UInt8
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
        finish(
            .derived(name), WrittenColumn(encoding: .dictionary, valueCount: rows.count, valueMask: mask), SegmentSections.common)
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

    private mutating func writeAttributes(_ group: SpanGroup) {
        let firstDerived = FieldColumn.allCases.count
        let firstAttribute = firstDerived + derivedNames.count
        // Attribute columns that a derived column stands for lie in the section of the common columns.
        isAliased.removeAll()
        isAliased.resize(to: attributeNames.count, filling: false)
        for (index, name) in derivedNames.enumerated() {
            let column = firstDerived + index
            guard let first = cells.indices(column).first else { continue }
            let source = Int(cells[first].source)
            if source >= 0, cells.areSame(column, source) {
                isAliased[source - firstAttribute] = true
                directory.appendAlias(name, valueCount: cells.indices(column).count, attribute: source - firstAttribute)
            } else {
                write(column, .derived(name), group, SegmentSections.common)
            }
        }
        for index in attributeNames.indices {
            let section = isAliased[index] ? SegmentSections.common : SegmentSections.rest
            write(firstAttribute + index, .attribute(index), group, section)
        }
    }

    /// Writes a column of cells.
    private mutating func write(_ number: Int, _ name: Name, _ group: SpanGroup, _ section: Int) {
        let range = cells.indices(number)
        column.removeAll()
        rows.removeAll()
        if range.count < group.spanCount { for index in range { rows.append(cells[index].row) } }
        writePresence(range.count, of: group.spanCount)
        var written = WrittenColumn(encoding: .mixed, valueCount: range.count)
        switch cells.commonKind(number) {
        case .string: writeTexts(range, group, &written)
        case .int where number == FieldColumn.parentSpanID.rawValue:
            written.encoding = .fixed8
            for index in range { column.appendLittleEndian(cells[index].payload) }
        case .int: writeIntegers(range, &written)
        case .double:
            written.encoding = .doubles
            for index in range { column.appendLittleEndian(cells[index].payload) }
        case .bool:
            written.encoding = .bools
            for index in range { column.append(UInt8(truncatingIfNeeded: cells[index].payload)) }
        case .empty: written.encoding = .empties
        case .array: writeSlices(range, .arrays, group, &written)
        case .keyValueList: writeSlices(range, .keyValueLists, group, &written)
        case .bytes: writeSlices(range, .blobs, group, &written)
        case nil: writeMixed(range, group)
        }
        finish(name, written, section)
    }

    private mutating func writeIntegers(_ range: Range<Int>, _ written: inout WrittenColumn) {
        written.encoding = .integers
        // The fixed ones are written by now.
        integers.removeAll()
        for index in range { integers.append(Int64(bitPattern: cells[index].payload)) }
        (written.minimum, written.maximum) = writeIntegers(0, integers.count)
    }

    /// Texts as a dictionary, or one after the other when most of them differ.
    private mutating func writeTexts(_ range: Range<Int>, _ group: SpanGroup, _ written: inout WrittenColumn) {
        written.encoding = .dictionary
        written.valueMask = 0
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
                if dictionary.append(text, of: bytes) { written.valueMask |= 1 << (ByteHash.hash(bytes, text) & 63) }
                if dictionary.isUseless { return writePlainTexts(range, group, &written) }
            }
            position = end
        }
        dictionary.write(to: &column)
    }

    private mutating func writePlainTexts(_ range: Range<Int>, _ group: SpanGroup, _ written: inout WrittenColumn) {
        written.encoding = .texts
        var position = range.lowerBound
        while position < range.upperBound {
            let end = cells.endOfPart(position, in: range)
            let batch = group.parts[Int(cells[position].part)].batch.bytes
            let bytes = batch.span.bytes
            for index in position..<end {
                let text = cells[index].slice.range
                written.valueMask |= 1 << (ByteHash.hash(bytes, text) & 63)
                column.appendPrefixed(text, of: bytes)
            }
            position = end
        }
    }

    private mutating func writeSlices(
        _ range: Range<Int>, _ encoding: ColumnEncoding, _ group: SpanGroup, _ written: inout WrittenColumn
    ) {
        written.encoding = encoding
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
