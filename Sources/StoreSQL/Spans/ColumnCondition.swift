import SegmentFormat
import TelemetryModel

/// What the rows of a segment are asked of one column.
enum ColumnCondition: Equatable {
    /// No value fulfils it.
    case nothing
    case isNull
    case isNotNull
    /// An integer in the range.
    case integers(ClosedRange<Int64>)
    case integerSet(Set<Int64>)
    /// One of the texts, byte for byte.
    case texts([[UInt8]])
    /// A text that begins so, ASCII letters in either case.
    case prefix([UInt8])

    /// The condition that a term of a plan states of a column with integers; `nil` when only SQLite can tell.
    static func integers(_ comparison: SpansPlan.Comparison, _ argument: SpansScan.Argument) -> ColumnCondition? {
        switch (comparison, argument) {
        case (.isNull, _): return .isNull
        case (.isNotNull, _): return .isNotNull
        case (_, .null): return .nothing
        case (.isIn, .list(let list)):
            var set: Set<Int64> = []
            for item in list {
                switch item {
                case .integer(let integer): set.insert(integer)
                case .null: continue
                default: return nil
                }
            }
            return .integerSet(set)
        case (.equal, .integer(let bound)): return .integers(bound...bound)
        case (.less, .integer(let bound)): return bound == .min ? .nothing : .integers(.min...bound - 1)
        case (.lessOrEqual, .integer(let bound)): return .integers(.min...bound)
        case (.greater, .integer(let bound)): return bound == .max ? .nothing : .integers(bound + 1...Int64.max)
        case (.greaterOrEqual, .integer(let bound)): return .integers(bound...Int64.max)
        case (_, .double(let bound)): return integers(comparison, bound)
        default: return nil
        }
    }

    /// One of some values, of a column that holds texts alone or integers alone: a value of another kind is none of its. `nil` when only SQLite
    /// can tell.
    static func values(_ list: [SpansScan.Argument], areTexts: Bool) -> ColumnCondition? {
        var (texts, integers): ([[UInt8]], Set<Int64>) = ([], [])
        for item in list {
            switch item {
            case .text(let text): texts.append(text)
            case .integer(let integer): integers.insert(integer)
            case .null: continue
            default: return nil
            }
        }
        return areTexts ? .texts(texts) : .integerSet(integers)
    }

    /// The integers that compare so with a double, exactly: SQLite tells a plan that `1.0` is an integer, and lets the scan alone decide.
    private static func integers(_ comparison: SpansPlan.Comparison, _ bound: Double) -> ColumnCondition? {
        switch comparison {
        case .equal: return Int64(exactly: bound).map { .integers($0...$0) } ?? .nothing
        case .less, .lessOrEqual:
            // The largest integer below the bound, or at it.
            let whole = bound.rounded(.down)
            guard let integer = Int64(exactly: whole) else { return bound > 0 ? .integers(.min...Int64.max) : .nothing }
            return whole == bound && comparison == .less ? integers(.less, .integer(integer)) : .integers(.min...integer)
        case .greater, .greaterOrEqual:
            let whole = bound.rounded(.up)
            guard let integer = Int64(exactly: whole) else { return bound > 0 ? .nothing : .integers(.min...Int64.max) }
            return whole == bound && comparison == .greater ? integers(.greater, .integer(integer)) : .integers(integer...Int64.max)
        default: return nil
        }
    }

    /// The same of a column with texts.
    static func texts(_ comparison: SpansPlan.Comparison, _ argument: SpansScan.Argument) -> ColumnCondition? {
        switch (comparison, argument) {
        case (.isNull, _): return .isNull
        case (.isNotNull, _): return .isNotNull
        case (_, .null): return .nothing
        case (.equal, .text(let text)): return .texts([text])
        case (.isIn, .list(let list)):
            var texts: [[UInt8]] = []
            for item in list {
                switch item {
                case .text(let text): texts.append(text)
                case .null: continue
                default: return nil
                }
            }
            return .texts(texts)
        case (.like, .text(let pattern)):
            let prefix = likePrefix(pattern)
            return prefix.isEmpty ? .isNotNull : .prefix(prefix)
        default: return nil
        }
    }

    /// The bytes that every text begins with that a pattern of LIKE takes, ASCII letters in either case. SQLite reads a pattern up to
    /// its first NUL, and bytes that are no UTF-8 as replacement characters.
    private static func likePrefix(_ pattern: [UInt8]) -> [UInt8] {
        let prefix = pattern.prefix { $0 != UInt8(ascii: "%") && $0 != UInt8(ascii: "_") && $0 != 0 }
        return Array(String(validating: prefix, as: UTF8.self) == nil ? prefix.prefix { $0 < 0x80 } : prefix)
    }

    /// Whether a text fulfils it.
    func matches(_ text: ArraySlice<UInt8>) -> Bool {
        switch self {
        case .texts(let texts): texts.contains { $0.elementsEqual(text) }
        case .prefix(let prefix):
            text.count >= prefix.count && zip(prefix, text).allSatisfy { Self.folded($0) == Self.folded($1) }
        case .isNotNull: true
        case .nothing, .isNull, .integers, .integerSet: false
        }
    }

    private static func folded(_ byte: UInt8) -> UInt8 {
        UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte | 0x20 : byte
    }

    /// What the directory says without the column: `false` that no row fulfils it, `true` that all do, `nil` that the column has
    /// to be read.
    func decided(by entry: ColumnEntry, spanCount: Int) -> Bool? {
        switch self {
        case .nothing: return false
        case .isNull: return entry.valueCount == spanCount && entry.isOfOneShownKind ? false : nil
        case .isNotNull: return entry.valueCount == spanCount && entry.isOfOneShownKind ? true : nil
        case .integers(let range):
            guard entry.encoding == .integers || entry.encoding == .planes else { return nil }
            if entry.maximum < range.lowerBound || entry.minimum > range.upperBound { return false }
            let isWithin = entry.minimum >= range.lowerBound && entry.maximum <= range.upperBound
            return isWithin && entry.valueCount == spanCount ? true : nil
        case .integerSet(let set):
            guard entry.encoding == .integers || entry.encoding == .planes else { return nil }
            return set.contains { $0 >= entry.minimum && $0 <= entry.maximum } ? nil : false
        case .texts(let texts):
            let mayHold = texts.contains { text in
                let bit = ByteHash.hash(text.span.bytes, WireRange(offset: 0, count: text.count)) & 63
                return entry.valueMask & 1 << bit != 0
            }
            return mayHold ? nil : false
        case .prefix: return nil
        }
    }
}

extension ColumnEntry {
    /// Whether every value is an integer, or every one a text.
    fileprivate var isOfOneShownKind: Bool {
        switch encoding {
        case .integers, .planes, .dictionary, .texts, .fixed8, .references: true
        default: false
        }
    }
}

extension DecodedColumn {
    /// The rows among `rows` (all when `nil`) that fulfil the condition, exactly.
    ///
    /// - Parameter isText: whether the column shows texts, or integers; values of other kinds show as NULL.
    func rows(where condition: ColumnCondition, among rows: [Int32]?, spanCount: Int, isText: Bool) -> [Int32] {
        switch condition {
        case .nothing: return []
        case .isNull, .isNotNull:
            switch (values, isText) {
            case (.integers, false), (.fixed, false), (.dictionary, true), (.texts, true): break
            default: return generalRows(where: condition, among: rows, spanCount: spanCount, isText: isText)
            }
            let wantsNull = condition == .isNull
            return (rows ?? Array(0..<Int32(truncatingIfNeeded: spanCount))).filter { (position(Int($0)) < 0) == wantsNull }
        case .integers(let range):
            guard case .integers(let values) = values, !isText else {
                return generalRows(where: condition, among: rows, spanCount: spanCount, isText: isText)
            }
            let (low, high) = (range.lowerBound, range.upperBound)
            return select(rows, spanCount) { position in values[position] >= low && values[position] <= high }
        case .integerSet(let set):
            guard case .integers(let values) = values, !isText else {
                return generalRows(where: condition, among: rows, spanCount: spanCount, isText: isText)
            }
            return select(rows, spanCount) { position in set.contains(values[position]) }
        case .texts, .prefix:
            switch values {
            case .dictionary(let entries, let numbers):
                let matching = entries.map { condition.matches(bytes[$0]) }
                guard matching.contains(true) else { return [] }
                return select(rows, spanCount) { position in matching[numbers[position]] }
            case .texts(let ranges):
                return select(rows, spanCount) { position in condition.matches(bytes[ranges[position]]) }
            default: return generalRows(where: condition, among: rows, spanCount: spanCount, isText: isText)
            }
        }
    }

    /// The same for columns whose values are of several kinds, or of one that SQL does not show.
    private func generalRows(where condition: ColumnCondition, among rows: [Int32]?, spanCount: Int, isText: Bool) -> [Int32] {
        (rows ?? Array(0..<Int32(truncatingIfNeeded: spanCount))).filter { row in
            switch (value(Int(row)), isText, condition) {
            case (.text, true, .isNull), (.integer, false, .isNull): false
            case (.text(let range), true, _): condition.matches(bytes[range])
            case (.integer, false, .isNotNull): true
            case (.integer(let integer), false, .integers(let range)): range.contains(integer)
            case (.integer(let integer), false, .integerSet(let set)): set.contains(integer)
            default: condition == .isNull
            }
        }
    }

    /// The rows with a value whose position passes the test.
    @inline(__always)
    private func select(_ rows: [Int32]?, _ spanCount: Int, _ test: (Int) -> Bool) -> [Int32] {
        var selected: [Int32] = []
        if let rows {
            for row in rows {
                let position = position(Int(row))
                if position >= 0 && test(position) { selected.append(row) }
            }
        } else if let presence {
            presence.forEach { row, position in if test(position) { selected.append(Int32(truncatingIfNeeded: row)) } }
        } else {
            for row in 0..<spanCount where test(row) { selected.append(Int32(truncatingIfNeeded: row)) }
        }
        return selected
    }
}
