import CSQLite
import SegmentFormat
import TelemetryModel

/// Vectors of expressions over some rows of one segment, made when first asked for.
final class SegmentVectors {
    private let segment: SegmentRows
    /// `nil` for all rows.
    private let rows: [Int32]?
    private let plan: GroupingPlan
    private let arguments: [SQLScalar]
    let count: Int
    private var columns: [Int: Vector] = [:]

    /// - Parameter arguments: values of the plan's parameters.
    init(_ segment: SegmentRows, rows: [Int32]?, plan: GroupingPlan, arguments: [SQLScalar]) {
        self.segment = segment
        self.rows = rows
        self.plan = plan
        self.arguments = arguments
        count = rows?.count ?? segment.reader.spanCount
    }

    private lazy var rowList: [Int32] = rows ?? segment.allRows

    /// The rows that fulfil a condition; `nil` for all of the segment.
    func rows(where condition: SQLExpression) throws -> [Int32]? {
        let truths = try truths(condition)
        if rows == nil, truths.allSatisfy({ $0 == .yes }) { return nil }
        return zip(rowList, truths).compactMap { $1 == .yes ? $0 : nil }
    }

    /// The same over some of the rows.
    func narrowed(to rows: [Int32]) -> SegmentVectors {
        SegmentVectors(segment, rows: rows, plan: plan, arguments: arguments)
    }

    /// The rows of traces that lie in this segment whole, and the others, if there are any.
    ///
    /// - Parameter scattered: hashes of the traces that lie in other segments too.
    func split(byTraces scattered: Set<UInt32>) throws -> (whole: SegmentVectors, others: SegmentVectors?) {
        guard !scattered.isEmpty else { return (self, nil) }
        let isScattered = try segment.traceIDs().map { scattered.contains(TraceFilter.hash($0)) }
        guard isScattered.contains(true) else { return (self, nil) }
        let numbers = try segment.traceNumbers()
        let others = rowList.filter { isScattered[numbers[Int($0)]] }
        if others.isEmpty { return (self, nil) }
        return (narrowed(to: rowList.filter { !isScattered[numbers[Int($0)]] }), narrowed(to: others))
    }

    /// Tells what was read of the segment.
    func close(_ report: ScanReport) { report.close(segment.reader) }

    func vector(_ expression: SQLExpression) throws -> Vector {
        switch expression.form {
        case .constant(let scalar): return Vector(.constant(scalar))
        case .parameter(let token):
            guard let number = plan.parameters[token], arguments.indices.contains(number) else { throw NotByColumn() }
            return Vector(.constant(arguments[number]))
        case .column(let index):
            if let known = columns[index] { return known }
            let column = try column(index)
            columns[index] = column
            return column
        case .isNull(let value):
            guard let nulls = try presence(value).nulls(count) else { return Vector(.constant(.integer(0))) }
            return Vector(.integers(nulls.map { $0 ? 1 : 0 }))
        case .not, .binary(.and, _, _), .binary(.or, _, _): return Self.flags(try truths(expression))
        case .binary(let operation, let left, let right):
            switch operation {
            case .plus, .minus, .times, .divided, .remainder:
                return try VectorArithmetic.result(operation, vector(left), vector(right), count)
            case .like: return try like(left, LikePattern(vector(right), escape: nil))
            case .and, .or, .other: throw NotByColumn()
            default:
                let comparison = VectorComparison(operation, SQLAffinity(left), SQLAffinity(right))
                return try comparison.result(vector(left), vector(right), count)
            }
        case .negated(let value): return try VectorArithmetic.result(.minus, Vector(.constant(.integer(0))), vector(value), count)
        case .isIn(let value, let list): return try membership(value, list)
        case .choice(let cases, let otherwise): return try choice(cases, otherwise)
        case .call(LikePattern.escapedLike, let arguments) where arguments.count == 3:
            return try like(arguments[0], LikePattern(vector(arguments[1]), escape: vector(arguments[2])))
        case .call(let name, let arguments): return try call(name, arguments)
        case .name, .aggregate: throw NotByColumn()
        }
    }

    /// `false` where no row fulfils a condition for certain, by what texts have in them: most segments have nothing of a text that is looked for.
    func mayFulfil(_ condition: SQLExpression) throws -> Bool {
        switch condition.form {
        case .binary(.or, let left, let right): return try mayFulfil(left) || mayFulfil(right)
        case .binary(.and, let left, let right): return try mayFulfil(left) && mayFulfil(right)
        case .binary(.like, let value, let pattern): return try mayMatch(value, LikePattern(vector(pattern), escape: nil))
        case .call(LikePattern.escapedLike, let arguments) where arguments.count == 3:
            return try mayMatch(arguments[0], LikePattern(vector(arguments[1]), escape: vector(arguments[2])))
        default: return true
        }
    }

    private func mayMatch(_ value: SQLExpression, _ pattern: LikePattern) throws -> Bool {
        guard case .column(let index) = value.form else { return true }
        switch segment.source(index) {
        case .attributes: return try segment.rows(rows, mayMatch: pattern)?.isEmpty != true
        case .text(let space, let name): return try pattern.search.map { try segment.reader.mayHold($0, in: space, name) } ?? true
        default: return true
        }
    }

    /// Attributes are put together only where their values say that they may match.
    private func like(_ value: SQLExpression, _ pattern: LikePattern) throws -> Vector {
        guard value.form == .column(SpansColumn.attributesIndex) else {
            return try VectorComparison.like(vector(value), pattern, count)
        }
        var flags = [Int64](repeating: 0, count: count)
        let candidates = try segment.rows(rows, mayMatch: pattern) ?? rowList
        guard !candidates.isEmpty else { return Vector(.constant(.integer(0))) }
        // Both lists rise.
        var next = 0
        for (place, row) in rowList.enumerated() where next < candidates.count && candidates[next] == row {
            next += 1
            if case .text(let text) = try segment.value(Int(row), column: SpansColumn.attributesIndex), pattern.matches(text) {
                flags[place] = 1
            }
        }
        return Vector(.integers(flags))
    }

    // MARK: Columns

    private func column(_ index: Int) throws -> Vector {
        switch segment.source(index) {
        case .startTime, .endTime, .duration, .latestKnownTime, .integer: return gathered(try PassedSegment(segment, rows: nil).readIntegers(index, isCast: false))
        case .countsTokens:
            return ones(try segment.tokenRows())
        case .isRun: return ones(try segment.runRows())
        case .spanID: return identifiers(PassedIntegers(try segment.reader.column(.fixed, FixedColumn.spanID)))
        case .parentSpanID: return identifiers(PassedIntegers(try segment.reader.column(.fixed, FixedColumn.parentSpanID)))
        case .attribute(let key): return try attribute(key, index)
        case nil: return .null
        default:
            if let numbered = try segment.numbered(index, rowList) {
                return Vector(.texts(numbers: numbered.numbers, entries: numbered.texts))
            }
            return Vector(.scalars(try rowList.map { Self.scalar(try segment.value(Int($0), column: index)) }))
        }
    }

    /// 1 in the rows of a set, 0 in the others.
    private func ones(_ bits: RowBits?) -> Vector {
        guard let bits else { return Vector(.constant(.integer(0))) }
        return Vector(.integers(rowList.map { bits.contains(Int($0)) ? 1 : 0 }))
    }

    /// A vector of which only is asked where it is NULL: for a column whose values are a field of the span that need not be read.
    private func presence(_ expression: SQLExpression) throws -> Vector {
        guard case .column(let index) = expression.form, columns[index] == nil, case .parentSpanID? = segment.source(index) else {
            return try vector(expression)
        }
        let present = try segment.reader.presence(.fixed, FixedColumn.parentSpanID)
        return Vector(.identifiers([UInt64](repeating: 0, count: count)), isNull: rowList.map { !present[Int($0)] })
    }

    private func attribute(_ key: String, _ index: Int) throws -> Vector {
        let directory = segment.reader.directory
        if directory.column(.fixed, FixedColumn.overflow) == nil {
            guard let column = try segment.reader.column(.attribute, key) else { return .null }
            switch column.values {
            case .dictionary, .texts:
                let numbered = SegmentRows.numbered(column, rowList)
                return Vector(.texts(numbers: numbered.numbers, entries: numbered.texts))
            case .integers: return gathered(PassedIntegers(column))
            default: break
            }
        }
        return Vector(.scalars(try rowList.map { Self.scalar(try segment.attribute(key, Int($0))) }))
    }

    private static func scalar(_ value: SegmentRows.Value) -> SQLScalar {
        switch value {
        case .null: .null
        case .integer(let integer): .integer(integer)
        case .double(let double): .double(double)
        case .text(let text): .text(Array(text))
        case .string(let text): .text(Array(text.utf8))
        }
    }

    private func gathered(_ column: PassedIntegers) -> Vector {
        if column.isEmpty { return .null }
        guard let presence = column.presence else {
            guard let rows else { return Vector(.integers(column.values)) }
            return Vector(.integers(rows.map { column.values[Int($0)] }))
        }
        var values = [Int64](repeating: 0, count: count)
        var isNull = [Bool](repeating: true, count: count)
        for (place, row) in rowList.enumerated() {
            let position = presence.position(Int(row))
            guard position >= 0 else { continue }
            values[place] = column.values[position]
            isNull[place] = false
        }
        return Vector(.integers(values), isNull: isNull)
    }

    private func identifiers(_ column: PassedIntegers) -> Vector {
        let vector = gathered(column)
        guard case .integers(let values) = vector.values else { return vector }
        return Vector(.identifiers(values.map { UInt64(bitPattern: $0) }), isNull: vector.isNull)
    }

    // MARK: Truth

    /// What SQL takes a value for: neither true nor false when it is NULL.
    enum Truth: UInt8 {
        case no, yes, unknown
    }

    static func flags(_ truths: [Truth]) -> Vector {
        let isNull = truths.contains(.unknown) ? truths.map { $0 == .unknown } : nil
        return Vector(.integers(truths.map { $0 == .yes ? 1 : 0 }), isNull: isNull)
    }

    func truths(_ expression: SQLExpression) throws -> [Truth] {
        switch expression.form {
        case .not(let value):
            return try truths(value).map { $0 == .unknown ? .unknown : $0 == .yes ? .no : .yes }
        case .binary(.and, let left, let right):
            return zip(try truths(left), try truths(right)).map { left, right in
                left == .no || right == .no ? .no : left == .yes && right == .yes ? .yes : .unknown
            }
        case .binary(.or, let left, let right):
            return zip(try truths(left), try truths(right)).map { left, right in
                left == .yes || right == .yes ? .yes : left == .no && right == .no ? .no : .unknown
            }
        default: break
        }
        let vector = try vector(expression)
        switch vector.values {
        case .constant(.integer(let integer)): return [Truth](repeating: integer == 0 ? .no : .yes, count: count)
        case .integers(let integers):
            guard let isNull = vector.isNull else { return integers.map { $0 == 0 ? .no : .yes } }
            return zip(integers, isNull).map { $1 ? .unknown : $0 == 0 ? .no : .yes }
        default:
            return try (0..<count).map { row in
                switch vector.scalar(row) {
                case .null: .unknown
                case .integer(let integer): integer == 0 ? .no : .yes
                case .double(let double): double == 0 ? .no : .yes
                case .text: throw NotByColumn()
                }
            }
        }
    }

    private func membership(_ value: SQLExpression, _ list: [SQLExpression]) throws -> Vector {
        var items: [SQLScalar] = []
        for item in list {
            guard case .constant(let scalar) = try vector(item).values else { throw NotByColumn() }
            items.append(scalar)
        }
        if items.isEmpty { return Vector(.constant(.integer(0))) }
        let missing: Truth = items.contains(.null) ? .unknown : .no
        let vector = try vector(value)
        let affinity = SQLAffinity(value)
        let comparison = VectorComparison(.equal, affinity, .none)
        // A long list is looked up, where nothing would be converted first.
        let wanted = Set(items)
        let areTexts = affinity != .integer && items.allSatisfy { if case .text = $0 { true } else { $0.isNull } }
        let areIntegers = affinity != .text && items.allSatisfy { if case .integer = $0 { true } else { $0.isNull } }
        let found = { (scalar: SQLScalar) throws -> Truth in
            switch scalar {
            case .null: return .unknown
            case .text where areTexts, .integer where areIntegers: return wanted.contains(scalar) ? .yes : missing
            default:
                for item in items where !item.isNull { if try comparison.order(scalar, item) == 0 { return .yes } }
                return missing
            }
        }
        if case .texts(let numbers, let entries) = vector.values {
            let truths = try entries.map { try found(.text($0)) }
            return Self.flags(numbers.map { $0 < 0 ? .unknown : truths[Int($0)] })
        }
        return Self.flags(try (0..<count).map { try found(vector.scalar($0)) })
    }

    // MARK: Choices

    private func choice(_ cases: [(when: SQLExpression, then: SQLExpression)], _ otherwise: SQLExpression?) throws -> Vector {
        // For each row which of the results it gets; the last is that of ELSE.
        var chosen = [Int](repeating: cases.count, count: count)
        for (number, one) in cases.enumerated().reversed() {
            for (row, truth) in try truths(one.when).enumerated() where truth == .yes { chosen[row] = number }
        }
        return combined(try cases.map { try vector($0.then) } + [try otherwise.map { try vector($0) } ?? .null], chosen)
    }

    /// For each row the value of one of several vectors.
    private func combined(_ vectors: [Vector], _ chosen: [Int]) -> Vector {
        let integers = vectors.map { $0.integers(count) }
        if integers.allSatisfy({ $0 != nil }) {
            var values = [Int64](repeating: 0, count: count)
            var isNull = [Bool](repeating: false, count: count)
            for (number, integers) in integers.enumerated() {
                guard let integers else { continue }
                for row in 0..<count where chosen[row] == number {
                    values[row] = integers.values[row]
                    isNull[row] = integers.isNull?[row] ?? false
                }
            }
            return Vector(.integers(values), isNull: isNull.contains(true) ? isNull : nil)
        }
        if let texts = combinedTexts(vectors, chosen) { return texts }
        return Vector(.scalars((0..<count).map { vectors[chosen[$0]].scalar($0) }))
    }

    /// The same of texts; `nil` when there are other values.
    private func combinedTexts(_ vectors: [Vector], _ chosen: [Int]) -> Vector? {
        var entries: [[UInt8]] = []
        var combined = [Int32](repeating: -1, count: count)
        for (number, vector) in vectors.enumerated() {
            let offset = Int32(truncatingIfNeeded: entries.count)
            switch vector.values {
            case .texts(let numbers, let own):
                entries += own
                for row in 0..<count where chosen[row] == number && numbers[row] >= 0 { combined[row] = offset + numbers[row] }
            case .constant(.text(let text)):
                entries.append(text)
                for row in 0..<count where chosen[row] == number { combined[row] = offset }
            case .constant(.null): break
            default: return nil
            }
        }
        return Vector(.texts(numbers: combined, entries: entries))
    }

    private func call(_ name: String, _ arguments: [SQLExpression]) throws -> Vector {
        let vectors = try arguments.map { try vector($0) }
        switch name {
        case "coalesce", "ifnull":
            var chosen = [Int](repeating: 0, count: count)
            var isFound = [Bool](repeating: false, count: count)
            for (number, vector) in vectors.enumerated() {
                let nulls = vector.nulls(count)
                for row in 0..<count where !isFound[row] && nulls?[row] != true {
                    chosen[row] = number
                    isFound[row] = true
                }
            }
            return combined(vectors, chosen)
        case "cast as integer": return try cast(vectors[0])
        default: throw NotByColumn()
        }
    }

    private func cast(_ vector: Vector) throws -> Vector {
        if vector.integers(count) != nil { return vector }
        return Vector(
            .scalars(
                try (0..<count).map { row in
                    switch vector.scalar(row) {
                    case .text(let text): return .integer(PassedSegment.castInteger(text))
                    case .double: throw NotByColumn()
                    case let scalar: return scalar
                    }
                }))
    }
}
