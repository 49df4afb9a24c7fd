import SegmentFormat
import TelemetryModel

/// Which rows of a segment a scan has to look at.
extension SegmentRows {
    /// A condition on a column of `spans`.
    struct Filter {
        var column: Int
        var comparison: SpansPlan.Comparison
        var argument: SpansScan.Argument
    }

    /// The rows of a project; `nil` for all. These and no others, unlike those of a filter, which SQLite looks at once more.
    func rows(of scope: ProjectScope) throws -> [Int32]? {
        let services = try serviceNames()
        var isIn: [Bool] = []
        for (number, service) in services.enumerated() {
            isIn.append(try scope.holds(service: service, json: try resourceAttributes()[number]))
        }
        if !isIn.contains(true) { return [] }
        if !isIn.contains(false) { return nil }
        return try allRows.filter { isIn[Int(try resource(Int($0)))] }
    }

    /// The rows of `among` (all when `nil`) that may fulfil the filter; `nil` for all.
    func rows(_ filter: Filter, among rows: [Int32]?) throws -> [Int32]? {
        guard let source = source(filter.column) else { return rows }
        switch source {
        case .traceID:
            guard let condition = ColumnCondition.texts(filter.comparison, filter.argument) else { return rows }
            return try traceRows(condition, rows)
        case .spanID: return try identityRows(FixedColumn.spanID, filter, rows)
        case .parentSpanID: return try identityRows(FixedColumn.parentSpanID, filter, rows)
        case .startTime: return try integerRows(.fixed, FixedColumn.start, filter, rows)
        case .endTime, .duration: return try timeRows(filter, rows, isEnd: filter.column == SpansColumn.endTimeIndex)
        case .integer(let space, let name): return try integerRows(space, name, filter, rows)
        case .text(let space, let name):
            guard let condition = ColumnCondition.texts(filter.comparison, filter.argument) else { return rows }
            return try select(space, name, condition, rows, isText: true)
        case .serviceName:
            return try tableRows(FixedColumn.resource, filter, rows) { try serviceNames().map { Array($0.utf8) } }
        case .scopeName:
            return try tableRows(FixedColumn.scope, filter, rows) { try scopes().map { Array($0.name.utf8) } }
        case .attributes: return try attributesRows(filter, rows)
        case .scopeVersion, .callName, .callWorkflow, .resourceAttributes, .scopeAttributes, .events, .links, .firstAttribute,
            .storedOrAttribute, .flag:
            return rows
        case .attribute(let key): return try attributeRows(key, filter, rows)
        case .attributeType(let key): return try attributeTypeRows(key, filter, rows)
        case .countsTokens: return try onesRows(tokenRows, filter, rows)
        case .isRun: return try onesRows(runRows, filter, rows)
        case .latestKnownTime: return try latestKnownRows(filter, rows)
        case .ending(let name): return try endingRows(name, filter, rows)
        }
    }

    /// Whether the directory alone says that no row fulfils the filter.
    func isExcluded(by filter: Filter) -> Bool {
        let (space, name): (ColumnSpace, String)
        let condition: ColumnCondition?
        switch source(filter.column) {
        case .serviceName:
            guard case .texts(let texts)? = ColumnCondition.texts(filter.comparison, filter.argument), let known = try? serviceNames() else { return false }
            return !known.contains { service in texts.contains { $0.elementsEqual(service.utf8) } }
        case .text(let own, let column):
            (space, name, condition) = (own, column, ColumnCondition.texts(filter.comparison, filter.argument))
        case .integer(let own, let column):
            (space, name, condition) = (own, column, ColumnCondition.integers(filter.comparison, filter.argument))
        default: return false
        }
        guard let condition else { return false }
        guard var entry = reader.directory.column(space, name) else { return condition != .isNull }
        if entry.encoding == .alias, let source = reader.directory.column(.attribute, entry.aliasName) { entry = source }
        return condition.decided(by: entry, spanCount: reader.spanCount) == false
    }

    /// Rows by a column that is 1 in some rows, or in none, and 0 in the others.
    private func onesRows(_ bits: () throws -> RowBits?, _ filter: Filter, _ rows: [Int32]?) throws -> [Int32]? {
        guard let condition = ColumnCondition.integers(filter.comparison, filter.argument) else { return rows }
        let takes = { (value: Int64) -> Bool in
            switch condition {
            case .integers(let range): range.contains(value)
            case .integerSet(let set): set.contains(value)
            case .isNotNull: true
            case .nothing, .isNull, .texts, .prefix: false
            }
        }
        let (takesOnes, takesOthers) = (takes(1), takes(0))
        if takesOnes && takesOthers { return rows }
        guard let bits = try bits() else { return takesOthers ? rows : [] }
        return (rows ?? allRows).filter { bits.contains(Int($0)) ? takesOnes : takesOthers }
    }

    private func endingRows(_ name: String, _ filter: Filter, _ rows: [Int32]?) throws -> [Int32]? {
        guard let condition = ColumnCondition.texts(filter.comparison, filter.argument) else { return rows }
        guard let changed = try changedEndings() else { return try select(.derived, name, condition, rows, isText: true) }
        let stored = try select(.derived, name, condition, nil, isText: true)
        var matching = RowBits(rowCount: reader.spanCount)
        for row in stored ?? allRows { matching.insert(Int(row)) }
        for (row, ending) in changed {
            let text = ending.text(name)
            let isWanted = condition == .isNull ? text == nil : text.map { condition.matches($0[...]) } ?? false
            if isWanted { matching.insert(Int(row)) } else { matching.remove(Int(row)) }
        }
        return (rows ?? allRows).filter { matching.contains(Int($0)) }
    }

    /// Rows of a stored column that fulfil a condition; a segment without the column has NULL in every row.
    private func select(
        _ space: ColumnSpace, _ name: String, _ condition: ColumnCondition, _ rows: [Int32]?, isText: Bool
    ) throws -> [Int32]? {
        guard var entry = reader.directory.column(space, name) else { return condition == .isNull ? rows : [] }
        if entry.encoding == .alias, let source = reader.directory.column(.attribute, entry.aliasName) { entry = source }
        if let decided = condition.decided(by: entry, spanCount: reader.spanCount) { return decided ? rows : [] }
        guard let column = try reader.column(space, name) else { return rows }
        return column.rows(where: condition, among: rows, spanCount: reader.spanCount, isText: isText)
    }

    private func integerRows(_ space: ColumnSpace, _ name: String, _ filter: Filter, _ rows: [Int32]?) throws -> [Int32]? {
        guard let condition = ColumnCondition.integers(filter.comparison, filter.argument) else { return rows }
        return try select(space, name, condition, rows, isText: false)
    }

    private func traceRows(_ condition: ColumnCondition, _ rows: [Int32]?) throws -> [Int32]? {
        guard case .texts(let texts) = condition else { return condition == .nothing || condition == .isNull ? [] : rows }
        let wanted = Set(texts.compactMap { SpansScan.trace($0) })
        let numbers = try traceIDs().enumerated().filter { wanted.contains($0.element) }.map { Int64($0.offset) }
        if numbers.isEmpty { return [] }
        return try select(.fixed, FixedColumn.traceIndex, .integerSet(Set(numbers)), rows, isText: false)
    }

    private func identityRows(_ name: String, _ filter: Filter, _ rows: [Int32]?) throws -> [Int32]? {
        guard let condition = ColumnCondition.texts(filter.comparison, filter.argument) else { return rows }
        guard case .texts(let texts) = condition else {
            guard condition == .isNull || condition == .isNotNull else { return rows }
            // Ids need not be read for it.
            let presence = try reader.presence(.fixed, name)
            return (rows ?? allRows).filter { presence[Int($0)] == (condition == .isNotNull) }
        }
        let wanted = Set(
            texts.compactMap { SpanID(hexadecimal: String(decoding: $0, as: UTF8.self)).map { Int64(bitPattern: $0.value) } })
        guard let column = try reader.column(.fixed, name) else { return [] }
        return (rows ?? allRows).filter { row in column.integer(Int(row)).map(wanted.contains) ?? false }
    }

    /// End and duration are not stored as they are shown: the one is start plus difference, the other never negative.
    private func timeRows(_ filter: Filter, _ rows: [Int32]?, isEnd: Bool) throws -> [Int32]? {
        guard let condition = ColumnCondition.integers(filter.comparison, filter.argument) else { return rows }
        switch condition {
        case .integers(let range):
            guard let column = try reader.column(.fixed, FixedColumn.duration) else { return [] }
            if isEnd {
                guard let start = try reader.column(.fixed, FixedColumn.start) else { return [] }
                return (rows ?? allRows).filter { row in
                    range.contains((start.integer(Int(row)) ?? 0) &+ (column.integer(Int(row)) ?? 0))
                }
            }
            guard range.upperBound >= 0 else { return [] }
            let stored = (range.lowerBound <= 0 ? Int64.min : range.lowerBound)...range.upperBound
            return try select(.fixed, FixedColumn.duration, .integers(stored), rows, isText: false)
        case .nothing: return []
        default: return rows
        }
    }

    /// Rows by the entries of a table that the column `name` counts.
    private func tableRows(
        _ name: String, _ filter: Filter, _ rows: [Int32]?, _ texts: () throws -> [[UInt8]]
    ) throws -> [Int32]? {
        guard let condition = ColumnCondition.texts(filter.comparison, filter.argument) else { return rows }
        switch condition {
        case .isNull, .isNotNull: return rows
        default: break
        }
        let texts = try texts()
        let matching = texts.indices.filter { condition.matches(texts[$0][...]) }.map(Int64.init)
        if matching.isEmpty { return [] }
        if matching.count == texts.count { return rows }
        return try select(.fixed, name, .integerSet(Set(matching)), rows, isText: false)
    }

    /// Values of an attribute may be of any kind, and some may lie in the overflow column.
    private func attributeRows(_ key: String, _ filter: Filter, _ rows: [Int32]?) throws -> [Int32]? {
        if reader.directory.column(.fixed, FixedColumn.overflow) != nil { return rows }
        guard let entry = reader.directory.column(.attribute, key) else { return filter.comparison == .isNull ? rows : [] }
        switch entry.encoding {
        case .dictionary, .texts, .integers, .planes: break
        default: return rows
        }
        let isText = entry.encoding == .dictionary || entry.encoding == .texts
        let condition: ColumnCondition?
        switch filter.argument {
        case .integer, .double: condition = .integers(filter.comparison, filter.argument)
        case .list(let list) where filter.comparison == .isIn: condition = .values(list, areTexts: isText)
        default: condition = .texts(filter.comparison, filter.argument)
        }
        guard let condition else { return rows }
        switch condition {
        case .texts, .prefix: if !isText { return rows }
        case .integers, .integerSet: if isText { return rows }
        default: break
        }
        return try select(.attribute, key, condition, rows, isText: isText)
    }

    /// What kinds an attribute's values are of, by how the segment holds them.
    private func attributeTypeRows(_ key: String, _ filter: Filter, _ rows: [Int32]?) throws -> [Int32]? {
        if reader.directory.column(.fixed, FixedColumn.overflow) != nil { return rows }
        guard let condition = ColumnCondition.texts(filter.comparison, filter.argument) else { return rows }
        guard let entry = reader.directory.column(.attribute, key) else { return condition == .isNull ? rows : [] }
        let type: String
        switch entry.encoding {
        case .dictionary, .texts: type = "text"
        case .integers, .planes: type = "integer"
        case .bools: return try truthRows(key, condition, rows)
        default: return rows
        }
        switch condition {
        case .isNull, .isNotNull: break
        case .texts(let texts): if !texts.contains(where: { $0.elementsEqual(type.utf8) }) { return [] }
        case .nothing: return []
        case .prefix, .integers, .integerSet: return rows
        }
        let presence = try reader.presence(.attribute, key)
        return (rows ?? allRows).filter { presence[Int($0)] == (condition != .isNull) }
    }

    /// The same of a column of booleans, whose kinds are `true` and `false`.
    private func truthRows(_ key: String, _ condition: ColumnCondition, _ rows: [Int32]?) throws -> [Int32]? {
        guard case .texts(let texts) = condition, let column = try reader.column(.attribute, key), case .bools(let bools) = column.values
        else { return condition == .nothing ? [] : rows }
        let (takesTrue, takesFalse) = (texts.contains { $0.elementsEqual("true".utf8) }, texts.contains { $0.elementsEqual("false".utf8) })
        return (rows ?? allRows).filter { row in
            let position = column.position(Int(row))
            return position >= 0 && (bools[position] != 0 ? takesTrue : takesFalse)
        }
    }

    var allRows: [Int32] { Array(0..<Int32(truncatingIfNeeded: reader.spanCount)) }

    // MARK: Order

    /// The rows by start, the earliest first.
    func rowsByStart(_ rows: [Int32]?) throws -> (rows: [Int32], starts: [Int64]) {
        guard let column = try reader.column(.fixed, FixedColumn.start) else { return ([], []) }
        let sorted = (rows ?? allRows).map { (start: column.integer(Int($0)) ?? 0, row: $0) }.sorted { $0 < $1 }
        return (sorted.map(\.row), sorted.map(\.start))
    }
}
