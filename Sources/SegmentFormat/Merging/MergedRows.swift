import TelemetryModel

/// The order of the spans in a merged segment: by service, trace and start. Rows of before are numbered through all inputs.
struct MergedRows {
    /// For each new row the row that it was.
    private(set) var order: [UInt32] = []
    /// Distinct traces, by their earliest start.
    private(set) var traces: [TraceID] = []
    /// For each old row the number of its trace.
    private(set) var traceRanks: [UInt32] = []
    /// For each old row its start.
    private(set) var starts: [Int64] = []

    private struct Row {
        /// Service in the upper half, trace in the lower.
        var group: UInt64
        var start: Int64
        var row: UInt32
    }

    init(_ inputs: [MergeInput], bases: [Int], rowCount: Int) throws {
        starts = [Int64](repeating: 0, count: rowCount)
        traceRanks = [UInt32](repeating: 0, count: rowCount)
        var services = [UInt32](repeating: 0, count: rowCount)
        var serviceNames = ByteStringTable()
        var traceNumbers: [TraceID: UInt32] = [:]
        var found: [TraceID] = []
        var earliest: [Int64] = []
        for (input, base) in zip(inputs, bases) {
            let segment = input.segment
            // The name is the first field of a resource.
            let resources = try segment.entries(of: FixedColumn.resources, fieldCount: SegmentReader.resourceFieldCount)
            let names = try resources.ranges.map { entry throws(SegmentError) -> UInt32 in
                var cursor = try ByteCursor(resources.bytes, range: entry)
                let name = try cursor.prefixedRange()
                let range = WireRange(offset: name.lowerBound, count: name.count)
                return UInt32(truncatingIfNeeded: serviceNames.insert(range, in: resources.bytes.span.bytes).index)
            }
            let traceIDs = try segment.traceIDs()
            // Only of traces of which a row is taken.
            var numbers = [UInt32?](repeating: nil, count: traceIDs.count)
            func number(_ index: Int) -> UInt32 {
                if let known = numbers[index] ?? traceNumbers[traceIDs[index]] {
                    numbers[index] = known
                    return known
                }
                let number = UInt32(found.count)
                traceNumbers[traceIDs[index]] = number
                numbers[index] = number
                found.append(traceIDs[index])
                earliest.append(.max)
                return number
            }
            guard let trace = try segment.transientColumn(.fixed, FixedColumn.traceIndex),
                let start = try segment.transientColumn(.fixed, FixedColumn.start),
                let resource = try segment.transientColumn(.fixed, FixedColumn.resource)
            else { throw SegmentError.damaged("no identities") }
            for row in 0..<segment.spanCount {
                guard let place = input.number(row) else { continue }
                guard let traceIndex = trace.integer(row), numbers.indices.contains(Int(traceIndex)),
                    let resourceIndex = resource.integer(row), names.indices.contains(Int(resourceIndex)),
                    let startTime = start.integer(row)
                else { throw SegmentError.damaged("a span that refers past a table") }
                let number = number(Int(traceIndex))
                starts[base + place] = startTime
                traceRanks[base + place] = number
                services[base + place] = names[Int(resourceIndex)]
                earliest[Int(number)] = min(earliest[Int(number)], startTime)
            }
        }
        rank(found, earliest)
        sort(services)
    }

    /// Numbers the traces by their earliest start.
    private mutating func rank(_ found: [TraceID], _ earliest: [Int64]) {
        let sorted = found.indices.sorted { (earliest[$0], found[$0]) < (earliest[$1], found[$1]) }
        var ranks = [UInt32](repeating: 0, count: found.count)
        for (rank, number) in sorted.enumerated() { ranks[number] = UInt32(rank) }
        traces = sorted.map { found[$0] }
        for row in traceRanks.indices { traceRanks[row] = ranks[Int(traceRanks[row])] }
    }

    private mutating func sort(_ services: [UInt32]) {
        var rows: [Row] = []
        rows.reserveCapacity(starts.count)
        for row in starts.indices {
            rows.append(
                Row(group: UInt64(services[row]) << 32 | UInt64(traceRanks[row]), start: starts[row], row: UInt32(row)))
        }
        rows.sort { left, right in
            if left.group != right.group { return left.group < right.group }
            return left.start != right.start ? left.start < right.start : left.row < right.row
        }
        order = rows.map(\.row)
    }

    /// The table of traces as it is stored.
    var traceBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(traces.count * 16)
        for trace in traces {
            bytes.appendLittleEndian(trace.high)
            bytes.appendLittleEndian(trace.low)
        }
        return bytes
    }
}
