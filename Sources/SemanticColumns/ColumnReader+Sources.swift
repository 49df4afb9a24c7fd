import TelemetryModel

/// What each kind of source gives for the span that is being read.
extension ColumnReader {
    /// - Parameter index: the rule's position in `table.others`; rules are not copied on a span's way.
    func evaluate(_ index: Int, _ span: borrowing SpanRecord, _ batch: inout SpanBatch) -> ColumnValue {
        let type = table.others[index].type
        switch table.others[index].source {
        case .attribute(let key): return record(key, batch).map { convert($0, to: type, in: &batch) } ?? .none
        case .unquoted(let key): return unquoted(key, to: type, in: &batch)
        case .shown(let key):
            var value = record(key, batch).map { convert($0, to: type, in: &batch) } ?? .none
            value.isGuess = true
            return value
        case .json, .jsonHead, .jsonPair, .jsonElements, .jsonSum: return json(table.others[index].source, to: type, in: &batch)
        case .pair(let first, let second):
            guard let left = plainText(first, batch) else { return .none }
            return text(plainText(second, batch).map { "\(left)#\($0)" } ?? left, in: &batch)
        case .path(let first, let second):
            guard let tail = plainText(second, batch) else { return .none }
            let head = plainText(first, batch) ?? ""
            return text(head.isEmpty ? tail : "\(head).\(tail)", in: &batch)
        case .numbered(let prefix): return largestNumber(prefix, span, batch).map { .integer(Int64($0) + 1) } ?? .none
        case .elements(let key): return record(key, batch).flatMap { elements($0, batch) }.map { .integer($0) } ?? .none
        case .prefixed(let prefix, let key): return plainText(key, batch).map { text(prefix + $0, in: &batch) } ?? .none
        case .map(let key, let texts): return mapped(key, texts, batch).map { mapped($0, to: type, in: &batch) } ?? .none
        case .breakerError(let key):
            guard let type = string(key, batch), ColumnConversion.isBreakerError(type) else { return .none }
            var value = text("open", in: &batch)
            value.isGuess = true
            return value
        case .atLeast(let limit, let key):
            guard let number = integer(key, &batch), number >= limit else { return .none }
            return text("\(number)", in: &batch)
        case .milliseconds, .timeOffset: return seconds(table.others[index].source, span.startTimeUnixNano, batch)
        case .plus(let keys): return total(keys.map { integer($0, &batch) })
        case .value(let value): return text(value, in: &batch)
        case .nameWhole, .nameAfter, .nameUntil, .nameHead, .nameTail: return name(table.others[index].source, span.name, batch)
        case .event(let name, let key):
            return eventRecord(name, key, span, batch).map { convert($0, to: type, in: &batch) } ?? .none
        case .eventElements(let name, let key):
            return eventRecord(name, key, span, batch).flatMap { elements($0, batch) }.map { .integer($0) } ?? .none
        case .eventValue(let name, let value):
            guard batch.events[span.events.indices].contains(where: { batch.equals($0.name, name) }) else { return .none }
            return mapped(value, to: type, in: &batch)
        case .eventOffset(let name):
            guard let event = batch.events[span.events.indices].first(where: { batch.equals($0.name, name) }),
                event.timeUnixNano >= span.startTimeUnixNano
            else { return .none }
            return .integer(event.timeUnixNano - span.startTimeUnixNano)
        case .sum(let first, let second): return sum(row[first], row[second])
        case .some(let column): return row[column].kind == .integer ? .integer(row[column].integer > 0 ? 1 : 0) : .none
        case .status(let code, let value): return span.statusCode == code ? text(value, in: &batch) : .none
        // A rule is tried only for spans that have its key.
        case .present: return .integer(1)
        }
    }

    private func sum(_ left: ColumnValue, _ right: ColumnValue) -> ColumnValue {
        guard left.kind == .integer || right.kind == .integer else { return .none }
        let sum = (left.kind == .integer ? left.integer : 0).addingSaturated(right.kind == .integer ? right.integer : 0)
        return .integer(sum)
    }

    /// The sum of numbers of which the first must be there.
    func total(_ numbers: [Int64?]) -> ColumnValue {
        guard var total = numbers.first ?? nil else { return .none }
        for case .some(let number) in numbers.dropFirst() {
            let (sum, overflow) = total.addingReportingOverflow(number)
            if overflow { return .none }
            total = sum
        }
        return .integer(total)
    }

    /// A part of the span's name, as a slice of it.
    private func name(_ source: ColumnRule.Source, _ slice: ByteSlice, _ batch: SpanBatch) -> ColumnValue {
        let name = batch.bytes(slice)
        var part: ArraySlice<UInt8>?
        switch source {
        case .nameWhole: part = name
        case .nameAfter(let text): part = name.starts(with: text) ? name.dropFirst(text.count) : nil
        case .nameUntil(let text):
            part = name.count > text.count && name.suffix(text.count).elementsEqual(text) ? name.dropLast(text.count) : nil
        case .nameHead(let text): part = name.firstRange(of: text).map { name[..<$0.lowerBound] }
        case .nameTail(let text): part = name.firstRange(of: text).map { name[$0.upperBound...] }
        default: part = nil
        }
        guard let part, !part.isEmpty else { return .none }
        return .text(ByteSlice(WireRange(offset: part.startIndex, count: part.count)))
    }

    /// The attribute of the last event of that name that has it.
    private func eventRecord(_ name: String, _ key: Int, _ span: borrowing SpanRecord, _ batch: SpanBatch) -> AttributeRecord? {
        guard let index = batchKey(key) else { return nil }
        for event in batch.events[span.events.indices].reversed() where batch.equals(event.name, name) {
            if let record = batch.attributes[event.attributes.indices].last(where: { $0.key == index }) { return record }
        }
        return nil
    }

    // MARK: Values of attributes

    /// The attribute when it is text.
    @inline(never)
    func string(_ key: Int, _ batch: SpanBatch) -> String? {
        guard let record = record(key, batch), record.kind == .string else { return nil }
        return batch.string(record.slice)
    }

    /// The attribute when it is text or an integer.
    private func plainText(_ key: Int, _ batch: SpanBatch) -> String? {
        guard let record = record(key, batch) else { return nil }
        switch record.kind {
        case .string: return batch.string(record.slice)
        case .int: return "\(record.int)"
        default: return nil
        }
    }

    func integer(_ key: Int, _ batch: inout SpanBatch) -> Int64? {
        guard let record = record(key, batch) else { return nil }
        let value = convert(record, to: .integer, in: &batch)
        return value.kind == .integer ? value.integer : nil
    }

    func elements(_ record: AttributeRecord, _ batch: SpanBatch) -> Int64? {
        switch record.kind {
        case .string: return JSONText.elementCount(in: batch.bytes(record.slice)).map(Int64.init)
        case .array:
            var reader = WireReader(batch.bytes.span.bytes, range: record.slice.range)
            var count: Int64 = 0
            do throws(WireError) {
                while let tag = try reader.nextTag() {
                    try reader.skip(tag)
                    if tag.field == 1 { count += 1 }
                }
            } catch {
                return nil
            }
            return count
        default: return nil
        }
    }

    // MARK: Conversion

    /// A text value behind the batch's bytes.
    func text(_ text: String, in batch: inout SpanBatch) -> ColumnValue {
        text.isEmpty ? .none : .text(batch.append(text))
    }

    @inline(__always)
    func convert(_ record: AttributeRecord, to type: ColumnType, in batch: inout SpanBatch) -> ColumnValue {
        if type == .text && record.kind == .string { return plainText(record, batch) }
        if type == .integer && record.kind == .int && record.int >= 0 {
            var value = ColumnValue.integer(record.int)
            value.sourceKey = Int32(truncatingIfNeeded: record.key)
            return value
        }
        if type == .flag && record.kind == .bool { return .integer(record.bool ? 1 : 0) }
        return convertRarely(record, to: type, in: &batch)
    }

    /// Text as it came, unless it is blank or has blanks around it.
    @inline(__always)
    func plainText(_ record: AttributeRecord, _ batch: SpanBatch) -> ColumnValue {
        let slice = record.slice
        guard slice.count > 0 else { return .none }
        if batch.bytes[Int(slice.offset)] > 0x20 && batch.bytes[slice.range.end - 1] > 0x20 {
            var value = ColumnValue.text(slice)
            value.sourceKey = Int32(truncatingIfNeeded: record.key)
            return value
        }
        var range = slice.range
        while range.count > 0, batch.bytes[range.end - 1] <= 0x20 { range.count -= 1 }
        while range.count > 0, batch.bytes[range.offset] <= 0x20 {
            range.offset += 1
            range.count -= 1
        }
        return range.count == 0 ? .none : .text(ByteSlice(range))
    }

    private func convertRarely(_ record: AttributeRecord, to type: ColumnType, in batch: inout SpanBatch) -> ColumnValue {
        switch type {
        case .text:
            switch record.kind {
            case .int: return text("\(record.int)", in: &batch)
            case .double: return ColumnConversion.integer(record.double).map { text("\($0)", in: &batch) } ?? .none
            case .bool: return text(record.bool ? "true" : "false", in: &batch)
            default: return .none
            }
        case .integer, .signed:
            let number: Int64? =
                switch record.kind {
                case .int: record.int
                case .double: ColumnConversion.integer(record.double)
                case .string: ColumnConversion.integer(batch.bytes(record.slice))
                default: nil
                }
            guard let number, type == .signed || number >= 0 else { return .none }
            return .integer(number)
        case .flag:
            switch record.kind {
            case .int: return record.int == 0 || record.int == 1 ? .integer(record.int) : .none
            case .string: return ColumnConversion.flag(batch.bytes(record.slice)).map { .integer($0) } ?? .none
            default: return .none
            }
        case .seconds:
            let seconds: Double? =
                switch record.kind {
                case .double: record.double
                case .int: Double(record.int)
                default: nil
                }
            return seconds.flatMap(ColumnConversion.nanoseconds).map { .integer($0) } ?? .none
        case .breaker:
            switch record.kind {
            case .string:
                if ColumnConversion.breakerStates.contains(where: { batch.equals(record.slice, $0) }) { return plainText(record, batch) }
                let raw = batch.string(record.slice)
                let state = ColumnConversion.breakerState(raw)
                return state == raw ? plainText(record, batch) : text(state, in: &batch)
            case .int: return text("code:\(record.int)", in: &batch)
            default: return .none
            }
        }
    }
}
