import TelemetryModel

/// Makes one segment of several, column by column: no span is ever put together. The spans are sorted by service, trace and start, so
/// that a trace and a service lie together and neighbours look alike.
///
/// Memory: the inflated streams of the segments that commits wrote (bounded by `MergeLimits.inflatedBytesMax`, merged ones give
/// theirs column by column), one gathered column and its encoded form.
struct SegmentMerge {
    /// Inflated columns below this many bytes share a stream: a row of their own would cost more than they.
    private static let sharedColumnBytesMax = 1024

    private let inputs: [SegmentReader]
    /// The first row of each input.
    private let bases: [Int]
    private let rowCount: Int
    private let streamSet: Int64
    private let compressor: ZstandardCompressor

    private var shared: [UInt8] = []
    private var streamCounts: [Int] = [0]
    private var entries: [ColumnEntry] = []

    /// - Parameter inputs: in the order of arrival of their spans.
    init(_ inputs: [SegmentReader], streamSet: Int64, compressor: ZstandardCompressor) {
        self.inputs = inputs
        self.streamSet = streamSet
        self.compressor = compressor
        var bases: [Int] = []
        var count = 0
        for input in inputs {
            bases.append(count)
            count += input.spanCount
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
        let attributes = MergedAttributes(inputs)
        try addFixedColumns(encoder, attributes, emit)
        try addAttributes(encoder, attributes, emit)
        try addDerivedColumns(encoder, attributes, emit)
        if !shared.isEmpty { try emit(0, try compressor.compress(shared)) }
        streamCounts[0] = shared.count
        let directory = SegmentDirectory(spanCount: rowCount, streamCounts: streamCounts, columns: entries)
        return EncodedSegment(
            statistics: statistics, spanCount: rowCount, directory: try compressor.compress(directory.encoded(streamSet: streamSet)),
            traceFilter: TraceFilter(plan.traces), streams: [])
    }

    // MARK: Gathering

    private func gather(_ space: ColumnSpace, _ name: String) throws -> GatheredColumn {
        var gathered = GatheredColumn(rowCount: rowCount)
        for (input, base) in zip(inputs, bases) {
            guard let column = try input.transientColumn(space, name) else { continue }
            gathered.gather(column, base: base, spanCount: input.spanCount)
        }
        return gathered
    }

    /// For each new row its place in the order of arrival: the inputs one after the other, each in its own order.
    private func arrivals(_ order: [UInt32]) throws -> [Int64] {
        var places = (0..<Int64(rowCount)).map { $0 }
        for (input, base) in zip(inputs, bases) {
            guard let column = try input.transientColumn(.fixed, FixedColumn.arrival) else { continue }
            for row in 0..<input.spanCount { places[base + row] = Int64(base) + (column.integer(row) ?? Int64(row)) }
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
            let mapped = try entries(input).map { entry -> Int64 in
                if let known = numbers[entry] { return known }
                let number = Int64(numbers.count)
                numbers[entry] = number
                bytes.append(contentsOf: entry)
                return number
            }
            guard let column = try input.transientColumn(.fixed, name) else { throw SegmentError.damaged("no column of \(name)") }
            for row in 0..<input.spanCount {
                guard let index = column.integer(row), mapped.indices.contains(Int(index)) else {
                    throw SegmentError.damaged("a span that refers past a table")
                }
                values[base + row] = mapped[Int(index)]
            }
        }
        try add(MergedColumnEncoder.table(table, bytes, count: numbers.count), emit)
        try add(encoder.encode(integers: encoder.order.map { values[Int($0)] }, name), emit)
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
        for name in MergedAttributes.names(inputs, .fixed) where !Self.specialColumns.contains(name) {
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
        for name in MergedAttributes.names(inputs, .derived) {
            if let source = attributes.alias(of: name, inputs) {
                let count = inputs.reduce(0) { $0 + ($1.directory.column(.derived, name)?.valueCount ?? 0) }
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
