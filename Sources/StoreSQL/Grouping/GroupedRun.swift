import CSQLite
import SQLite
import SegmentFormat
import TelemetryModel

/// One answer of `spans_grouped`: groups that were added up over columns, or where that is not possible the rows of the plan's SQL.
///
/// Groups of all spans come at the end of the last segment. Traces, whose order nobody asks for, come segment after segment: most lie in one
/// whole, and the others come last. So a list of some traces ends early, and memory is that of the traces that lie in several.
final class GroupedRun {
    /// What groups may take in memory; more of them are SQLite's to group.
    private static let bytesMax = 256 << 20

    private let plan: GroupingPlan
    private let arguments: [SpansScan.Argument]
    private let catalog: SegmentCatalog
    private let report: ScanReport
    private let connection: Connection
    private let isWanted: [Bool]
    /// Values that keys must have, by their numbers.
    private let wantedKeys: [Int: SpansScan.Argument]

    /// Where groups come from that were not given yet.
    private enum Rest {
        case none
        case segments(Waiting)
        case plain(Statement, without: Set<String>)
    }

    /// Segments that are still to be read, and the traces of earlier ones that lie in others too.
    private struct Waiting {
        var scan: GroupingScan
        var next = 0
        let scattered: [Int64: Set<UInt32>]
        let rest: GroupedBatch
    }

    private var rest = Rest.none
    private var batch: GroupedBatch?
    private var position = 0
    private(set) var isAtEnd = false

    /// - Parameter isWanted: for each aggregate whether the statement asks for it.
    init(
        _ plan: GroupingPlan, _ arguments: [SpansScan.Argument], _ context: GroupedModule.Context, isWanted: [Bool],
        wantedKeys: [Int: SpansScan.Argument]
    ) {
        self.plan = plan
        self.arguments = arguments
        self.isWanted = isWanted
        self.wantedKeys = wantedKeys
        (catalog, report, connection) = (context.catalog, context.report, context.connection)
    }

    /// - Parameter isSorted: whether groups must come in the order of their keys.
    func start(isSorted: Bool) throws {
        try catalog.refresh()
        do {
            report.groupsByColumn()
            let scan = try GroupingScan(plan, arguments, wantedKeys, catalog, report)
            if plan.isUnordered, !isSorted {
                var traces = ScatteredTraces(scan.entries)
                let waiting = Waiting(scan: scan, scattered: traces.find(), rest: GroupedBatch(plan, isWanted: isWanted))
                try advance(waiting)
            } else {
                let batch = GroupedBatch(plan, isWanted: isWanted)
                if scan.onlyCounts {
                    for entry in scan.entries { scan.count(entry, batch) }
                } else {
                    for entry in scan.entries {
                        guard let segment = try open(entry, scan) else { continue }
                        try add(segment, to: batch)
                    }
                }
                batch.end(isSorted: true)
                show(batch)
            }
        } catch is NotByColumn {
            try startPlain()
        }
    }

    private func show(_ batch: GroupedBatch?) {
        self.batch = batch
        position = 0
        isAtEnd = batch?.order.isEmpty ?? true
    }

    // MARK: Columns

    private func open(_ entry: SegmentCatalog.Entry, _ scan: GroupingScan) throws -> SegmentVectors? {
        if connection.isPastDeadline {
            throw SQLiteError(extendedCode: SQLITE_INTERRUPT, message: "interrupted", operation: "group spans")
        }
        return try scan.open(entry)
    }

    private func add(_ vectors: SegmentVectors, to batch: GroupedBatch) throws {
        try batch.add(vectors)
        vectors.close(report)
        guard batch.byteCount <= Self.bytesMax else { throw NotByColumn() }
    }

    /// Goes on to the next segment with whole traces, or to the traces that lie in several.
    private func advance(_ waiting: Waiting) throws {
        var waiting = waiting
        while waiting.next < waiting.scan.entries.count {
            let entry = waiting.scan.entries[waiting.next]
            // Until its traces are given, they are not among those that the plain form leaves out.
            rest = .segments(waiting)
            guard let vectors = try open(entry, waiting.scan) else {
                waiting.next += 1
                continue
            }
            let batch = GroupedBatch(plan, isWanted: isWanted)
            let (whole, others) = try vectors.split(byTraces: waiting.scattered[entry.id] ?? [])
            try add(whole, to: batch)
            if let others { try add(others, to: waiting.rest) }
            waiting.next += 1
            batch.end(isSorted: false)
            rest = .segments(waiting)
            if !batch.order.isEmpty { return show(batch) }
        }
        waiting.rest.end(isSorted: false)
        rest = .none
        show(waiting.rest)
    }

    // MARK: Plain

    private func startPlain() throws {
        let given = try givenTraces()
        batch = nil
        report.groupsPlainly()
        let statement = try connection.prepare(plan.plainText)
        for (index, argument) in arguments.enumerated() {
            let number = Int32(truncatingIfNeeded: index + 1)
            switch argument {
            case .integer(let integer): try statement.bind(number, integer)
            case .double(let double): try statement.bind(number, double)
            case .text(let text): try statement.bind(number, String(decoding: text, as: UTF8.self))
            case .null: try statement.bindNull(number)
            case .list, .other:
                throw SQLiteError(
                    extendedCode: SQLITE_MISMATCH, message: "a parameter is neither a number nor a text", operation: "group spans")
            }
        }
        rest = .plain(statement, without: given)
        try advancePlain(statement, without: given)
    }

    private func advancePlain(_ statement: Statement, without given: Set<String>) throws {
        repeat { isAtEnd = try !statement.step() } while !isAtEnd && !given.isEmpty && given.contains(statement.text(0) ?? "")
    }

    /// Traces whose groups were given already: those that lie whole in the segments that were read.
    private func givenTraces() throws -> Set<String> {
        guard case .segments(let waiting) = rest else { return [] }
        var given: Set<String> = []
        for entry in waiting.scan.entries.prefix(waiting.next) {
            guard let reader = try catalog.open(entry.id) else { continue }
            let scattered = waiting.scattered[entry.id] ?? []
            for trace in try reader.traceIDs() where !scattered.contains(TraceFilter.hash(trace)) { given.insert(trace.hexadecimal) }
        }
        return given
    }

    // MARK: Rows

    func next() throws {
        if case .plain(let statement, let given) = rest { return try advancePlain(statement, without: given) }
        position += 1
        guard position >= batch?.order.count ?? 0 else { return }
        isAtEnd = true
        guard case .segments(let waiting) = rest else { return }
        do {
            try advance(waiting)
        } catch is NotByColumn {
            try startPlain()
        }
    }

    /// What a row shows: a value, or a column of a statement that stands at the row.
    enum Shown {
        case scalar(SQLScalar)
        case column(Statement, Int32)
    }

    func key(_ number: Int) -> Shown {
        guard plan.keys.indices.contains(number) else { return .scalar(.null) }
        if case .plain(let statement, _) = rest { return .column(statement, Int32(truncatingIfNeeded: number)) }
        return .scalar(batch?.key(number, at: position) ?? .null)
    }

    func aggregate(_ number: Int) -> Shown {
        guard plan.aggregates.indices.contains(number) else { return .scalar(.null) }
        if case .plain(let statement, _) = rest { return .column(statement, Int32(truncatingIfNeeded: plan.keys.count + number)) }
        return .scalar(batch?.aggregate(number, at: position) ?? .null)
    }
}

/// The segments that a plan reads, and their rows that count.
struct GroupingScan {
    private let plan: GroupingPlan
    private let scalars: [SQLScalar]
    private let conditions: GroupingConditions
    private let segments: ScanSegments
    /// Whether nothing is asked but how many spans there are.
    let onlyCounts: Bool
    /// In the order of arrival.
    let entries: [SegmentCatalog.Entry]

    init(
        _ plan: GroupingPlan, _ arguments: [SpansScan.Argument], _ wantedKeys: [Int: SpansScan.Argument], _ catalog: SegmentCatalog,
        _ report: ScanReport
    ) throws {
        self.plan = plan
        report.begin(segments: catalog.entries.count)
        scalars = try arguments.map { argument in
            switch argument {
            case .null: .null
            case .integer(let integer): .integer(integer)
            case .double(let double): .double(double)
            case .text(let text): .text(text)
            case .list, .other: throw NotByColumn()
            }
        }
        let conditions = GroupingConditions(plan, scalars, wantedKeys)
        self.conditions = conditions
        entries = catalog.entries.filter(conditions.bounds.mayHold)
        report.skip(entries.count, of: catalog.entries.count)
        onlyCounts =
            plan.isOneRow && catalog.scope == nil && conditions.bounds.filters.isEmpty && conditions.others.isEmpty
            && plan.aggregates.allSatisfy { $0.function == .count && $0.arguments.isEmpty && $0.filter == nil }
        let loader = catalog.loader()
        segments = ScanSegments(
            catalog: catalog, loader: loader, attributes: plan.attributes.map { AttributeColumn($0) }, filters: conditions.bounds.filters,
            calls: StoredCalls(catalog, loader, traces: conditions.bounds.traces, time: conditions.bounds.time, report: report),
            report: report)
    }

    func count(_ entry: SegmentCatalog.Entry, _ batch: GroupedBatch) {
        batch.addUnread(entry.spanCount)
        segments.report.counted(spans: entry.spanCount)
    }

    /// The rows of a segment that fulfil all conditions; `nil` for none.
    func open(_ entry: SegmentCatalog.Entry) throws -> SegmentVectors? {
        guard let (segment, rows) = try segments.open(entry) else { return nil }
        var vectors = SegmentVectors(segment, rows: rows, plan: plan, arguments: scalars)
        for condition in conditions.others {
            guard try vectors.mayFulfil(condition) else {
                segments.report.skipByValues()
                vectors.close(segments.report)
                return nil
            }
            guard let left = try vectors.rows(where: condition) else { continue }
            if left.isEmpty {
                vectors.close(segments.report)
                return nil
            }
            vectors = vectors.narrowed(to: left)
        }
        return vectors
    }
}

/// What of a plan's conditions a scan's filters decide, and what has to be looked at besides.
private struct GroupingConditions {
    private(set) var bounds: ScanBounds
    private(set) var others: [SQLExpression] = []

    init(_ plan: GroupingPlan, _ arguments: [SQLScalar], _ wantedKeys: [Int: SpansScan.Argument]) {
        var terms = SpansPlan()
        var values: [SpansScan.Argument] = []
        for condition in plan.conditions {
            guard let (term, value, isExact) = Self.term(condition, plan, arguments) else {
                others.append(condition)
                continue
            }
            terms.terms.append(term)
            values.append(value)
            if !isExact { others.append(condition) }
        }
        for (number, value) in wantedKeys.sorted(by: { $0.key < $1.key }) {
            guard case .column(let column) = plan.keys[number].expression.form, Self.mayFilter(column) else { continue }
            terms.terms.append(SpansPlan.Term(comparison: { if case .list = value { .isIn } else { .equal } }(), column: column))
            values.append(value)
        }
        bounds = ScanBounds(terms, values)
    }

    private static func mayFilter(_ column: Int) -> Bool {
        guard column < SpansColumn.all.count else { return true }
        return SpansPlanner.takesConditions(SpansColumn.all[column].source)
    }

    /// A condition as a filter of a scan, and whether that alone decides it.
    private static func term(
        _ condition: SQLExpression, _ plan: GroupingPlan, _ arguments: [SQLScalar]
    ) -> (SpansPlan.Term, SpansScan.Argument, isExact: Bool)? {
        let comparison: SpansPlan.Comparison
        var column = -1
        var value = SpansScan.Argument.null
        func take(_ expression: SQLExpression) -> Bool {
            guard case .column(let found) = expression.form, mayFilter(found) else { return false }
            column = found
            return true
        }
        func takeValue(_ expression: SQLExpression) -> Bool {
            guard let scalar = scalar(expression, plan, arguments) else { return false }
            value = argument(scalar)
            return true
        }
        switch condition.form {
        case .isNull(let operand):
            guard take(operand) else { return nil }
            comparison = .isNull
        case .not(let inner):
            guard case .isNull(let operand) = inner.form, take(operand) else { return nil }
            comparison = .isNotNull
        case .isIn(let operand, let list):
            let scalars = list.compactMap { scalar($0, plan, arguments) }
            guard scalars.count == list.count, take(operand) else { return nil }
            (comparison, value) = (.isIn, .list(scalars.map(argument)))
        case .binary(let operation, let left, let right):
            guard let found = Self.comparison(operation) else { return nil }
            if operation == .like, left.form == .column(SpansColumn.attributesIndex), takeValue(right), case .text = value {
                return (SpansPlan.Term(comparison: .like, column: SpansColumn.attributesIndex), value, false)
            }
            if take(left), takeValue(right) {
                comparison = found.forward
            } else if take(right), takeValue(left), let backward = found.backward {
                comparison = backward
            } else {
                return nil
            }
        default: return nil
        }
        return decided(SpansPlan.Term(comparison: comparison, column: column), value)
    }

    /// As SQLite hands conditions down: which a scan takes, and which it decides alone.
    private static func decided(_ term: SpansPlan.Term, _ value: SpansScan.Argument) -> (SpansPlan.Term, SpansScan.Argument, isExact: Bool)? {
        guard term.column < SpansColumn.all.count else { return (term, value, false) }
        let source = SpansColumn.all[term.column].source
        let isText = SpansColumn.all[term.column].type.hasPrefix("TEXT")
        switch value {
        case .integer, .double: if isText { return nil }
        case .text: if !isText { return nil }
        case .list(let list):
            let fits = list.allSatisfy { if case .text = $0 { isText } else if case .integer = $0 { !isText } else { false } }
            guard fits else { return nil }
        case .null, .other: if term.comparison != .isNull, term.comparison != .isNotNull { return nil }
        }
        if term.comparison == .like, !isText { return nil }
        if isText, [.less, .lessOrEqual, .greater, .greaterOrEqual].contains(term.comparison) { return nil }
        let type: Int32 = { if case .text = value { SQLITE_TEXT } else if case .integer = value { SQLITE_INTEGER } else { 0 } }()
        return (term, value, SpansPlanner.isExact(term.comparison, source, type))
    }

    private static func comparison(_ operation: SQLOperator) -> (forward: SpansPlan.Comparison, backward: SpansPlan.Comparison?)? {
        switch operation {
        case .equal: (.equal, .equal)
        case .less: (.less, .greater)
        case .lessOrEqual: (.lessOrEqual, .greaterOrEqual)
        case .greater: (.greater, .less)
        case .greaterOrEqual: (.greaterOrEqual, .lessOrEqual)
        case .like: (.like, nil)
        default: nil
        }
    }

    private static func scalar(_ expression: SQLExpression, _ plan: GroupingPlan, _ arguments: [SQLScalar]) -> SQLScalar? {
        switch expression.form {
        case .constant(let scalar): scalar
        case .parameter(let token): plan.parameters[token].flatMap { arguments.indices.contains($0) ? arguments[$0] : nil }
        default: nil
        }
    }

    private static func argument(_ scalar: SQLScalar) -> SpansScan.Argument {
        switch scalar {
        case .null: .null
        case .integer(let integer): .integer(integer)
        case .double(let double): .double(double)
        case .text(let text): .text(text)
        }
    }
}
