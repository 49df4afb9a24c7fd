package import TelemetryModel

/// Fills the columns of spans by the alias table.
///
/// `begin` resolves the table's keys, events and scopes against a batch, once; `read` is called for each of its spans. A direct rule
/// (an attribute without conditions) costs two array look-ups; any other rule is tried only for spans that have the key, in batches
/// that have the event or the scope, that it needs.
package struct ColumnReader: Sendable {
    let table: ColumnTable
    /// By the batch's key index, the table's key number; -1 for keys that no rule reads.
    private var tableKeys: [Int32] = []
    /// By the table's key number, the batch's key index; -1 when the batch does not have it.
    private var batchKeys: [Int32]
    /// Bits of rules in `table.others` that need no key and might hold for spans of the batch.
    private var keylessRules: [UInt64]
    /// Bits of rules that cannot hold for any span of the batch.
    private var hopelessRules: [UInt64]
    /// Bits of `table.scopePrefixes` that the name of each scope begins with.
    private var scopeMasks: [UInt64] = []
    /// For keys that are numbered, the prefix's position in the table and the number.
    private var numbered: [UInt32: (prefix: Int, number: Int)] = [:]
    /// For each resource, values for columns that a resource may fill.
    private var resourceRows: [[(column: Int, value: ColumnValue)]] = []

    /// For the span that is being read: where the last attribute of each key stands, valid when its stamp is the span's.
    private var positions: [UInt32]
    private var stamps: [UInt32]
    private var stamp: UInt32 = 0
    /// Bits of rules to try for the span.
    private var pendingRules: [UInt64]

    /// The columns of the span that was read last.
    package private(set) var row = ColumnRow()

    package init(table: ColumnTable) {
        self.table = table
        let words = (table.others.count + 63) / 64
        batchKeys = Array(repeating: -1, count: table.keys.count)
        keylessRules = Array(repeating: 0, count: words)
        hopelessRules = keylessRules
        pendingRules = keylessRules
        positions = Array(repeating: 0, count: table.keys.count)
        stamps = positions
    }

    // MARK: A batch

    /// Prepares to read the spans of `batch`, to which texts of computed values may be appended.
    package mutating func begin(_ batch: inout SpanBatch) {
        resolveKeys(batch)
        scopeMasks = batch.scopes.map { scope in
            var mask: UInt64 = 0
            let name = batch.bytes(scope.name)
            for (index, prefix) in table.scopePrefixes.enumerated() where name.starts(with: prefix.utf8) { mask |= 1 << index }
            return mask
        }
        resolveRules(batch)
        resourceRows = batch.resources.map { resourceRow($0, &batch) }
    }

    private mutating func resolveKeys(_ batch: SpanBatch) {
        tableKeys.removeAll(keepingCapacity: true)
        numbered.removeAll(keepingCapacity: true)
        for index in batchKeys.indices { batchKeys[index] = -1 }
        let bytes = batch.bytes.span.bytes
        for (index, slice) in batch.keys.enumerated() {
            let hash = ByteHash.hash(bytes, slice.range)
            guard let key = table.keys.find(slice.range, in: bytes, hash: hash) else {
                tableKeys.append(-1)
                findNumber(UInt32(truncatingIfNeeded: index), batch.bytes(slice))
                continue
            }
            tableKeys.append(Int32(truncatingIfNeeded: key))
            batchKeys[key] = Int32(truncatingIfNeeded: index)
        }
    }

    private mutating func findNumber(_ index: UInt32, _ key: ArraySlice<UInt8>) {
        for (position, prefix) in table.numberedPrefixes.enumerated() where key.starts(with: prefix.utf8) {
            let digits = key.dropFirst(prefix.utf8.count).prefix { $0 != UInt8(ascii: ".") }
            guard let number = Int(String(decoding: digits, as: UTF8.self)), number >= 0, number < 1 << 20 else { continue }
            numbered[index] = (position, number)
        }
    }

    private mutating func resolveRules(_ batch: SpanBatch) {
        for index in keylessRules.indices { (keylessRules[index], hopelessRules[index]) = (0, 0) }
        let allScopes = scopeMasks.reduce(0, |)
        for (index, rule) in table.others.enumerated() {
            var mayHold = true
            for condition in rule.conditions {
                switch condition {
                case .root, .child, .column: break
                case .scope(let prefix): mayHold = mayHold && allScopes & 1 << prefix != 0
                case .attribute(let key, _), .attributeSuffix(let key, _): mayHold = mayHold && batchKeys[key] >= 0
                }
            }
            if mayHold, let event = rule.neededEvent { mayHold = batch.events.contains { batch.equals($0.name, event) } }
            if case .numbered = rule.source { mayHold = mayHold && !numbered.isEmpty }
            if !mayHold {
                hopelessRules[index >> 6] |= 1 << (index & 63)
            } else if rule.neededKey == nil {
                keylessRules[index >> 6] |= 1 << (index & 63)
            }
        }
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
    package mutating func read(_ span: SpanRecord, of batch: inout SpanBatch) {
        row.clear()
        for index in pendingRules.indices { pendingRules[index] = keylessRules[index] }
        stamp &+= 1
        for position in span.attributes.indices {
            let record = batch.attributes[position]
            let key = Int(tableKeys[Int(record.key)])
            if key < 0 { continue }
            positions[key] = UInt32(truncatingIfNeeded: position)
            stamps[key] = stamp
            for index in table.direct.indices(key) {
                let rule = table.direct.elements[index]
                guard rule.rank <= row.values[rule.column].rank else { continue }
                var value = convert(record, to: rule.type, in: &batch)
                if value.kind == .none { continue }
                value.rank = rule.rank
                row.values[rule.column] = value
            }
            for position in table.othersOfKey.indices(key) {
                let index = table.othersOfKey.elements[position]
                pendingRules[index >> 6] |= 1 << (index & 63)
            }
        }
        for word in pendingRules.indices {
            var bits = pendingRules[word] & ~hopelessRules[word]
            while bits != 0 {
                attempt(word << 6 | bits.trailingZeroBitCount, span, &batch)
                bits &= bits &- 1
            }
        }
        for (column, value) in resourceRows[Int(span.resource)] where row.values[column].kind == .none {
            row.values[column] = value
        }
        row.noteFacts()
    }

    private mutating func attempt(_ index: Int, _ span: SpanRecord, _ batch: inout SpanBatch) {
        let column = table.others[index].column.rawValue
        let rank = table.others[index].rank
        guard rank < row.values[column].rank else { return }
        // The cheap sources, which are tried for nearly every span, first.
        if case .status(let code, _) = table.others[index].source, code != span.statusCode { return }
        guard holds(table.others[index].conditions, span, batch) else { return }
        var value = evaluate(table.others[index], span, &batch)
        if value.kind == .none { return }
        value.rank = rank
        row.values[column] = value
    }

    private func holds(_ conditions: [ColumnRule.Condition], _ span: SpanRecord, _ batch: SpanBatch) -> Bool {
        for condition in conditions {
            switch condition {
            case .root:
                if span.parentSpanID.isValid { return false }
            case .child:
                if !span.parentSpanID.isValid { return false }
            case .scope(let prefix):
                if scopeMasks[Int(span.scope)] & 1 << prefix == 0 { return false }
            case .attribute(let key, let value):
                guard let record = record(key, batch), record.kind == .string, batch.equals(record.slice, value) else {
                    return false
                }
            case .attributeSuffix(let key, let suffix):
                guard let record = record(key, batch), record.kind == .string,
                    batch.bytes(record.slice).reversed().starts(with: suffix.utf8.reversed())
                else { return false }
            case .column(let column, let value):
                let current = row[column]
                guard current.kind == .text, batch.equals(current.slice, value) else { return false }
            }
        }
        return true
    }

    /// The current span's last attribute of that key.
    @inline(__always)
    func record(_ key: Int, _ batch: SpanBatch) -> AttributeRecord? {
        stamps[key] == stamp ? batch.attributes[Int(positions[key])] : nil
    }

    /// The batch's index of a key of the table; `nil` when the batch does not have it.
    func batchKey(_ key: Int) -> UInt32? {
        batchKeys[key] < 0 ? nil : UInt32(batchKeys[key])
    }

    /// The largest number that the span's keys with that prefix have.
    func largestNumber(_ prefix: String, _ span: SpanRecord, _ batch: SpanBatch) -> Int? {
        guard let wanted = table.numberedPrefixes.firstIndex(of: prefix) else { return nil }
        var largest: Int?
        for position in span.attributes.indices {
            guard let entry = numbered[batch.attributes[position].key], entry.prefix == wanted else { continue }
            largest = max(largest ?? 0, entry.number)
        }
        return largest
    }
}
