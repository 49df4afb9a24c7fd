import SegmentFormat
import TelemetryModel

/// Rows whose `attributes` may match a pattern of LIKE, found in dictionaries and values without putting any row's JSON together.
extension SegmentRows {
    func attributesRows(_ filter: Filter, _ rows: [Int32]?) throws -> [Int32]? {
        guard filter.comparison == .like, case .text(let pattern) = filter.argument else { return rows }
        return try self.rows(rows, mayMatch: LikePattern(pattern))
    }

    /// The rows whose attributes may match a pattern of LIKE; `nil` for all.
    func rows(_ rows: [Int32]?, mayMatch pattern: LikePattern) throws -> [Int32]? {
        var rows = rows
        for part in AttributesPart.parts(of: pattern) {
            rows = try self.rows(rows, mayHave: part)
            if rows?.isEmpty == true { break }
        }
        return rows
    }

    private func rows(_ rows: [Int32]?, mayHave part: AttributesPart) throws -> [Int32] {
        var found = RowBits(rowCount: reader.spanCount)
        for entry in reader.directory.columns where entry.space == .attribute {
            if part.isInString(Array(entry.name.utf8)[...]) {
                let presence = try reader.presence(.attribute, entry.name)
                for row in 0..<reader.spanCount where presence[row] { found.insert(row) }
            } else if part.mayBeIn(entry.encoding), try part.search.map({ try reader.mayHold($0, in: .attribute, entry.name) }) ?? true,
                let column = try reader.column(.attribute, entry.name) {
                mark(column, part, &found)
            }
        }
        // What has no column of its own is put together for each span.
        try overflow()?.forEachPosition(reader.spanCount) { row, _ in found.insert(row) }
        return (rows ?? allRows).filter { found.contains(Int($0)) }
    }

    /// Adds the rows of which a value may have the part in it.
    private func mark(_ column: DecodedColumn, _ part: AttributesPart, _ found: inout RowBits) {
        switch column.values {
        case .dictionary(let entries, let numbers):
            let isFound = entries.map { part.isInString(column.bytes[$0]) }
            guard isFound.contains(true) else { return }
            column.forEachPosition(reader.spanCount) { row, position in if isFound[numbers[position]] { found.insert(row) } }
        case .texts(let ranges):
            column.forEachPosition(reader.spanCount) { row, position in
                if part.isInString(column.bytes[ranges[position]]) { found.insert(row) }
            }
        case .mixed(let values):
            column.forEachPosition(reader.spanCount) { row, position in
                if case .text(let range) = values[position] {
                    if part.isInString(column.bytes[range]) { found.insert(row) }
                } else {
                    found.insert(row)
                }
            }
        case .integers, .doubles, .bools, .fixed, .empties:
            if part.mayBeInNumber { column.forEachPosition(reader.spanCount) { row, _ in found.insert(row) } }
        case .encoded: column.forEachPosition(reader.spanCount) { row, _ in found.insert(row) }
        case .references: break
        }
    }
}

/// A part of a pattern of LIKE that must stand within one key or one value of a JSON object, ASCII letters in either case.
struct AttributesPart {
    private static let partsMax = 3

    /// ASCII letters in lower case.
    private let bytes: [UInt8]
    /// Whether it may stand in a number, or in a word such as `true`.
    let mayBeInNumber: Bool
    /// What of it stands in a text as it is stored wherever the part stands in the JSON; `nil` where nothing can be said.
    let search: FoldedSearch?

    private init(_ bytes: [UInt8]) {
        let folded = bytes.map(Self.folded)
        self.bytes = folded
        search = FoldedSearch(folded.dropFirst(Self.escapeCount(folded)))
        let isNumber = bytes.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
        mayBeInNumber = isNumber || ["true", "false", "null", "-infinity", "nan"].contains { Self.contains(Array($0.utf8)[...], folded) }
    }

    /// How many bytes at the beginning may be the end of an escape, such as the `n` of `\n` or the `1f` of `\u001f`: these are not stored so.
    private static func escapeCount(_ bytes: [UInt8]) -> Int {
        func isDigit(_ byte: UInt8) -> Bool { "0123456789abcdef".utf8.contains(byte) }
        let digits = bytes.prefix { isDigit($0) }.count
        if digits > 0 { return min(digits, 4) }
        if bytes.first == UInt8(ascii: "u") { return 1 + min(4, bytes.dropFirst().prefix { isDigit($0) }.count) }
        return bytes.first.map { "nrt".utf8.contains($0) } == true ? 1 : 0
    }

    /// The longest parts; none where nothing can be said. What stands between the marks of JSON and LIKE cannot reach over two values.
    static func parts(of pattern: LikePattern) -> [AttributesPart] {
        let parts = pattern.literals { "\"\\:,{}[]".utf8.contains($0) || $0 < 0x20 }
        return parts.filter { $0.count > 1 }.sorted { $0.count > $1.count }.prefix(partsMax).map(AttributesPart.init)
    }

    /// Whether values of an encoding may have it in them.
    fileprivate func mayBeIn(_ encoding: ColumnEncoding) -> Bool {
        switch encoding {
        case .integers, .planes, .doubles, .bools, .fixed4, .fixed8, .empties: mayBeInNumber
        default: true
        }
    }

    /// Whether it stands in the text as JSON has it.
    func isInString(_ text: ArraySlice<UInt8>) -> Bool {
        guard text.contains(where: { $0 < 0x20 || $0 >= 0x80 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) else {
            return Self.contains(text, bytes)
        }
        var json = JSONWriter()
        json.string(text)
        return Self.contains(json.bytes[...], bytes)
    }

    private static func folded(_ byte: UInt8) -> UInt8 { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte | 0x20 : byte }

    private static func contains(_ text: ArraySlice<UInt8>, _ part: [UInt8]) -> Bool {
        guard let first = part.first, text.count >= part.count else { return part.isEmpty }
        return text.withUnsafeBufferPointer { text in
            part.withUnsafeBufferPointer { part in
                for start in 0...(text.count - part.count) where folded(text[start]) == first {
                    var length = 1
                    while length < part.count, folded(text[start + length]) == part[length] { length += 1 }
                    if length == part.count { return true }
                }
                return false
            }
        }
    }
}
