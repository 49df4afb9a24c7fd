import TelemetryModel

/// A column of texts as numbers, so that rows of the same texts are found without comparing texts.
struct NumberedTexts {
    /// Each once, but for damaged segments.
    var texts: [[UInt8]]
    /// For each row of the segment the number of its text, or -1.
    var numbers: [Int32]
}

/// Rows of a segment that have the same texts.
extension SegmentRows {
    /// The rows by the texts that they have in some columns, in groups of one combination each.
    func groups(columns: [Int], _ rows: [Int32]?) throws -> [(texts: [[UInt8]?], rows: [Int32])] {
        let rows = rows ?? allRows
        // For each of `rows` the number of its group so far.
        var groups = [Int32](repeating: 0, count: rows.count)
        var texts: [[[UInt8]?]] = [[]]
        for column in columns {
            let numbered = try numbered(column) ?? NumberedTexts(texts: [], numbers: [])
            (groups, texts) = Self.split(groups, texts, rows, numbered)
        }
        var counts = [Int](repeating: 0, count: texts.count)
        for group in groups { counts[Int(group)] += 1 }
        var members: [[Int32]] = counts.map { count in
            var rows: [Int32] = []
            rows.reserveCapacity(count)
            return rows
        }
        for (position, row) in rows.enumerated() { members[Int(groups[position])].append(row) }
        return zip(texts, members).map { ($0, $1) }.filter { !$0.1.isEmpty }
    }

    /// Splits groups by one more column.
    private static func split(
        _ groups: [Int32], _ texts: [[[UInt8]?]], _ rows: [Int32], _ numbered: NumberedTexts
    ) -> (groups: [Int32], texts: [[[UInt8]?]]) {
        let width = numbered.texts.count + 1
        // A place for each combination where these are few, as they are of what people group by.
        var places = [Int32](repeating: -1, count: texts.count * width <= max(1 << 12, rows.count * 4) ? texts.count * width : 0)
        var rarePlaces: [Int: Int32] = [:]
        var finer: [[[UInt8]?]] = []
        let split = rows.indices.map { position -> Int32 in
            let row = Int(rows[position])
            let number = row < numbered.numbers.count ? Int(numbered.numbers[row]) : -1
            let group = Int(groups[position])
            let combination = group * width + number + 1
            let known = places.isEmpty ? rarePlaces[combination] ?? -1 : places[combination]
            if known >= 0 { return known }
            let new = Int32(truncatingIfNeeded: finer.count)
            finer.append(texts[group] + [number < 0 ? nil : numbered.texts[number]])
            if places.isEmpty { rarePlaces[combination] = new } else { places[combination] = new }
            return new
        }
        return (split, finer)
    }

    /// A column's texts by number; `nil` when it is not one of texts.
    func numbered(_ index: Int) throws -> NumberedTexts? {
        switch source(index) {
        case .traceID:
            return try numbered(FixedColumn.traceIndex) { try traceIDs().map { Array($0.hexadecimal.utf8) } }
        case .serviceName: return try numbered(FixedColumn.resource) { try serviceNames().map { Array($0.utf8) } }
        case .text(let space, let name): return Self.numbered(try reader.column(space, name), spanCount: reader.spanCount)
        case .callName:
            if let callNames { return callNames }
            let tools = Self.numbered(try reader.column(.derived, "tool_name"), spanCount: reader.spanCount)
            let stages = Self.numbered(try reader.column(.derived, "stage"), spanCount: reader.spanCount)
            let names = Self.first(tools, stages)
            callNames = names
            return names
        default: return nil
        }
    }

    /// A column of numbers as the texts of a table that it counts.
    private func numbered(_ name: String, _ texts: () throws -> [[UInt8]]) throws -> NumberedTexts {
        guard let column = try reader.column(.fixed, name), column.positions == nil, case .integers(let values) = column.values else {
            throw SegmentError.damaged("a span without \(name)")
        }
        let texts = try texts()
        guard values.allSatisfy({ $0 >= 0 && $0 < texts.count }) else { throw SegmentError.damaged("a span past the table of \(name)") }
        return NumberedTexts(texts: texts, numbers: values.map { Int32(truncatingIfNeeded: $0) })
    }

    /// The texts of one column, and of the other where that has none.
    private static func first(_ one: NumberedTexts, _ other: NumberedTexts) -> NumberedTexts {
        var known: [[UInt8]: Int32] = [:]
        for (number, text) in one.texts.enumerated() { known[text] = Int32(truncatingIfNeeded: number) }
        var texts = one.texts
        let places = other.texts.map { text -> Int32 in
            if let place = known[text] { return place }
            texts.append(text)
            return Int32(truncatingIfNeeded: texts.count - 1)
        }
        let numbers = zip(one.numbers, other.numbers).map { $0 >= 0 ? $0 : $1 >= 0 ? places[Int($1)] : -1 }
        return NumberedTexts(texts: texts, numbers: numbers)
    }

    private static func numbered(_ column: DecodedColumn?, spanCount: Int) -> NumberedTexts {
        guard let column else { return NumberedTexts(texts: [], numbers: [Int32](repeating: -1, count: spanCount)) }
        if case .dictionary(let entries, let indices) = column.values {
            let numbers = (0..<spanCount).map { row -> Int32 in
                let position = column.position(row)
                return position < 0 ? -1 : Int32(truncatingIfNeeded: indices[position])
            }
            return NumberedTexts(texts: entries.map { Array(column.bytes[$0]) }, numbers: numbers)
        }
        var known: [[UInt8]: Int32] = [:]
        var texts: [[UInt8]] = []
        let numbers = (0..<spanCount).map { row -> Int32 in
            guard case .text(let range) = column.value(row) else { return -1 }
            let text = Array(column.bytes[range])
            if let number = known[text] { return number }
            let number = Int32(truncatingIfNeeded: texts.count)
            known[text] = number
            texts.append(text)
            return number
        }
        return NumberedTexts(texts: texts, numbers: numbers)
    }
}
