import TelemetryModel

/// Sources that look into the text of an attribute: JSON, times, texts that stand for others.
extension ColumnReader {
    /// Bytes of a text in which `jsonhead` looks for its member.
    private static let jsonHeadBytesMax = 512

    // MARK: JSON

    func json(_ source: ColumnRule.Source, to type: ColumnType, in batch: inout SpanBatch) -> ColumnValue {
        switch source {
        case .json(let key, let path): return member(path, of: key, batch).map { convert($0, to: type, in: &batch) } ?? .none
        case .jsonHead(let key, let name):
            return member([name], of: key, batch, bytesMax: Self.jsonHeadBytesMax).map { convert($0, to: type, in: &batch) }
                ?? .none
        case .jsonPair(let key, let first, let second):
            guard let left = Self.plain(member([first], of: key, batch)) else { return .none }
            return text(Self.plain(member([second], of: key, batch)).map { "\(left)#\($0)" } ?? left, in: &batch)
        case .jsonElements(let key, let path):
            guard case .container(let range) = member(path, of: key, batch) else { return .none }
            return JSONText.elementCount(in: batch.bytes[range]).map { .integer(Int64($0)) } ?? .none
        case .jsonSum(let key, let paths): return total(paths.map { Self.integer(member($0, of: key, batch)) })
        default: return .none
        }
    }

    /// A member of the JSON object that the attribute's text is, or of objects in it. A function of its own, so that no slice of
    /// the batch's bytes is alive when a value is appended behind them: that would copy them all.
    @inline(never)
    private func member(_ path: [String], of key: Int, _ batch: SpanBatch, bytesMax: Int = .max) -> JSONText.Value? {
        guard let record = record(key, batch), record.kind == .string else { return nil }
        return JSONText.member(path, in: batch.bytes(record.slice).prefix(bytesMax))
    }

    private static func plain(_ value: JSONText.Value?) -> String? {
        switch value {
        case .text(let text): text
        case .number(let digits): digits
        default: nil
        }
    }

    private static func integer(_ value: JSONText.Value?) -> Int64? {
        guard let digits = plain(value), let number = ColumnConversion.integer(Array(digits.utf8)), number >= 0 else {
            return nil
        }
        return number
    }

    private func convert(_ value: JSONText.Value, to type: ColumnType, in batch: inout SpanBatch) -> ColumnValue {
        switch (value, type) {
        case (.text(let text), .text): return self.text(ColumnConversion.trimmed(text), in: &batch)
        case (.number(let digits), .text): return text(digits, in: &batch)
        case (.number, .integer), (.text, .integer): return Self.integer(value).map { .integer($0) } ?? .none
        case (.bool(let flag), .flag): return .integer(flag ? 1 : 0)
        default: return .none
        }
    }

    // MARK: Texts in quotes

    /// The attribute, a JSON text among them without its quotes. `null` is nothing.
    func unquoted(_ key: Int, to type: ColumnType, in batch: inout SpanBatch) -> ColumnValue {
        guard var record = record(key, batch) else { return .none }
        guard record.kind == .string else { return convert(record, to: type, in: &batch) }
        if batch.equals(record.slice, "null") { return .none }
        let inner = Self.inner(record.slice, batch)
        if inner.count == record.slice.count { return convert(record, to: type, in: &batch) }
        if batch.bytes(inner).contains(UInt8(ascii: "\\")) {
            let unescaped = JSONText.text(in: batch.bytes(record.slice))
            return unescaped.map { text(ColumnConversion.trimmed($0), in: &batch) } ?? .none
        }
        record = AttributeRecord(key: record.key, kind: .string, slice: inner)
        var value = convert(record, to: type, in: &batch)
        value.sourceKey = -1
        return value
    }

    /// What stands between the quotes of a text that begins and ends with them; else the text.
    private static func inner(_ slice: ByteSlice, _ batch: SpanBatch) -> ByteSlice {
        let quote = UInt8(ascii: "\"")
        guard slice.count >= 2, batch.bytes[slice.range.offset] == quote, batch.bytes[slice.range.end - 1] == quote else {
            return slice
        }
        return ByteSlice(offset: slice.offset + 1, count: slice.count - 2)
    }

    /// What stands for the attribute's text, or for what it has in quotes.
    func mapped(_ key: Int, _ texts: ColumnTexts, _ batch: SpanBatch) -> String? {
        guard let record = record(key, batch), record.kind == .string else { return nil }
        let slice = Self.inner(record.slice, batch)
        return texts.meaning(byteCount: Int(slice.count)) { batch.equals(slice, $0) }
    }

    /// A text of the table as a column's value.
    func mapped(_ meaning: String, to type: ColumnType, in batch: inout SpanBatch) -> ColumnValue {
        switch type {
        case .text: text(meaning, in: &batch)
        case .flag: ColumnConversion.flag(meaning.utf8).map { .integer($0) } ?? .none
        default: Int64(meaning).map { .integer($0) } ?? .none
        }
    }

    // MARK: Times

    func seconds(_ source: ColumnRule.Source, _ startTimeUnixNano: Int64, _ batch: SpanBatch) -> ColumnValue {
        switch source {
        case .milliseconds(let key):
            return milliseconds(key, batch).flatMap { ColumnConversion.nanoseconds(seconds: $0 / 1000) }
                .map { .integer($0) } ?? .none
        case .timeOffset(let key):
            guard let record = record(key, batch), record.kind == .string else { return .none }
            guard let time = TimeText.unixNano(iso8601: batch.string(Self.inner(record.slice, batch))), time >= startTimeUnixNano
            else {
                return .none
            }
            let (offset, overflow) = time.subtractingReportingOverflow(startTimeUnixNano)
            return overflow ? .none : .integer(offset)
        default: return .none
        }
    }

    private func milliseconds(_ key: Int, _ batch: SpanBatch) -> Double? {
        guard let record = record(key, batch) else { return nil }
        return switch record.kind {
        case .double: record.double
        case .int: Double(record.int)
        default: nil
        }
    }
}
