package import SQLite
import TelemetryModel

/// Finds the model calls whose tokens count: wrappers that repeat their children's totals are left out, by operation or because a
/// child of theirs has tokens of its own. So says the column `counts_tokens` of `spans`, by which the view `token_spans` goes; here over the
/// spans of a pass.
package struct TokenCalls {
    /// Operations that repeat their children's tokens.
    package static let wrappers = ["invoke_agent", "invoke_workflow", "create_agent", "chain", "task", "execute_task"]

    /// A span that some span with tokens calls its parent, and that does not lie in the same segment.
    private struct Parent: Hashable {
        var trace: TraceID
        var span: Int64
    }

    /// By segment, the rows with tokens that no row of the segment is a child of.
    private var candidates: [(segment: Int64, rows: [Int32])] = []
    private var parents: Set<Parent> = []

    /// Calls `body` with each segment that has such calls within the bounds; its rows are they.
    package static func each(
        _ pass: SpanPass, _ bounds: SpanPass.Bounds, _ body: (PassedSegment) throws(SQLiteError) -> Void
    ) throws(SQLiteError) {
        try pass.snapshot { () throws(SQLiteError) in
            var calls = TokenCalls()
            try pass.each(bounds) { segment throws(SQLiteError) in try calls.gather(segment) }
            for (id, rows) in calls.candidates {
                guard let segment = try pass.segment(id, rows: rows) else { continue }
                guard let rows = try calls.withoutParents(segment) else {
                    try body(segment)
                    continue
                }
                if !rows.isEmpty, let narrowed = try pass.segment(id, rows: rows) { try body(narrowed) }
            }
        }
    }

    /// For each segment that has such calls their rows; children are looked for in all of these segments.
    ///
    /// - Parameter open: calls its body with the segment, or not when it is not there.
    static func bits(
        _ segments: [Int64], _ open: (Int64, (SegmentRows) throws -> Void) throws -> Void
    ) throws -> TokenCallRows.Bits {
        var calls = TokenCalls()
        for id in segments { try open(id) { try calls.gather(PassedSegment($0, rows: nil)) } }
        var bits: TokenCallRows.Bits = [:]
        for (id, rows) in calls.candidates {
            try open(id) { segment in
                var counted = RowBits(rowCount: segment.reader.spanCount)
                for row in try calls.withoutParents(PassedSegment(segment, rows: rows)) ?? rows { counted.insert(Int(row)) }
                bits[id] = counted
            }
        }
        return bits
    }

    private mutating func gather(_ segment: PassedSegment) throws(SQLiteError) {
        let tokens = try segment.integers("tokens")
        if tokens.isEmpty { return }
        let operation = try segment.texts("operation")
        let isWrapper = operation.texts.map { Self.wrappers.contains($0) }
        var counted: [Int32] = []
        segment.forEachRow { row in
            let number = operation.number(row)
            if tokens[row] != nil && (number < 0 || !isWrapper[number]) { counted.append(Int32(truncatingIfNeeded: row)) }
        }
        if counted.isEmpty { return }
        let isParent = try markParents(segment, counted)
        candidates.append((segment.id, isParent.isEmpty ? counted : counted.filter { !isParent[Int($0)] }))
    }

    /// For each row of the segment whether a counted row is its child; empty when none is.
    private mutating func markParents(_ segment: PassedSegment, _ counted: [Int32]) throws(SQLiteError) -> [Bool] {
        let (spans, parents) = try segment.identities()
        if parents.isEmpty { return [] }
        let (ids, numbers) = try segment.traces()
        var table = RowTable(capacity: segment.spanCount)
        for row in 0..<segment.spanCount { table.insert(row, trace: numbers[row] ?? 0, span: spans[row] ?? 0) }
        var isParent = [Bool](repeating: false, count: segment.spanCount)
        for row in counted {
            guard let parent = parents[Int(row)], let trace = numbers[Int(row)] else { continue }
            if let found = table.first(trace: trace, span: parent, where: { spans[$0] == parent && numbers[$0] == trace }) {
                isParent[found] = true
            } else if ids.indices.contains(Int(trace)) {
                self.parents.insert(Parent(trace: ids[Int(trace)], span: parent))
            }
        }
        return isParent
    }

    /// The rows that no span of another segment is a child of; `nil` when they are all of the segment's.
    private func withoutParents(_ segment: PassedSegment) throws(SQLiteError) -> [Int32]? {
        guard !parents.isEmpty else { return nil }
        let spans = try segment.identities().spans
        let (ids, numbers) = try segment.traces()
        return segment.rows?.filter { row in
            guard let span = spans[Int(row)], let trace = numbers[Int(row)], ids.indices.contains(Int(trace)) else { return true }
            return !parents.contains(Parent(trace: ids[Int(trace)], span: span))
        }
    }
}

/// Rows by trace and span id, in open addressing.
private struct RowTable {
    /// Rows plus one; 0 is free.
    private var slots: [Int32]

    init(capacity: Int) {
        var count = 16
        while count < capacity * 2 { count *= 2 }
        slots = [Int32](repeating: 0, count: count)
    }

    @inline(__always)
    private func slot(_ trace: Int64, _ span: Int64) -> Int {
        let hash = ByteHash.mix(UInt64(bitPattern: span) ^ Self.seed, UInt64(bitPattern: trace) ^ 0x9E37_79B9_7F4A_7C15)
        return Int(truncatingIfNeeded: hash) & (slots.count - 1)
    }

    /// Keeps clients from choosing ids that collide.
    private static let seed = UInt64.random(in: .min ... .max)

    mutating func insert(_ row: Int, trace: Int64, span: Int64) {
        var slot = slot(trace, span)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(truncatingIfNeeded: row + 1)
    }

    func first(trace: Int64, span: Int64, where isWanted: (Int) -> Bool) -> Int? {
        var slot = slot(trace, span)
        while slots[slot] != 0 {
            let row = Int(slots[slot]) - 1
            if isWanted(row) { return row }
            slot = (slot + 1) & (slots.count - 1)
        }
        return nil
    }
}
