import TelemetryModel

/// Makes one segment of several, or of some rows of one, column by column: no span is ever put together. The spans are sorted by service, trace and start, so
/// that a trace and a service lie together and neighbours look alike.
///
/// Memory: the inflated streams of the segments that commits wrote (bounded by `MergeLimits.inflatedBytesMax`, merged ones give
/// theirs column by column), one gathered column and its encoded form.
struct SegmentMerge {
    /// Inflated columns below this many bytes share a stream: a row of their own would cost more than they.
    private static let sharedColumnBytesMax = 1024

    private let inputs: [MergeInput]
    private let segments: [SegmentReader]
    /// The first row of each input.
    private let bases: [Int]
    private let rowCount: Int
    private let streamSet: Int64
    private let compressor: ZstandardCompressor

    private var shared: [UInt8] = []
    private var streamCounts: [Int] = [0]
    private var entries: [ColumnEntry] = []

    /// - Parameter inputs: in the order of arrival of their spans.
    init(_ inputs: [MergeInput], streamSet: Int64, compressor: ZstandardCompressor) {
        self.inputs = inputs
        segments = inputs.map(\.segment)
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
    mutating func encode(emit: (Int, [UInt8]) throws -> Void) throws -> EncodedSegment {
        let plan = try MergedRows(inputs, bases: bases, rowCount: rowCount)
        let encoder = MergedColumnEncoder(order: plan.order)
        var statistics = SegmentStatistics()
        try add(MergedColumnEncoder.table(FixedColumn.traceIDs, plan.traceBytes, count: plan.traces.count), emit)
        try add(encoder.encode(integers: plan.order.map { Int64(plan.traceRanks[Int($0)]) }, FixedColumn.traceIndex), emit)
        try add(encoder.encode(integers: try arrivals(plan.order), FixedColumn.arrival), emit)
        try addIdentities(encoder, emit)
        try addTimes(encoder, plan.starts, &statistics, emit)
        try addTable(FixedColumn.resources, column: FixedColumn.resource, encoder, emit) {
            try $0.resources().map(\.encodedEntry)
        }
        try addTable(FixedColumn.scopes, column: FixedColumn.scope, encoder, emit) { try $0.scopes().map(\.encodedEntry) }
        let attributes = MergedAttributes(segments)
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

    private func gather(_ space: ColumnSpace, _ name: String) throws -> GatheredColumn {
        var gathered = GatheredColumn(rowCount: rowCount)
        for (input, base) in zip(inputs, bases) {
            guard let column = try input.segment.transientColumn(space, name) else { continue }
            gathered.gather(column, base: base, of: input.rows)
        }
        return gathered
    }

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
        let spans = try gather(.fixed, FixedColumn.spanID)
        try add(encoder.encode(fixed: spans, width: 8, FixedColumn.spanID), emit)
        var rowOfSpan: [UInt64: UInt32] = [:]
        rowOfSpan.reserveCapacity(rowCount)
        for (row, old) in encoder.order.enumerated() {
            rowOfSpan[spans.payloads[Int(old)]] = UInt32(truncatingIfNeeded: row)
        }
        let parents = try gather(.fixed, FixedColumn.parentSpanID)
        try add(encoder.encode(parents: parents, rowOfSpan: rowOfSpan, FixedColumn.parentSpanID), emit)
        try add(encoder.encode(fixed: try gather(.fixed, FixedColumn.contentHash), width: 4, FixedColumn.contentHash), emit)
    }

    private mutating func addTimes(
        _ encoder: MergedColumnEncoder, _ starts: [Int64], _ statistics: inout SegmentStatistics,
        _ emit: (Int, [UInt8]) throws -> Void
    ) throws {
        let durations = try gather(.fixed, FixedColumn.duration)
        let received = try gather(.fixed, FixedColumn.received)
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
        _ table: String, column name: String, _ encoder: MergedColumnEncoder, _ emit: (Int, [UInt8]) throws -> Void,
        entries: (SegmentReader) throws -> [[UInt8]]
    ) throws {
        var numbers: [[UInt8]: Int64] = [:]
        var bytes: [UInt8] = []
        var values = [Int64](repeating: 0, count: rowCount)
        for (input, base) in zip(inputs, bases) {
            guard let column = try input.segment.transientColumn(.fixed, name) else {
                throw SegmentError.damaged("no column of \(name)")
            }
            let used = input.takesAll ? nil : Self.values(column, of: input)
            let mapped = try entries(input.segment).enumerated().map { index, entry -> Int64 in
                // What only rows that are left out refer to must not be written again.
                if let used, !used.contains(Int64(index)) { return -1 }
                if let known = numbers[entry] { return known }
                let number = Int64(numbers.count)
                numbers[entry] = number
                bytes.append(contentsOf: entry)
                return number
            }
            for row in 0..<input.segment.spanCount {
                guard let number = input.number(row) else { continue }
                guard let index = column.integer(row), mapped.indices.contains(Int(index)) else {
                    throw SegmentError.damaged("a span that refers past a table")
                }
                values[base + number] = mapped[Int(index)]
            }
        }
        try add(MergedColumnEncoder.table(table, bytes, count: numbers.count), emit)
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
        for name in MergedAttributes.names(segments, .fixed) where !Self.specialColumns.contains(name) {
            try add(encoder.encode(try gather(.fixed, name), .fixed, name), emit)
        }
        let overflow = try overflow(attributes)
        try add(encoder.encode(overflow, .fixed, FixedColumn.overflow), emit)
    }

    /// What overflowed before, and the values of keys that get no column now.
    private func overflow(_ attributes: MergedAttributes) throws -> GatheredColumn {
        let before = try gather(.fixed, FixedColumn.overflow)
        guard !attributes.overflowing.isEmpty else { return before }
        var additions: [Int: [UInt8]] = [:]
        for name in attributes.overflowing {
            let column = try gather(.attribute, name)
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
        for name in attributes.columns { try add(encoder.encode(try gather(.attribute, name), .attribute, name), emit) }
    }

    private mutating func addDerivedColumns(
        _ encoder: MergedColumnEncoder, _ attributes: MergedAttributes, _ emit: (Int, [UInt8]) throws -> Void
    ) throws {
        for name in MergedAttributes.names(segments, .derived) {
            if let source = attributes.alias(of: name, segments) {
                let count =
                    inputs.allSatisfy(\.takesAll)
                    ? segments.reduce(0) { $0 + ($1.directory.column(.derived, name)?.valueCount ?? 0) }
                    : try gather(.attribute, source).valueCount
                // No row that is left has one: there is no column to stand for either.
                if count == 0 { continue }
                entries.append(
                    ColumnEntry(
                        space: .derived, name: name, encoding: .alias, stream: 0, offset: 0, length: 0, valueCount: count,
                        minimum: 0, maximum: 0, valueMask: .max, aliasName: source))
            } else {
                try add(encoder.encode(try gather(.derived, name), .derived, name), emit)
            }
        }
    }
}

/// Which attribute keys have a column in the merged segment, and which go to the overflow column.
struct MergedAttributes {
    /// In the order of their first appearance.
    let columns: [String]
    let overflowing: [String]

    init(_ inputs: [SegmentReader]) {
        let names = Self.names(inputs, .attribute)
        guard names.count > SegmentFormat.attributeColumnsMax else {
            columns = names
            overflowing = []
            return
        }
        var counts: [ExactText: Int] = [:]
        for input in inputs {
            for entry in input.directory.columns where entry.space == .attribute {
                counts[ExactText(entry.name), default: 0] += entry.valueCount
            }
        }
        // The commonest keys keep theirs; of equal ones those that came first.
        let ranked = names.enumerated().sorted {
            (counts[ExactText($0.element)] ?? 0, $1.offset) > (counts[ExactText($1.element)] ?? 0, $0.offset)
        }
        let kept = Set(ranked.prefix(SegmentFormat.attributeColumnsMax).map { ExactText($0.element) })
        columns = names.filter { kept.contains(ExactText($0)) }
        overflowing = names.filter { !kept.contains(ExactText($0)) }
    }

    /// Names of the columns of a space, each once, in the order of first appearance.
    static func names(_ inputs: [SegmentReader], _ space: ColumnSpace) -> [String] {
        var seen: Set<ExactText> = []
        var names: [String] = []
        for input in inputs {
            for entry in input.directory.columns where entry.space == space && seen.insert(ExactText(entry.name)).inserted {
                names.append(entry.name)
            }
        }
        return names
    }

    /// The attribute that a derived column repeats in all inputs; `nil` when it must hold values itself.
    func alias(of name: String, _ inputs: [SegmentReader]) -> String? {
        var source: String?
        for input in inputs {
            guard let entry = input.directory.column(.derived, name) else { continue }
            guard entry.encoding == .alias, source.map({ $0.isExactly(entry.aliasName) }) ?? true else { return nil }
            source = entry.aliasName
        }
        guard let source, !overflowing.contains(where: source.isExactly) else { return nil }
        for input in inputs where input.directory.column(.derived, name) == nil {
            guard input.directory.column(.attribute, source) == nil else { return nil }
        }
        return source
    }
}

extension StoredResource {
    /// The entry as the table of resources holds it.
    fileprivate var encodedEntry: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendPrefixed(serviceName)
        MergedColumnEncoder.appendPrefixed(encoded, 0..<encoded.count, to: &bytes)
        bytes.appendPrefixed(schemaURL)
        return bytes
    }
}

extension StoredScope {
    /// The entry as the table of scopes holds it.
    fileprivate var encodedEntry: [UInt8] {
        var bytes: [UInt8] = []
        for text in [name, version, schemaURL] { bytes.appendPrefixed(text) }
        MergedColumnEncoder.appendPrefixed(encoded, 0..<encoded.count, to: &bytes)
        return bytes
    }
}
