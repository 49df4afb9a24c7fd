package import TelemetryModel

/// Fills the columns of spans by the alias table.
///
/// `begin` resolves the table's keys, events and scopes against a batch, once; `read` is called for each of its spans. What the
/// table says of a span's attributes comes from a plan that all spans with such attributes share; a rule with conditions is tried
/// only for spans that have the key, in batches that have the event or the scope, that it needs, and never when an attribute is there
/// that wins over it.
package struct ColumnReader: Sendable {
    let table: ColumnTable
    private var plans: ColumnPlans
    /// By the batch's key index, the table's key number; -1 for keys that no rule reads.
    private var tableKeys: [Int32] = []
    /// By the table's key number, the batch's key index; -1 when the batch does not have it.
    private var batchKeys: [Int32]
    /// By rule, whether it might hold for some span of the batch.
    private var hopefulRules: [Bool]
    /// Bits of `table.scopePrefixes` that the name of each scope begins with.
    private var scopeMasks: [UInt64] = []
    /// For keys that are numbered, the prefix's position in the table and the number.
    private var numbered: [UInt32: (prefix: Int, number: Int)] = [:]
    /// For each resource, values for columns that a resource may fill.
    private var resourceRows: [[(column: Int, value: ColumnValue)]] = []

    /// For the span that is being read: its plan, and where its attributes start in the batch's.
    private var plan = 0
    private var attributesStart = 0

    /// Whether rules that cannot win are left out; not in the tests that look for a difference.
    private let leavesRulesOut: Bool

    /// The columns of the span that was read last.
    package private(set) var row = ColumnRow()

    package init(table: ColumnTable, leavesRulesOut: Bool = true) {
        self.table = table
        self.leavesRulesOut = leavesRulesOut
        plans = ColumnPlans()
        batchKeys = Array(repeating: -1, count: table.keys.count)
        hopefulRules = Array(repeating: false, count: table.others.count)
    }

    // MARK: A batch

    /// Prepares to read the spans of `batch`, to which texts of computed values may be appended.
    package mutating func begin(_ batch: inout SpanBatch) {
        resolveKeys(batch)
        scopeMasks.removeAll(keepingCapacity: true)
        for scope in batch.scopes {
            var mask: UInt64 = 0
            for (index, prefix) in table.scopePrefixes.enumerated() where batch.hasPrefix(scope.name, prefix) {
                mask |= 1 << index
            }
            scopeMasks.append(mask)
        }
        resolveRules(batch)
        resourceRows.removeAll(keepingCapacity: true)
        for resource in batch.resources { resourceRows.append(resourceRow(resource, &batch)) }
    }

    private mutating func resolveKeys(_ batch: SpanBatch) {
        tableKeys.removeAll(keepingCapacity: true)
        numbered.removeAll(keepingCapacity: true)
        for index in batchKeys.indices { batchKeys[index] = -1 }
        let bytes = batch.bytes.span.bytes
        for (index, slice) in batch.keys.enumerated() {
            guard let key = table.keys.find(slice.range, in: bytes) else {
                tableKeys.append(-1)
                findNumber(UInt32(truncatingIfNeeded: index), slice, batch)
                continue
            }
            tableKeys.append(Int32(truncatingIfNeeded: key))
            batchKeys[key] = Int32(truncatingIfNeeded: index)
        }
    }

    private mutating func findNumber(_ index: UInt32, _ key: ByteSlice, _ batch: SpanBatch) {
        for (position, prefix) in table.numberedPrefixes.enumerated() where batch.hasPrefix(key, prefix) {
            let digits = batch.bytes(key).dropFirst(prefix.utf8.count).prefix { $0 != UInt8(ascii: ".") }
            guard let number = Int(String(decoding: digits, as: UTF8.self)), number >= 0, number < 1 << 20 else { continue }
            numbered[index] = (position, number)
        }
    }

    private mutating func resolveRules(_ batch: SpanBatch) {
        let allScopes = scopeMasks.reduce(0, |)
        let events = eventMask(batch)
        for index in table.needs.indices {
            let needs = table.needs[index]
            hopefulRules[index] =
                needs.scopes & ~allScopes == 0 && needs.events & ~events == 0 && (!needs.isNumbered || !numbered.isEmpty)
        }
    }

    /// Bits of `table.eventNames` that the batch has events of.
    private func eventMask(_ batch: SpanBatch) -> UInt64 {
        var mask: UInt64 = 0
        let all = UInt64.max >> (64 - max(1, table.eventNames.count))
        for event in batch.events where mask != all {
            for (index, name) in table.eventNames.enumerated() where mask & 1 << index == 0 && batch.equals(event.name, name) {
                mask |= 1 << index
            }
        }
        return mask
    }

    private func resourceRow(_ resource: ResourceRecord, _ batch: inout SpanBatch) -> [(column: Int, value: ColumnValue)] {
        var values: [Int: ColumnValue] = [:]
        for position in resource.attributes.indices {
            let record = batch.attributes[position]
            let key = tableKeys[Int(record.key)]
            guard key >= 0 else { continue }
            for rule in table.direct.elements[table.direct.indices(Int(key))]
            where table.resourceColumns.contains(where: { $0.rawValue == rule.column }) {
                guard rule.rank <= values[rule.column]?.rank ?? .max else { continue }
                var value = convert(record, to: rule.type, in: &batch)
                guard value.kind != .none else { continue }
                value.rank = rule.rank
                value.sourceKey = -1
                values[rule.column] = value
            }
        }
        return values.map { ($0.key, $0.value) }.sorted { $0.column < $1.column }
    }

    // MARK: A span

    /// Fills `row` with the columns of a span of the batch that `begin` was called with.
    package mutating func read(_ span: borrowing SpanRecord, of batch: inout SpanBatch) {
        row.removeAll()
        attributesStart = Int(span.attributes.start)
        plan = plans.plan(for: batch.attributes.span.extracting(span.attributes.indices), tableKeys, table)
        var isComplete = true
        for index in plans.stepIndices(plan) {
            let step = plans.step(index)
            if row.has(step.column) { continue }
            var value = convert(batch.attributes[attributesStart &+ Int(step.ordinal)], to: step.type, in: &batch)
            if value.kind == .none {
                isComplete = false
                continue
            }
            value.rank = step.rank
            row.set(step.column, value)
        }
        for index in plans.ruleIndices(plan, circumstances(of: span, isComplete: isComplete), table) {
            attempt(plans.rule(index), span, &batch)
        }
        for (column, value) in resourceRows[Int(span.resource)] where !row.has(UInt8(truncatingIfNeeded: column)) {
            row.set(UInt8(truncatingIfNeeded: column), value)
        }
        completeTokens()
    }

    /// The columns without which a span tells of no tokens, a bit each.
    private static var tokenColumns: UInt64 {
        1 << UInt64(Column.tokens.rawValue) | 1 << UInt64(Column.input_tokens.rawValue) | 1 << UInt64(Column.output_tokens.rawValue)
    }

    /// Makes `tokens` the sum of the types that the span's counts tell, so that both are one figure wherever either is asked for.
    @inline(__always)
    private mutating func completeTokens() {
        if row.hasOne(of: Self.tokenColumns) { sumTokens() }
    }

    private mutating func sumTokens() {
        func count(_ column: Column) -> Int64? {
            let value = row[column]
            return value.kind == .integer ? value.integer : nil
        }
        let (told, input, output) = (count(.tokens), count(.input_tokens), count(.output_tokens))
        guard told != nil || input != nil || output != nil else { return }
        let types = TokenCounts(
            total: told, input: input, output: output, cacheRead: count(.cached_tokens), cacheWrite: count(.cache_write_tokens))
        if types.total != told { row.set(UInt8(truncatingIfNeeded: Column.tokens.rawValue), .integer(types.total)) }
    }

    @inline(__always)
    private func circumstances(of span: borrowing SpanRecord, isComplete: Bool) -> RuleCircumstances {
        guard leavesRulesOut else { return .unknown }
        var statusCode = 0
        for index in table.statusCodes.indices where table.statusCodes[index] == span.statusCode { statusCode = index &+ 1 }
        return RuleCircumstances(
            isComplete: isComplete, hasEvents: span.events.count > 0, isInScope: scopeMasks[Int(span.scope)] != 0,
            isRoot: !span.parentSpanID.isValid, statusCode: statusCode)
    }

    private mutating func attempt(_ index: Int, _ span: borrowing SpanRecord, _ batch: inout SpanBatch) {
        guard hopefulRules[index] else { return }
        let needs = table.needs[index]
        // What is cheap to see goes first: most rules of most spans end here.
        let (statusCode, eventCount) = (span.statusCode, span.events.count)
        guard needs.rank < row.rank(needs.column), needs.statusCode < 0 || needs.statusCode == statusCode,
            needs.scopes & ~scopeMasks[Int(span.scope)] == 0, needs.events == 0 || eventCount > 0
        else { return }
        guard holds(table.others[index].conditions, span, batch) else { return }
        var value = evaluate(index, span, &batch)
        if value.kind == .none { return }
        value.rank = needs.rank
        row.set(needs.column, value)
    }

    private func holds(_ conditions: [ColumnRule.Condition], _ span: borrowing SpanRecord, _ batch: SpanBatch) -> Bool {
        for condition in conditions {
            switch condition {
            case .root:
                if span.parentSpanID.isValid { return false }
            case .child:
                if !span.parentSpanID.isValid { return false }
            case .scope(let prefix, let isNegated):
                if (scopeMasks[Int(span.scope)] & 1 << prefix != 0) == isNegated { return false }
            case .attribute(let key, let values, let isNegated):
                if isOne(of: values, record(key, batch), batch) == isNegated { return false }
            case .attributeSuffix(let key, let suffix, let isNegated):
                if endsSo(suffix, record(key, batch), batch) == isNegated { return false }
            case .column(let column, let values, let isNegated):
                let current = row[column]
                let isOne =
                    current.kind == .text && values.contains(byteCount: Int(current.slice.count)) { batch.equals(current.slice, $0) }
                if isOne == isNegated { return false }
            case .filled(let column, let isNegated):
                if (row[column].kind != .none) == isNegated { return false }
            }
        }
        return true
    }

    private func isOne(of values: ColumnTexts, _ record: AttributeRecord?, _ batch: SpanBatch) -> Bool {
        guard let record, record.kind == .string else { return false }
        return values.contains(byteCount: Int(record.slice.count)) { batch.equals(record.slice, $0) }
    }

    private func endsSo(_ suffix: String, _ record: AttributeRecord?, _ batch: SpanBatch) -> Bool {
        guard let record, record.kind == .string else { return false }
        return suffix.isEmpty || batch.bytes(record.slice).reversed().starts(with: suffix.utf8.reversed())
    }

    /// The current span's last attribute of that key.
    func record(_ key: Int, _ batch: SpanBatch) -> AttributeRecord? {
        plans.ordinal(of: key, plan).map { batch.attributes[attributesStart + $0] }
    }

    /// The batch's index of a key of the table; `nil` when the batch does not have it.
    func batchKey(_ key: Int) -> UInt32? {
        batchKeys[key] < 0 ? nil : UInt32(batchKeys[key])
    }

    /// The largest number that the span's keys with that prefix have.
    func largestNumber(_ prefix: String, _ span: borrowing SpanRecord, _ batch: SpanBatch) -> Int? {
        guard let wanted = table.numberedPrefixes.firstIndex(of: prefix) else { return nil }
        var largest: Int?
        for position in span.attributes.indices {
            guard let entry = numbered[batch.attributes[position].key], entry.prefix == wanted else { continue }
            largest = max(largest ?? 0, entry.number)
        }
        return largest
    }
}
