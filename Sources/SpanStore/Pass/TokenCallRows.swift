import SQLite
import TelemetryModel

/// The rows whose tokens count, by segment: what the column `counts_tokens` shows. Found when first asked for.
///
/// A scan of some traces looks at their segments alone; one of all spans looks at all, and what it found serves the connection until the
/// file changes.
final class TokenCallRows {
    /// By segment; none for segments without such rows.
    typealias Bits = [Int64: RowBits]

    private let catalog: SegmentCatalog
    private let loader: SegmentLoader
    private let traces: Set<TraceID>?
    private let report: ScanReport
    private var found: Bits?

    /// - Parameter traces: those that will be asked for; `nil` for all.
    init(_ catalog: SegmentCatalog, _ loader: SegmentLoader, traces: Set<TraceID>?, report: ScanReport) {
        self.catalog = catalog
        self.loader = loader
        self.traces = traces
        self.report = report
    }

    /// Such rows of a segment; `nil` when there are none.
    func bits(of segment: Int64) throws -> RowBits? {
        if let found { return found[segment] }
        let all = try catalog.tokenCalls ?? find()
        found = all
        return all[segment]
    }

    private func find() throws -> Bits {
        let entries = catalog.entries.filter { entry in
            traces?.contains { entry.filter.mayContain(hash: TraceFilter.hash($0)) } ?? true
        }
        let bits = try TokenCalls.bits(entries.map(\.id)) { id, body in
            let onRead = { [report] (_: Int, bytes: Int) in report.read(bytes: bytes) }
            guard let reader = try catalog.open(id, loader, onRead: onRead) else { return }
            try body(SegmentRows(reader, attributes: []))
            report.close(reader)
        }
        if traces == nil { catalog.tokenCalls = bits }
        return bits
    }
}
