import SegmentFormat
import SpanStore

/// Opens segments for one scan of `spans`, and finds the rows in them that may match. It knows nothing of the scan, so that what lives in
/// a scan may hold it.
struct ScanSegments {
    /// With fewer than one row in so many, a scan does not put whole columns together.
    private static let sparseRows = 16

    let catalog: SegmentCatalog
    let loader: SegmentLoader
    let attributes: [AttributeColumn]
    let filters: [SegmentRows.Filter]
    let calls: StoredCalls?
    let report: ScanReport

    /// Opens a segment and finds the rows that may match, all where there is no list; `nil` when there are none.
    func open(_ entry: SegmentCatalog.Entry) throws -> (segment: SegmentRows, rows: [Int32]?)? {
        guard let segment = try reopen(entry) else { return nil }
        let reader = segment.reader
        if filters.contains(where: segment.isExcluded) {
            report.skipByValues()
            report.close(reader)
            return nil
        }
        var rows = try catalog.scope.flatMap { try segment.rows(of: $0) }
        if rows?.isEmpty == true {
            report.skipByValues()
            report.close(reader)
            return nil
        }
        for filter in filters {
            rows = try segment.rows(filter, among: rows)
            if rows?.isEmpty == true {
                report.skipByValues()
                report.close(reader)
                return nil
            }
        }
        let count = rows?.count ?? reader.spanCount
        report.passed(spans: count)
        segment.isSparse = count * Self.sparseRows < reader.spanCount
        return (segment, rows)
    }

    /// Opens a segment without looking for rows; `nil` when it is not there.
    func reopen(_ entry: SegmentCatalog.Entry) throws -> SegmentRows? {
        let report = report
        return try catalog.open(entry.id, loader, onRead: { report.read(bytes: $0) }).map {
            SegmentRows($0, attributes: attributes, calls: calls, scope: catalog.scope)
        }
    }
}
