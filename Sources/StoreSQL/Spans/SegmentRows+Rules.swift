import SegmentFormat
import TelemetryModel

/// What rows are by the rules of docs/metrics.md, where it is not stored: so it holds of spans that earlier versions stored as well.
extension SegmentRows {
    /// Rows that are shown with another ending than the stored one: where other spans tell of the call, and where a span has no start or end,
    /// which makes it no attempt (2.8). `nil` for none.
    func findShownEndings() throws -> [Int32: SegmentCalls.Ending]? {
        guard reader.directory.column(.derived, "outcome") != nil else { return nil }
        var endings = try foundCalls.get()?.endings ?? [:]
        if !allAreTimed, let outcome = try reader.column(.derived, "outcome") {
            for row in 0..<reader.spanCount where outcome.position(row) >= 0 {
                if try isTimed(times(row)) { continue }
                endings[Int32(truncatingIfNeeded: row)] = SegmentCalls.Ending.none
            }
        }
        return endings.isEmpty ? nil : endings
    }

    /// Rows that are runs; `nil` for none.
    func runRows() throws -> RowBits? { try foundRuns.get() }

    /// A run has a workflow's name and both times, and no parent or `workflow.root` (2.1, 2.8).
    func findRuns() throws -> RowBits? {
        guard let workflow = try reader.column(.derived, "workflow_name") else { return nil }
        let isChild = try reader.presence(.fixed, FixedColumn.parentSpanID)
        let mayBeDeclared = try reader.directory.column(.attribute, SpansColumn.workflowRoot) != nil || overflow() != nil
        let areTimed = allAreTimed
        var runs: RowBits?
        for row in 0..<reader.spanCount where mayBeDeclared || !isChild[row] {
            guard case .text(let name) = workflow.value(row), !name.isEmpty else { continue }
            if isChild[row], try flag(SpansColumn.workflowRoot, row) != true { continue }
            guard try areTimed || isTimed(times(row)) else { continue }
            if runs == nil { runs = RowBits(rowCount: reader.spanCount) }
            runs?.insert(row)
        }
        return runs
    }

    /// An attribute as a flag; `nil` without one, and where it says neither yes nor no.
    func flag(_ key: String, _ row: Int) throws -> Bool? {
        guard let found = try stored(key, row, reader.column(.attribute, key)) else { return nil }
        switch found.value {
        case .bool(let flag): return flag
        case .integer(0): return false
        case .integer(1): return true
        case .text(let range): return FlagText.value(found.bytes[range])
        case .absent, .empty, .integer, .double, .encoded: return nil
        }
    }

    // MARK: Times

    /// The latest time that is known of a row.
    func latestKnown(_ row: Int) throws -> Int64 {
        let (start, end) = try times(row)
        if end != 0 { return end }
        let received = try reader.column(.fixed, FixedColumn.received)?.integer(row)
        return SpanTimes.latestKnown(start: start, end: end, received: received ?? 0)
    }

    /// Rows by it. These and no others.
    func latestKnownRows(_ filter: Filter, _ rows: [Int32]?) throws -> [Int32]? {
        switch ColumnCondition.integers(filter.comparison, filter.argument) {
        case .integers(let range): try (rows ?? allRows).filter { range.contains(try latestKnown(Int($0))) }
        case .integerSet(let set): try (rows ?? allRows).filter { set.contains(try latestKnown(Int($0))) }
        case .nothing, .isNull: []
        default: rows
        }
    }

    /// A row's start and end; 0 where it has none.
    private func times(_ row: Int) throws -> (start: Int64, end: Int64) {
        let start = try startColumn.get()?.integer(row) ?? 0
        return (start, start &+ (try durationColumn.get()?.integer(row) ?? 0))
    }

    private func isTimed(_ times: (start: Int64, end: Int64)) -> Bool { SpanTimes.isTimed(start: times.start, end: times.end) }
}
