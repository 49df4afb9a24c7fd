package import SpanStore
package import TelemetryModel

/// Finds what an order to forget is about by the tables `spans`, `logs` and `span_evals`.
struct SQLForgetFinder: ForgetFinder {
    let folder: StoreFolder
    let keys: ForgetKeys

    func find(_ selection: ForgetSelection) throws -> (traces: Set<TraceID>?, evals: [Int64]) {
        let reader = try SQLReader(folder: folder)
        return try reader.history.snapshot { () throws(StoreError) in
            let search = ForgetSearch(reader, selection, keys)
            let traces = try search.traces()
            let matcher = ForgetMatcher(traces: traces, endedAtOrBefore: selection.endedAtOrBeforeUnixNano)
            return (traces, try search.evals(matcher))
        }
    }

    func namedLogs(_ selection: ForgetSelection) throws -> [Int64: Set<Int>] {
        try ForgetSearch(SQLReader(folder: folder), selection, keys).namedLogs()
    }
}

extension Forgetter {
    /// A forgetter that finds what orders are about by SQL.
    ///
    /// - Parameters:
    ///   - keys: which attributes of log records name sessions and users.
    ///   - willForget: is told the traces before the first of their spans goes, for whoever still holds some in memory.
    package convenience init(
        _ maintenance: StoreMaintenance, keys: ForgetKeys, turns: ReadingTurns = ReadingTurns(),
        willForget: @escaping (Set<TraceID>) -> Void = { _ in }
    ) throws(StoreError) {
        try self.init(
            maintenance, finder: SQLForgetFinder(folder: maintenance.folder, keys: keys), turns: turns, willForget: willForget)
    }
}
