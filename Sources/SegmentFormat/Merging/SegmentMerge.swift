import TelemetryModel

/// Makes one segment of several, or of some rows of one, column by column: no span is ever put together. The spans are sorted by service,
/// trace and start, so that a trace and a service lie together and neighbours look alike.
///
/// Memory: the inflated streams of the segments that commits wrote (bounded by `MergeLimits.inflatedBytesMax`, merged ones give
/// theirs column by column), one gathered column and its encoded form.
package struct SegmentMerge {
    /// Inflated columns below this many bytes share a stream: a row of their own would cost more than they.
    private static let sharedColumnBytesMax = 1024

    private let inputs: [MergeInput]
    private let segments: [SegmentReader]
    private let columns: MergedColumns
    /// The first row of each input.
    private let bases: [Int]
    private let rowCount: Int
    private let streamSet: Int64
    private let compressor: ZstandardCompressor

    private var shared: [UInt8] = []
    private var streamCounts: [Int] = [0]
    private var entries: [ColumnEntry] = []

    /// - Parameter inputs: in the order of arrival of their spans.
    package init(_ inputs: [MergeInput], streamSet: Int64, compressor: ZstandardCompressor) {
        self.inputs = inputs
        segments = inputs.map(\.segment)
        columns = MergedColumns(segments)
        self.streamSet = streamSet
        self.compressor = compressor
        var bases: [Int] = []
        var count = 0
        for input in inputs {
            bases.append(count)
            count += input.count
        }
        self.bases = bases
        rowCount = count
    }

    /// Encodes the segment. Streams are handed to `emit` with their numbers as they are made, and are not in the result.
    package mutating func encode(emit: (Int, [UInt8]) throws -> Void) throws -> EncodedSegment {
        let plan = try MergedRows(inputs, bases: bases, rowCount: rowCount)
        let encoder = MergedColumnEncoder(order: plan.order)
        var statistics = SegmentStatistics()
        try add(MergedColumnEncoder.table(FixedColumn.traceIDs, plan.traceBytes, count: plan.traces.count), emit)
        try add(encoder.encode(integers: plan.order.map { Int64(plan.traceRanks[Int($0)]) }, FixedColumn.traceIndex), emit)
        try add(encoder.encode(integers: try arrivals(plan.order), FixedColumn.arrival), emit)
        try addIdentities(encoder, emit)
        try addTimes(encoder, plan.starts, &statistics, emit)
        try addTable(FixedColumn.resources, fieldCount: SegmentReader.resourceFieldCount, column: FixedColumn.resource, encoder, emit)
        try addTable(FixedColumn.scopes, fieldCount: SegmentReader.scopeFieldCount, column: FixedColumn.scope, encoder, emit)
        let attributes = MergedAttributes(columns, of: segments)
        try addFixedColumns(encoder, attributes, emit)
        try addAttributes(encoder, attributes, emit)
        try addDerivedColumns(encoder, attributes, emit)
        if !shared.isEmpty { try emit(0, try compressor.compress(shared)) }
        streamCounts[0] = shared.count
        let directory = SegmentDirectory(spanCount: rowCount, streamCounts: streamCounts, columns: entries)
        return EncodedSegment(
            statistics: statistics, spanCount: rowCount,
            directory: try compressor.compress(directory.encoded(streamSet: streamSet)),
            traceFilter: TraceFilter(plan.traces), streams: [])
    }

    // MARK: Gathering

    private func gather(_ column: MergedColumns.Column?) throws -> GatheredColumn {
        var gathered = GatheredColumn(rowCount: rowCount)
        for line in column?.lines ?? [] {
            let input = inputs[line.input]
            let decoded = try input.segment.transientColumn(input.segment.directory.columns[line.line])
            gathered.gather(decoded, base: bases[line.input], of: input.rows)
        }
        return gathered
    }

    private func gather(fixed name: String) throws -> GatheredColumn { try gather(columns.column(.fixed, name)) }

    /// For each new row its place in the order of arrival: how many ordinals of the new segment come before its own.
    private func arrivals(_ order: [UInt32]) throws -> [Int64] {
        var places = [Int64](repeating: 0, count: rowCount)
        for (input, base) in zip(inputs, bases) {
            let first = input.firstOrdinal &- (inputs.first?.firstOrdinal ?? 0)
            let column = try input.segment.transientColumn(.fixed, FixedColumn.arrival)
            for row in 0..<input.segment.spanCount {
                guard let number = input.number(row) else { continue }
                places[base + number] = first &+ (column?.integer(row) ?? Int64(row))
            }
        }
        return order.map { places[Int($0)] }
    }

    // MARK: Columns

    /// Puts a column into a stream of its own, or the shared one.
    private mutating func add(_ column: MergedColumnEncoder.Encoded?, _ emit: (Int, [UInt8]) throws -> Void) throws {
        guard let column else { return }
        var entry = column.entry
        if column.bytes.count <= Self.sharedColumnBytesMax || streamCounts.count == SegmentFormat.streamsMax {
            entry.stream = 0
            entry.offset = shared.count
            shared.append(contentsOf: column.bytes)
        } else {
            entry.stream = streamCounts.count
            streamCounts.append(column.bytes.count)
            try emit(entry.stream, try compressor.compress(column.bytes))
        }
        entries.append(entry)
    }

    private mutating func addIdentities(_ encoder: MergedColumnEncoder, _ emit: (Int, [UInt8]) throws -> Void) throws {
        let spans = try gather(fixed: FixedColumn.spanID)
        try add(encoder.encode(fixed: spans, width: 8, FixedColumn.spanID), emit)
        var rowOfSpan: [UInt64: UInt32] = [:]
        rowOfSpan.reserveCapacity(rowCount)
        for (row, old) in encoder.order.enumerated() {
            rowOfSpan[spans.payloads[Int(old)]] = UInt32(truncatingIfNeeded: row)
        }
        let parents = try gather(fixed: FixedColumn.parentSpanID)
        try add(encoder.encode(parents: parents, rowOfSpan: rowOfSpan, FixedColumn.parentSpanID), emit)
        try add(encoder.encode(fixed: try gather(fixed: FixedColumn.contentHash), width: 4, FixedColumn.contentHash), emit)
    }

    private mutating func addTimes(
        _ encoder: MergedColumnEncoder, _ starts: [Int64], _ statistics: inout SegmentStatistics,
        _ emit: (Int, [UInt8]) throws -> Void
    ) throws {
        let durations = try gather(fixed: FixedColumn.duration)
        let received = try gather(fixed: FixedColumn.received)
        for row in 0..<rowCount {
            statistics.include(
                start: starts[row], end: starts[row] &+ Int64(bitPattern: durations.payloads[row]),
                received: Int64(bitPattern: received.payloads[row]))
        }
        try add(encoder.encode(integers: encoder.order.map { starts[Int($0)] }, FixedColumn.start), emit)
        try add(encoder.encode(durations, .fixed, FixedColumn.duration), emit)
        try add(encoder.encode(received, .fixed, FixedColumn.received), emit)
    }

    /// A table and the column that counts it: equal entries of the inputs become one.
    private mutating func addTable(
        _ table: String, fieldCount: Int, column name: String, _ encoder: MergedColumnEncoder,
        _ emit: (Int, [UInt8]) throws -> Void
    ) throws {
        // Entries as they are stored, one behind the other: just what the merged table is.
        var distinct = ByteStringTable()
        var values = [Int64](repeating: 0, count: rowCount)
        for (input, base) in zip(inputs, bases) {
            guard let column = try input.segment.transientColumn(.fixed, name) else {
                throw SegmentError.damaged("no column of \(name)")
            }
            let used = input.takesAll ? nil : Self.values(column, of: input)
            let (bytes, entries) = try input.segment.entries(of: table, fieldCount: fieldCount)
            let mapped = entries.enumerated().map { index, entry -> Int64 in
                // What only rows that are left out refer to must not be written again.
                if let used, !used.contains(Int64(index)) { return -1 }
                return Int64(distinct.insert(WireRange(offset: entry.lowerBound, count: entry.count), in: bytes.span.bytes).index)
            }
            for row in 0..<input.segment.spanCount {
                guard let number = input.number(row) else { continue }
                guard let index = column.integer(row), mapped.indices.contains(Int(index)) else {
                    throw SegmentError.damaged("a span that refers past a table")
                }
                values[base + number] = mapped[Int(index)]
            }
        }
        try add(MergedColumnEncoder.table(table, distinct.bytes, count: distinct.count), emit)
        try add(encoder.encode(integers: encoder.order.map { values[Int($0)] }, name), emit)
    }

    /// The values of a column in the rows that are taken.
    private static func values(_ column: DecodedColumn, of input: MergeInput) -> Set<Int64> {
        var values: Set<Int64> = []
        for row in 0..<input.segment.spanCount where input.number(row) != nil {
            if let value = column.integer(row) { values.insert(value) }
        }
        return values
    }

    /// Columns that are written in a way of their own.
    private static let specialColumns: Set<String> = [
        FixedColumn.traceIDs, FixedColumn.traceIndex, FixedColumn.arrival, FixedColumn.spanID, FixedColumn.parentSpanID,
        FixedColumn.contentHash, FixedColumn.start, FixedColumn.duration, FixedColumn.received, FixedColumn.resources,
        FixedColumn.resource, FixedColumn.scopes, FixedColumn.scope, FixedColumn.overflow,
    ]

    private mutating func addFixedColumns(
        _ encoder: MergedColumnEncoder, _ attributes: MergedAttributes, _ emit: (Int, [UInt8]) throws -> Void
    ) throws {
        for column in columns.all(.fixed) where !Self.specialColumns.contains(column.name) {
            try add(encoder.encode(try gather(column), .fixed, column.name), emit)
        }
        let overflow = try overflow(attributes)
        try add(encoder.encode(overflow, .fixed, FixedColumn.overflow), emit)
    }

    /// What overflowed before, and the values of keys that get no column now.
    private func overflow(_ attributes: MergedAttributes) throws -> GatheredColumn {
        let before = try gather(fixed: FixedColumn.overflow)
        guard !attributes.overflowing.isEmpty else { return before }
        var additions: [Int: [UInt8]] = [:]
        for name in attributes.overflowing {
            let column = try gather(columns.column(.attribute, name))
            for row in 0..<rowCount where column.kinds[row] != 0 {
                additions[row, default: []].appendPrefixed(name)
                MixedValue.append(column, row, to: &additions[row, default: []])
            }
        }
        var after = GatheredColumn(rowCount: rowCount)
        for row in 0..<rowCount {
            let kept = before.kinds[row] != 0 ? before.blobs[before.blob(row)] : []
            let added = additions[row] ?? []
            if !kept.isEmpty || !added.isEmpty { after.set(row, blob: kept + added) }
        }
        return after
    }

    private mutating func addAttributes(
        _ encoder: MergedColumnEncoder, _ attributes: MergedAttributes, _ emit: (Int, [UInt8]) throws -> Void
    ) throws {
        for column in attributes.columns { try add(encoder.encode(try gather(column), .attribute, column.name), emit) }
    }

    private mutating func addDerivedColumns(
        _ encoder: MergedColumnEncoder, _ attributes: MergedAttributes, _ emit: (Int, [UInt8]) throws -> Void
    ) throws {
        for column in columns.all(.derived) {
            if let source = attributes.alias(of: column) {
                let count =
                    inputs.allSatisfy(\.takesAll)
                    ? column.lines.reduce(0) { $0 + segments[$1.input].directory.columns[$1.line].valueCount }
                    : try gather(columns.column(.attribute, source)).valueCount
                // No row that is left has one: there is no column to stand for either.
                if count == 0 { continue }
                entries.append(
                    ColumnEntry(
                        space: .derived, name: column.name, encoding: .alias, stream: 0, offset: 0, length: 0, valueCount: count,
                        minimum: 0, maximum: 0, valueMask: .max, aliasName: source))
            } else {
                try add(encoder.encode(try gather(column), .derived, column.name), emit)
            }
        }
    }
}
