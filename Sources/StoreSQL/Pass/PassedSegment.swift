import CSQLite
package import SQLite
package import SegmentFormat
package import TelemetryModel

/// A segment in a pass: the rows that are meant, and columns of `spans` by their SQL names, with the values that SQL shows.
public final class PassedSegment {
    let segment: SegmentRows
    /// Rows that are meant, ascending; `nil` for all.
    @usableFromInline package let rows: [Int32]?
    /// Rows of the whole segment.
    @usableFromInline package let spanCount: Int

    init(_ segment: SegmentRows, rows: [Int32]?) {
        self.segment = segment
        self.rows = rows
        spanCount = segment.reader.spanCount
    }

    package var id: Int64 { segment.reader.id }
    /// Rows that are meant.
    package var rowCount: Int { rows?.count ?? spanCount }

    /// Calls `body` with each row that is meant.
    @inlinable
    @inline(__always)
    public func forEachRow(_ body: (Int) -> Void) {
        guard let rows else {
            for row in 0..<spanCount { body(row) }
            return
        }
        for row in rows { body(Int(row)) }
    }

    /// A column of texts.
    package func texts(_ name: String) throws(SQLiteError) -> PassedTexts {
        try Self.attempt { try readTexts(SpansColumn.index(named: name)) }
    }

    /// A column of integers; other values are as NULL.
    ///
    /// - Parameter isCast: take texts as `CAST(… AS INTEGER)` does.
    package func integers(_ name: String, isCast: Bool = false) throws(SQLiteError) -> PassedIntegers {
        try Self.attempt { try readIntegers(SpansColumn.index(named: name), isCast: isCast) }
    }

    /// For each row whether a column that is one field of the span has a value in it.
    package func presence(_ name: String) throws(SQLiteError) -> ColumnPresence {
        try Self.attempt {
            switch try SpansColumn.all[SpansColumn.index(named: name)].source {
            case .parentSpanID: return try segment.reader.presence(.fixed, FixedColumn.parentSpanID)
            case .integer(let space, let name), .text(let space, let name):
                return try segment.reader.presence(space, name)
            default: throw SegmentError.damaged("a column without a presence")
            }
        }
    }

    /// For each row whether it is a run, as the column `is_run` says it.
    package func isRun() throws(SQLiteError) -> (Int) -> Bool {
        let bits = try Self.attempt { try segment.runRows() }
        return { bits?.contains($0) ?? false }
    }

    /// For each row whether its tokens count, as the column `counts_tokens` says it.
    package func countsTokens() throws(SQLiteError) -> (Int) -> Bool {
        let bits = try Self.attempt { try segment.tokenRows() }
        return { bits?.contains($0) ?? false }
    }

    /// Ids of traces, and for each row the number of its trace.
    package func traces() throws(SQLiteError) -> (ids: [TraceID], numbers: PassedIntegers) {
        try Self.attempt {
            (try segment.traceIDs(), PassedIntegers(try segment.reader.column(.fixed, FixedColumn.traceIndex)))
        }
    }

    /// Ids of spans, as integers.
    package func spanIDs() throws(SQLiteError) -> PassedIntegers {
        try Self.attempt { PassedIntegers(try segment.reader.column(.fixed, FixedColumn.spanID)) }
    }

    /// Ids of spans and of their parents, as integers.
    package func identities() throws(SQLiteError) -> (spans: PassedIntegers, parents: PassedIntegers) {
        let spans = try spanIDs()
        return (spans, try Self.attempt { PassedIntegers(try segment.reader.column(.fixed, FixedColumn.parentSpanID)) })
    }

    /// The numbers of spans' resources, and by number what `attr(resource_attributes, …)` gives for each of the keys, as text.
    package func resources(_ keys: [String]) throws(SQLiteError) -> (numbers: PassedIntegers, values: [[String?]]) {
        try Self.attempt {
            let values = try segment.resourceAttributes().map { json in
                keys.map { Self.text(JSONText.member($0, in: json[...]), json) }
            }
            return (PassedIntegers(try segment.reader.column(.fixed, FixedColumn.resource)), values)
        }
    }

    /// The numbers of spans' resources, and by number the project that each is of.
    package func projects(by attribute: String) throws(SQLiteError) -> (numbers: PassedIntegers, names: [String?]) {
        try Self.attempt {
            let texts = attribute == ProjectScope.serviceName ? [] : try segment.resourceAttributes()
            let names = try segment.serviceNames().enumerated().map { number, service in
                ProjectScope.project(attribute, service: service, json: texts.isEmpty ? [] : texts[number])
            }
            return (PassedIntegers(try segment.reader.column(.fixed, FixedColumn.resource)), names)
        }
    }

    private static func text(_ value: JSONText.Value?, _ json: [UInt8]) -> String? {
        switch value {
        case .text(let text): text
        case .number(let digits): digits
        case .bool(let flag): flag ? "1" : "0"
        case .container(let range): String(decoding: json[range], as: UTF8.self)
        case .null, nil: nil
        }
    }

    /// What `attr(attributes, key)` gives for a row, as text.
    package func attribute(_ key: String, _ row: Int) throws(SQLiteError) -> String? {
        try Self.attempt {
            switch try segment.attribute(key, row) {
            case .null: nil
            case .integer(let integer): "\(integer)"
            case .double(let double): JSONValue.double(double).line
            case .text(let text): String(decoding: text, as: UTF8.self)
            case .string(let text): text
            }
        }
    }

    /// Whether some row may have the attribute.
    package func mayHave(attribute key: String) -> Bool {
        let directory = segment.reader.directory
        return directory.column(.attribute, key) != nil || directory.column(.fixed, FixedColumn.overflow) != nil
    }

    private func readTexts(_ index: Int) throws -> PassedTexts {
        if case .firstAttribute(let keys) = SpansColumn.all[index].source { return try readTexts(index, keys) }
        guard let numbered = try segment.numbered(index, segment.allRows) else {
            throw SegmentError.damaged("a column that is not read as texts")
        }
        return PassedTexts(numbered)
    }

    /// A column that is one of some attributes; values that are not texts are as NULL.
    private func readTexts(_ index: Int, _ keys: [String]) throws -> PassedTexts {
        guard try mayHaveOne(of: keys) else { return PassedTexts(NumberedTexts(of: segment.allRows) { _ in nil }) }
        return PassedTexts(
            try NumberedTexts(of: segment.allRows) { row in
                switch try segment.value(row, column: index) {
                case .text(let bytes): Array(bytes)
                case .string(let string): Array(string.utf8)
                case .null, .integer, .double: nil
                }
            })
    }

    func readIntegers(_ index: Int, isCast: Bool) throws -> PassedIntegers {
        switch SpansColumn.all[index].source {
        case .startTime: return PassedIntegers(try segment.reader.column(.fixed, FixedColumn.start))
        case .integer(let space, let name):
            guard let column = try segment.reader.column(space, name) else { return PassedIntegers() }
            switch column.values {
            case .integers, .fixed: return PassedIntegers(column)
            default: break
            }
        case .endTime, .duration: return try times(isEnd: index == SpansColumn.endTimeIndex)
        case .latestKnownTime:
            if segment.allAreTimed { return try times(isEnd: true) }
            return try PassedIntegers(rowByRow: spanCount) { try segment.latestKnown($0) }
        case .isRun:
            let runs = try segment.runRows()
            return PassedIntegers((0..<spanCount).map { runs?.contains($0) == true ? 1 : 0 })
        case .flag(let key):
            if try !mayHaveOne(of: [key]) { return PassedIntegers() }
        case .storedOrAttribute(let name, let keys):
            let directory = segment.reader.directory
            let attributes = keys.reduce(0) { $0 + (directory.column(.attribute, $1)?.valueCount ?? 0) }
            if let entry = directory.column(.derived, name), entry.valueCount >= attributes {
                return PassedIntegers(try segment.reader.column(.derived, name))
            }
            if try !mayHaveOne(of: keys) { return PassedIntegers() }
        case .firstAttribute(let keys):
            if try !mayHaveOne(of: keys) { return PassedIntegers() }
        default: throw SegmentError.damaged("a column that is not read as integers")
        }
        return try PassedIntegers(rowByRow: spanCount) { row in
            switch try segment.value(row, column: index) {
            case .integer(let integer): integer
            case .text(let text): isCast ? Self.castInteger(text) : nil
            case .string(let text): isCast ? Self.castInteger(text.utf8) : nil
            case .null, .double: nil
            }
        }
    }

    private func mayHaveOne(of keys: [String]) throws -> Bool {
        try segment.reader.directory.column(.fixed, FixedColumn.overflow) != nil
            || keys.contains { try segment.reader.column(.attribute, $0) != nil }
    }

    /// Numbers of the scopes' names by row; 0 for a span without one.
    func scopeNumbers(_ number: (String) -> UInt64) throws(SQLiteError) -> (Int) -> UInt64 {
        try Self.attempt {
            let names = try segment.scopes().map { $0.name.isEmpty ? 0 : number($0.name) }
            let numbers = PassedIntegers(try segment.reader.column(.fixed, FixedColumn.scope))
            return { row in
                let number = numbers[row] ?? -1
                return number >= 0 && number < names.count ? names[Int(number)] : 0
            }
        }
    }

    /// Ends are starts plus durations; a span without a start or an end, which is 0, has no duration.
    private func times(isEnd: Bool) throws -> PassedIntegers {
        let starts = PassedIntegers(try segment.reader.column(.fixed, FixedColumn.start))
        let durations = PassedIntegers(try segment.reader.column(.fixed, FixedColumn.duration))
        if starts.presence == nil, durations.presence == nil, starts.values.count == durations.values.count {
            let ends = zip(starts.values, durations.values).map { $0 &+ $1 }
            if isEnd { return PassedIntegers(ends) }
            if !ends.contains(0), !starts.values.contains(0) { return PassedIntegers(durations.values.map { max(0, $0) }) }
        }
        return PassedIntegers(rowByRow: spanCount) { row in
            guard let start = starts[row], let duration = durations[row] else { return nil }
            let end = start &+ duration
            return isEnd ? end : SpanTimes.isTimed(start: start, end: end) ? max(0, duration) : nil
        }
    }

    /// A value as `CAST(… AS INTEGER)` gives it; NULL stays.
    static func cast(_ value: SegmentRows.Value) -> SegmentRows.Value {
        switch value {
        case .text(let text): .integer(castInteger(text))
        case .string(let text): .integer(castInteger(text.utf8))
        default: value
        }
    }

    static func damaged(_ message: String) -> SQLiteError {
        SQLiteError(extendedCode: FUSEBOX_SQLITE_CORRUPT_VTAB, message: message, operation: "read spans")
    }

    /// The integer that a text begins with, as SQLite casts it; 0 without one.
    static func castInteger(_ text: some Sequence<UInt8>) -> Int64 {
        var isNegative = false
        var digits = 0
        var value: Int64 = 0
        var hasSign = false
        for byte in text {
            switch byte {
            case UInt8(ascii: " "), 9...13: if digits > 0 || hasSign { return value }
            case UInt8(ascii: "-"), UInt8(ascii: "+"):
                if digits > 0 || hasSign { return value }
                (hasSign, isNegative) = (true, byte == UInt8(ascii: "-"))
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                digits += 1
                let digit = Int64(byte - UInt8(ascii: "0"))
                let (product, isTooLarge) = value.multipliedReportingOverflow(by: 10)
                let (sum, overflows) =
                    isNegative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
                if isTooLarge || overflows { return isNegative ? .min : .max }
                value = sum
            default: return value
            }
        }
        return value
    }

    /// Runs `body`; damage becomes SQLite's word for it, as in a scan.
    static func attempt<Result>(_ body: () throws -> Result) throws(SQLiteError) -> Result {
        do {
            return try body()
        } catch let error as SQLiteError {
            throw error
        } catch {
            let message = (error as? SegmentError)?.message ?? "a stored span cannot be read: \(error)"
            throw SQLiteError(extendedCode: FUSEBOX_SQLITE_CORRUPT_VTAB, message: message, operation: "read spans")
        }
    }
}
