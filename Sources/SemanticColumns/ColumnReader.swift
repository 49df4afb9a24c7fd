package import TelemetryModel

/// Fills the columns of one batch's spans by the alias table.
///
/// Made once a batch, since it resolves the table's keys to the batch's key indices; then called once a span. Attribute rules
/// without conditions, the common case, cost one array look-up for each attribute; the rest is tried only where the batch has a key,
/// event or scope that they need.
package struct ColumnReader: Sendable {
    /// One unconditional `attribute` rule, found by key index.
    private struct DirectRule {
        var column: Int
        var type: ColumnType
        var rank: UInt16
    }

    private let table: ColumnTable
    /// For each key of the batch, its range in `directRules`.
    private var directRanges: [Range<Int32>] = []
    private var directRules: [DirectRule] = []
    /// Rules that the batch might satisfy, other than direct ones, in the order of the table.
    private var otherRules: [ColumnRule] = []
    private var keyIndices: [String: UInt32] = [:]
    private var scopeNames: [String] = []
    /// For each key that is numbered, the rules' prefix and the number.
    private var numbered: [UInt32: [(prefix: String, number: Int)]] = [:]
    /// For each resource, values for columns that a resource may fill.
    private var resourceRows: [[(column: Int, value: ColumnValue)]] = []
    /// The row of the span that was read last, indexed by `Column.rawValue`.
    package private(set) var row = [ColumnValue](repeating: .none, count: Column.allCases.count)

    /// Prepares to read the spans of `batch`, to which texts of computed values may be appended.
    package init(table: ColumnTable, batch: inout SpanBatch) {
        self.table = table
        for (index, slice) in batch.keys.enumerated() {
            keyIndices[batch.string(slice)] = UInt32(truncatingIfNeeded: index)
        }
        scopeNames = batch.scopes.map { batch.string($0.name) }
        prepareRules(batch)
        prepareResources(&batch)
    }

    package subscript(column: Column) -> ColumnValue { row[column.rawValue] }

    /// Whether the span that was read last has any of the facts.
    package private(set) var hasFacts = false

    /// Whether the column's value is an attribute that states it, rather than one guessed from an exception.
    package func isReported(_ column: Column) -> Bool { row[column.rawValue].kind != .none && !row[column.rawValue].isGuess }

    private mutating func prepareRules(_ batch: SpanBatch) {
        var direct: [UInt32: [DirectRule]] = [:]
        let eventNames = Set(batch.events.map(\.name).map(batch.string))
        for rule in table.rules {
            if case .attribute(let key) = rule.source, rule.conditions.isEmpty {
                guard let index = keyIndices[key] else { continue }
                direct[index, default: []].append(
                    DirectRule(column: rule.column.rawValue, type: rule.type, rank: rule.rank))
                continue
            }
            if let key = rule.neededKey, keyIndices[key] == nil { continue }
            if let event = rule.neededEvent, !eventNames.contains(event) { continue }
            if case .numbered(let prefix) = rule.source {
                guard findNumbered(prefix) else { continue }
            }
            guard rule.conditions.allSatisfy(mayHold) else { continue }
            otherRules.append(rule)
        }
        for index in batch.keys.indices {
            let start = Int32(truncatingIfNeeded: directRules.count)
            directRules += direct[UInt32(truncatingIfNeeded: index)] ?? []
            directRanges.append(start..<Int32(truncatingIfNeeded: directRules.count))
        }
    }

    /// Whether any span of the batch can meet the condition.
    private func mayHold(_ condition: ColumnRule.Condition) -> Bool {
        switch condition {
        case .root, .column: true
        case .scope(let prefix): scopeNames.contains { $0.hasPrefix(prefix) }
        case .attribute(let key, _), .attributeSuffix(let key, _): keyIndices[key] != nil
        }
    }

    private mutating func findNumbered(_ prefix: String) -> Bool {
        var found = false
        for (key, index) in keyIndices where key.hasPrefix(prefix) {
            let digits = key.dropFirst(prefix.count).prefix { $0 != "." }
            guard let number = Int(digits), number >= 0, number < 1 << 20 else { continue }
            numbered[index, default: []].append((prefix, number))
            found = true
        }
        return found
    }

    private mutating func prepareResources(_ batch: inout SpanBatch) {
        for resource in batch.resources {
            var values: [(column: Int, value: ColumnValue)] = []
            for rule in table.rules where table.resourceColumns.contains(rule.column) {
                guard case .attribute(let key) = rule.source, rule.conditions.isEmpty, let index = keyIndices[key],
                    !values.contains(where: { $0.column == rule.column.rawValue }),
                    let record = Self.last(of: index, in: resource.attributes, of: batch)
                else { continue }
                var value = convert(record, to: rule.type, in: &batch)
                value.sourceKey = -1
                if value.kind != .none { values.append((rule.column.rawValue, value)) }
            }
            resourceRows.append(values)
        }
    }

    // MARK: One span

    /// Fills `row` with the columns of a span of the batch.
    package mutating func read(_ span: SpanRecord, of batch: inout SpanBatch) {
        for index in row.indices { row[index] = .none }
        for position in span.attributes.indices {
            let record = batch.attributes[position]
            let range = directRanges[Int(record.key)]
            if range.isEmpty { continue }
            for rule in directRules[Int(range.lowerBound)..<Int(range.upperBound)] where rule.rank <= row[rule.column].rank {
                var value = convert(record, to: rule.type, in: &batch)
                if value.kind == .none { continue }
                value.rank = rule.rank
                row[rule.column] = value
            }
        }
        for index in otherRules.indices {
            let rule = otherRules[index]
            guard rule.rank < row[rule.column.rawValue].rank, holds(rule.conditions, for: span, in: batch) else { continue }
            var value = evaluate(rule, for: span, in: &batch)
            if value.kind == .none { continue }
            value.rank = rule.rank
            row[rule.column.rawValue] = value
        }
        for (column, value) in resourceRows[Int(span.resource)] where row[column].kind == .none {
            row[column] = value
        }
        hasFacts = row[(Column.stored.upperBound + 1)...].contains { $0.kind != .none }
    }

    private func holds(_ conditions: [ColumnRule.Condition], for span: SpanRecord, in batch: SpanBatch) -> Bool {
        for condition in conditions {
            switch condition {
            case .root:
                if span.parentSpanID.isValid { return false }
            case .scope(let prefix):
                if !scopeNames[Int(span.scope)].hasPrefix(prefix) { return false }
            case .attribute(let key, let value):
                if text(key, of: span, in: batch) != value { return false }
            case .attributeSuffix(let key, let suffix):
                guard let text = text(key, of: span, in: batch), text.hasSuffix(suffix) else { return false }
            case .column(let column, let value):
                let current = row[column.rawValue]
                guard current.kind == .text, batch.string(current.slice) == value else { return false }
            }
        }
        return true
    }

    private func evaluate(_ rule: ColumnRule, for span: SpanRecord, in batch: inout SpanBatch) -> ColumnValue {
        switch rule.source {
        case .attribute(let key):
            guard let record = record(key, of: span, in: batch) else { return .none }
            return convert(record, to: rule.type, in: &batch)
        case .json(let key, let member):
            guard let record = record(key, of: span, in: batch), record.kind == .string,
                let value = JSONText.member(member, in: batch.bytes(record.slice))
            else { return .none }
            return convert(value, to: rule.type, in: &batch)
        case .pair(let first, let second):
            guard let left = plainText(first, of: span, in: batch) else { return .none }
            let right = plainText(second, of: span, in: batch)
            return text(right.map { "\(left)#\($0)" } ?? left, in: &batch)
        case .jsonPair(let key, let first, let second):
            guard let record = record(key, of: span, in: batch), record.kind == .string else { return .none }
            let bytes = batch.bytes(record.slice)
            guard let left = Self.plain(JSONText.member(first, in: bytes)) else { return .none }
            let right = Self.plain(JSONText.member(second, in: bytes))
            return text(right.map { "\(left)#\($0)" } ?? left, in: &batch)
        case .path(let first, let second):
            guard let tail = plainText(second, of: span, in: batch) else { return .none }
            let head = plainText(first, of: span, in: batch) ?? ""
            return text(head.isEmpty ? tail : "\(head).\(tail)", in: &batch)
        case .numbered(let prefix):
            var largest = -1
            for position in span.attributes.indices {
                guard let entries = numbered[batch.attributes[position].key] else { continue }
                for entry in entries where entry.prefix == prefix { largest = max(largest, entry.number) }
            }
            return largest < 0 ? .none : .integer(Int64(largest) + 1)
        case .elements(let key):
            guard let record = record(key, of: span, in: batch) else { return .none }
            return elements(record, in: batch).map { .integer($0) } ?? .none
        case .positive(let key):
            guard let record = record(key, of: span, in: batch) else { return .none }
            let number = convert(record, to: .integer, in: &batch)
            return number.kind == .integer ? .integer(number.integer > 0 ? 1 : 0) : .none
        case .prefixed(let prefix, let key):
            return plainText(key, of: span, in: batch).map { text(prefix + $0, in: &batch) } ?? .none
        case .map(let key, let texts):
            guard let from = text(key, of: span, in: batch), let to = texts[from] else { return .none }
            return text(to, in: &batch)
        case .breakerError(let key):
            guard let type = text(key, of: span, in: batch), ColumnConversion.isBreakerError(type) else { return .none }
            var value = text("open", in: &batch)
            value.isGuess = true
            return value
        case .atLeast(let limit, let key):
            guard let record = record(key, of: span, in: batch) else { return .none }
            let number = convert(record, to: .integer, in: &batch)
            return number.kind == .integer && number.integer >= limit ? text("\(number.integer)", in: &batch) : .none
        case .nameWhole, .nameAfter, .nameUntil, .nameHead, .nameTail:
            return name(rule.source, of: batch.string(span.name)).map { text($0, in: &batch) } ?? .none
        case .event(let name, let key):
            guard let index = keyIndices[key] else { return .none }
            for event in batch.events[span.events.indices].reversed() where batch.equals(event.name, name) {
                if let record = Self.last(of: index, in: event.attributes, of: batch) {
                    return convert(record, to: rule.type, in: &batch)
                }
            }
            return .none
        case .eventElements(let name, let key):
            guard let index = keyIndices[key] else { return .none }
            for event in batch.events[span.events.indices].reversed() where batch.equals(event.name, name) {
                if let record = Self.last(of: index, in: event.attributes, of: batch) {
                    return elements(record, in: batch).map { .integer($0) } ?? .none
                }
            }
            return .none
        case .eventValue(let name, let value):
            guard batch.events[span.events.indices].contains(where: { batch.equals($0.name, name) }) else { return .none }
            if rule.type == .text { return text(value, in: &batch) }
            return Int64(value).map { .integer($0) } ?? .none
        case .eventOffset(let name):
            guard let event = batch.events[span.events.indices].first(where: { batch.equals($0.name, name) }),
                event.timeUnixNano >= span.startTimeUnixNano
            else { return .none }
            return .integer(event.timeUnixNano - span.startTimeUnixNano)
        case .sum(let first, let second):
            let left = row[first.rawValue]
            let right = row[second.rawValue]
            guard left.kind == .integer || right.kind == .integer else { return .none }
            let sum = (left.kind == .integer ? left.integer : 0).addingReportingOverflow(
                right.kind == .integer ? right.integer : 0)
            return sum.overflow ? .none : .integer(sum.partialValue)
        case .status(let code, let value):
            return span.statusCode == code ? text(value, in: &batch) : .none
        case .present(let key):
            return record(key, of: span, in: batch) == nil ? .none : .integer(1)
        }
    }

    private func name(_ source: ColumnRule.Source, of name: String) -> String? {
        switch source {
        case .nameWhole: return name.isEmpty ? nil : name
        case .nameAfter(let text):
            return name.hasPrefix(text) && name.count > text.count ? String(name.dropFirst(text.count)) : nil
        case .nameUntil(let text):
            return name.hasSuffix(text) && name.count > text.count ? String(name.dropLast(text.count)) : nil
        case .nameHead(let text):
            return name.firstRange(of: text).flatMap { $0.lowerBound > name.startIndex ? String(name[..<$0.lowerBound]) : nil }
        case .nameTail(let text):
            return name.firstRange(of: text).flatMap { $0.upperBound < name.endIndex ? String(name[$0.upperBound...]) : nil }
        default: return nil
        }
    }

    // MARK: Values

    private static func last(of key: UInt32, in range: RecordRange, of batch: SpanBatch) -> AttributeRecord? {
        batch.attributes[range.indices].last { $0.key == key }
    }

    private func record(_ key: String, of span: SpanRecord, in batch: SpanBatch) -> AttributeRecord? {
        guard let index = keyIndices[key] else { return nil }
        return Self.last(of: index, in: span.attributes, of: batch)
    }

    /// The attribute when it is text.
    private func text(_ key: String, of span: SpanRecord, in batch: SpanBatch) -> String? {
        guard let record = record(key, of: span, in: batch), record.kind == .string else { return nil }
        return batch.string(record.slice)
    }

    /// The attribute when it is text or an integer.
    private func plainText(_ key: String, of span: SpanRecord, in batch: SpanBatch) -> String? {
        guard let record = record(key, of: span, in: batch) else { return nil }
        switch record.kind {
        case .string: return batch.string(record.slice)
        case .int: return "\(record.int)"
        default: return nil
        }
    }

    private static func plain(_ value: JSONText.Value?) -> String? {
        switch value {
        case .text(let text): text
        case .number(let digits): digits
        default: nil
        }
    }

    private func elements(_ record: AttributeRecord, in batch: SpanBatch) -> Int64? {
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

    /// A text value behind the batch's bytes.
    private func text(_ text: String, in batch: inout SpanBatch) -> ColumnValue {
        guard !text.isEmpty else { return .none }
        return .text(batch.append(text))
    }

    private func convert(_ value: JSONText.Value, to type: ColumnType, in batch: inout SpanBatch) -> ColumnValue {
        switch (value, type) {
        case (.text(let text), .text): return self.text(ColumnConversion.trimmed(text), in: &batch)
        case (.number(let digits), .text): return text(digits, in: &batch)
        case (.number(let digits), .integer), (.text(let digits), .integer):
            guard let number = ColumnConversion.integer(Array(digits.utf8)), number >= 0 else { return .none }
            return .integer(number)
        case (.bool(let flag), .flag): return .integer(flag ? 1 : 0)
        default: return .none
        }
    }

    @inline(__always)
    private func convert(_ record: AttributeRecord, to type: ColumnType, in batch: inout SpanBatch) -> ColumnValue {
        if type == .text && record.kind == .string { return plainText(record, in: batch) }
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
    private func plainText(_ record: AttributeRecord, in batch: SpanBatch) -> ColumnValue {
        let slice = record.slice
        guard slice.count > 0 else { return .none }
        let first = batch.bytes[Int(slice.offset)]
        let last = batch.bytes[slice.range.end - 1]
        if first > 0x20 && last > 0x20 {
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
                let raw = batch.string(record.slice)
                let state = ColumnConversion.breakerState(raw)
                guard state == raw else { return text(state, in: &batch) }
                return plainText(record, in: batch)
            case .int: return text("code:\(record.int)", in: &batch)
            default: return .none
            }
        }
    }
}

extension ColumnValue {
    /// The text's slice; meaningful for `.text`.
    package var slice: ByteSlice {
        ByteSlice(offset: UInt32(truncatingIfNeeded: payload >> 32), count: UInt32(truncatingIfNeeded: payload))
    }

    /// The number; meaningful for `.integer`.
    package var integer: Int64 { Int64(bitPattern: payload) }

    static func text(_ slice: ByteSlice) -> ColumnValue {
        var value = ColumnValue()
        value.kind = .text
        value.payload = UInt64(slice.offset) << 32 | UInt64(slice.count)
        return value
    }

    static func integer(_ integer: Int64) -> ColumnValue {
        var value = ColumnValue()
        value.kind = .integer
        value.payload = UInt64(bitPattern: integer)
        return value
    }
}
