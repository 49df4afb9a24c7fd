import SQLite
import SegmentFormat
import TelemetryModel

/// One segment as it is stored, held against itself: its streams inflate to what their checksums say, its columns decode, and its row
/// says of it what can be computed from them.
struct SegmentCheck {
    /// The columns that `init` reads, in order.
    static let columns = "id, span_count, \(SegmentStatistics.columns), stored_bytes, trace_filter, directory"

    let id: Int64
    let spanCount: Int64
    private let statistics: SegmentStatistics
    let storedBytes: Int64
    private let filter: [UInt8]
    private let directory: [UInt8]
    /// The stored frames by row id.
    var streams: [Int64: [UInt8]] = [:]

    init(_ row: Statement) {
        id = row.integer(0)
        spanCount = row.integer(1)
        statistics = SegmentStatistics(row, from: 2)
        storedBytes = row.integer(8)
        filter = row.blob(9)
        directory = row.blob(10)
    }

    /// The number that the rows of its streams go by; its own when the directory cannot be read.
    var streamSet: Int64 { (try? SegmentDirectory.streamSet(ofFrame: directory)) ?? id }

    /// When its spans started, as its row says.
    var startUnixNano: ClosedRange<Int64> {
        min(statistics.startMinimum, statistics.startMaximum)...max(statistics.startMinimum, statistics.startMaximum)
    }

    /// What is wrong; `nil` when all is sound.
    func problem() -> String? {
        do {
            let streams = streams
            let reader = try SegmentReader(id: id, directory: directory) { stream in
                guard let frame = streams[stream] else { throw SegmentError.damaged("stream \(stream) is missing") }
                return frame
            }
            guard reader.directory.streamCounts.count == streams.count else {
                return "it has \(streams.count) streams, and its directory \(reader.directory.streamCounts.count)"
            }
            return try problem(reader)
        } catch {
            return SpanStore.storeError(error).message
        }
    }

    private func problem(_ reader: SegmentReader) throws -> String? {
        for number in reader.directory.streamCounts.indices { _ = try reader.stream(number) }
        let tables = [FixedColumn.traceIDs, FixedColumn.resources, FixedColumn.scopes]
        for entry in reader.directory.columns where !(entry.space == .fixed && tables.contains(entry.name)) {
            _ = try reader.column(entry.space, entry.name)
        }
        _ = (try reader.resources(), try reader.scopes())
        guard reader.spanCount == Int(spanCount) else {
            return "its row counts \(spanCount) spans, and its directory \(reader.spanCount)"
        }
        if try computedStatistics(reader) != statistics { return "its times are not those of its spans" }
        if try TraceFilter(reader.traceIDs()).bytes != filter { return "its trace filter is not that of its spans" }
        let bytes = directory.count + filter.count + streams.values.reduce(0) { $0 + $1.count }
        return bytes == Int(storedBytes) ? nil : "its row counts \(storedBytes) bytes, and it has \(bytes)"
    }

    private func computedStatistics(_ reader: SegmentReader) throws -> SegmentStatistics {
        let start = try reader.column(.fixed, FixedColumn.start)
        let duration = try reader.column(.fixed, FixedColumn.duration)
        let received = try reader.column(.fixed, FixedColumn.received)
        var computed = SegmentStatistics()
        for row in 0..<reader.spanCount {
            let began = start?.integer(row) ?? 0
            computed.include(start: began, end: began &+ (duration?.integer(row) ?? 0), received: received?.integer(row) ?? 0)
        }
        return computed
    }
}
