import SegmentFormat
import TelemetryModel

/// A column of texts as numbers, so that rows of the same texts are found without comparing texts.
struct NumberedTexts {
    /// One may be there twice: resources share their services' names.
    var texts: [[UInt8]]
    /// For each row that was asked for the number of its text, or -1.
    var numbers: [Int32]

    init(texts: [[UInt8]], numbers: [Int32]) {
        self.texts = texts
        self.numbers = numbers
    }

    /// Numbers texts as they appear.
    ///
    /// - Parameter text: of a row; `nil` for none.
    init(of rows: [Int32], _ text: (Int) throws -> [UInt8]?) rethrows {
        var known: [[UInt8]: Int32] = [:]
        var texts: [[UInt8]] = []
        numbers = try rows.map { row in
            guard let text = try text(Int(row)) else { return -1 }
            if let number = known[text] { return number }
            let number = Int32(truncatingIfNeeded: texts.count)
            known[text] = number
            texts.append(text)
            return number
        }
        self.texts = texts
    }
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
            let numbered = try numbered(column, rows) ?? NumberedTexts(texts: [], numbers: [Int32](repeating: -1, count: rows.count))
            (groups, texts) = Self.split(groups, texts, numbered)
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
        _ groups: [Int32], _ texts: [[[UInt8]?]], _ numbered: NumberedTexts
    ) -> (groups: [Int32], texts: [[[UInt8]?]]) {
        let width = numbered.texts.count + 1
        // A place for each combination where these are few, as they are of what people group by.
        var places = [Int32](repeating: -1, count: texts.count * width <= max(1 << 12, groups.count * 4) ? texts.count * width : 0)
        var rarePlaces: [Int: Int32] = [:]
        var finer: [[[UInt8]?]] = []
        let split = groups.indices.map { position -> Int32 in
            let number = Int(numbered.numbers[position])
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

    /// The texts that some rows have in a column, by number; `nil` when it is not one of texts.
    func numbered(_ index: Int, _ rows: [Int32]) throws -> NumberedTexts? {
        switch source(index) {
        case .traceID:
            return try numbered(FixedColumn.traceIndex, rows) { try traceIDs().map { Array($0.hexadecimal.utf8) } }
        case .serviceName: return try numbered(FixedColumn.resource, rows) { try serviceNames().map { Array($0.utf8) } }
        case .text(let space, let name): return Self.numbered(try reader.column(space, name), rows)
        case .ending(let name):
            let stored = Self.numbered(try reader.column(.derived, name), rows)
            return try changedEndings().map { Self.changed(stored, rows, $0, name) } ?? stored
        case .callName:
            let tools = Self.numbered(try reader.column(.derived, "tool_name"), rows)
            return Self.first(tools, Self.numbered(try reader.column(.derived, "stage"), rows))
        case .callWorkflow:
            let own = Self.numbered(try reader.column(.derived, "workflow_name"), rows)
            guard let names = try workflowNames(), !names.texts.isEmpty else { return own }
            let traces = try traceNumbers()
            let ofTraces = NumberedTexts(texts: names.texts, numbers: rows.map { names.ofTraces[traces[Int($0)]] })
            return Self.first(own, ofTraces)
        default: return nil
        }
    }

    /// For each row of the segment the number of its trace.
    func traceNumbers() throws -> [Int] {
        try tableNumbers(FixedColumn.traceIndex, count: traceIDs().count).map { Int($0) }
    }

    /// A column that counts a table of so many, checked.
    private func tableNumbers(_ name: String, count: Int) throws -> [Int64] {
        guard let column = try reader.column(.fixed, name), column.presence == nil, case .integers(let values) = column.values else {
            throw SegmentError.damaged("a span without \(name)")
        }
        // As unsigned numbers the negative ones are the largest.
        guard values.isEmpty || values.reduce(0, { max($0, UInt64(bitPattern: $1)) }) < count else { throw SegmentError.damaged("a span past the table of \(name)") }
        return values
    }

    /// A column of numbers as the texts of a table that it counts.
    private func numbered(_ name: String, _ rows: [Int32], _ texts: () throws -> [[UInt8]]) throws -> NumberedTexts {
        let texts = try texts()
        let values = try tableNumbers(name, count: texts.count)
        return NumberedTexts(texts: texts, numbers: rows.map { Int32(truncatingIfNeeded: values[Int($0)]) })
    }

    /// Texts of endings where some rows end otherwise.
    private static func changed(
        _ stored: NumberedTexts, _ rows: [Int32], _ endings: [Int32: SegmentCalls.Ending], _ name: String
    ) -> NumberedTexts {
        var changed = stored
        // Few rows are changed: they are looked for among all, and not each of all among them.
        for (row, ending) in endings {
            guard let place = place(of: row, in: rows) else { continue }
            guard let text = ending.text(name) else {
                changed.numbers[place] = -1
                continue
            }
            let number = changed.texts.firstIndex(of: text) ?? changed.texts.count
            if number == changed.texts.count { changed.texts.append(text) }
            changed.numbers[place] = Int32(truncatingIfNeeded: number)
        }
        return changed
    }

    /// Where a row stands among rows, which ascend; `nil` where it does not.
    private static func place(of row: Int32, in rows: [Int32]) -> Int? {
        // It stands at its own number where all are listed.
        if rows.indices.contains(Int(row)), rows[Int(row)] == row { return Int(row) }
        var (low, high) = (0, rows.count)
        while low < high {
            let middle = (low + high) >> 1
            if rows[middle] < row { low = middle + 1 } else { high = middle }
        }
        return low < rows.count && rows[low] == row ? low : nil
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

    static func numbered(_ column: DecodedColumn?, _ rows: [Int32]) -> NumberedTexts {
        guard let column else { return NumberedTexts(texts: [], numbers: [Int32](repeating: -1, count: rows.count)) }
        if case .dictionary(let entries, let packed) = column.values {
            let isEvery = column.presence == nil && rows.count == packed.count
            let numbers = isEvery ? packed.all : rows.map { row -> Int32 in
                let position = column.position(Int(row))
                return position < 0 ? -1 : Int32(truncatingIfNeeded: packed[position])
            }
            return NumberedTexts(texts: entries.map { Array(column.bytes[$0]) }, numbers: numbers)
        }
        return NumberedTexts(of: rows) { row in
            guard case .text(let range) = column.value(row) else { return nil }
            return Array(column.bytes[range])
        }
    }
}
