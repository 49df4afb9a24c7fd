/// Where a scan stands, in plain memory: SQLite's calls for each row and value go by it alone.
struct ScanPlace {
    /// The current segment's columns; `nil` when rows are only counted.
    var columns: UnsafeMutableBufferPointer<ShownColumn>?
    /// Rows of the current segment that may match; `nil` for all.
    var rows: UnsafePointer<Int32>?
    /// The place in `rows`, or the row.
    var position = 0
    /// Rows up to which the scan may go on without being asked.
    var rowCount = 0
    var isAtEnd = true

    /// The current span's number in its segment.
    @inline(__always)
    var row: Int { rows.map { Int($0[position]) } ?? position }
}
