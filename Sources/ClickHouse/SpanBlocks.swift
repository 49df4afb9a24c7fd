package import TelemetryModel

/// Spans as rows of `otel_traces`: of the same spans the same bytes.
package struct SpanBlocks {
    private let batch: SpanBatch
    private let ordinals: [Int64]
    private let received: [Int64]
    private let derived: [[DerivedValue]]
    private let node: String

    /// - Parameters:
    ///   - ordinals: of each span.
    ///   - received: of each span, nanoseconds since 1970.
    ///   - derived: a column of values for each of `ClickHouseColumns.derived`.
    package init(_ batch: SpanBatch, ordinals: [Int64], received: [Int64], derived: [[DerivedValue]], node: String) {
        self.batch = batch
        self.ordinals = ordinals
        self.received = received
        self.derived = derived
        self.node = node
    }

    /// One block a day, its rows in the order of the table's key.
    ///
    /// - Parameter wanted: columns that the table takes; `nil` for all.
    package func blocks(wanted: Set<String>? = nil) -> [DayBlock] {
        let services = batch.resources.map { Array(ResourceIdentity.serviceName(batch.bytes, $0.encoded.range).utf8)[...] }
        let serviceRanks = BlockDays.ranks(services)
        let nameRanks = BlockDays.ranks(batch.spans.map { batch.bytes($0.name) })
        let key = { (row: Int) in
            let span = batch.spans[row]
            return (
                serviceRanks[Int(span.resource)], nameRanks[row], span.startTimeUnixNano / 1_000_000_000, span.traceID,
                span.spanID, row
            )
        }
        let days = BlockDays.parted(batch.spans.map(\.startTimeUnixNano)) { key($0) < key($1) }
        let maps = SpanMaps(batch)
        return days.map { day, rows in
            var columns = SpanBlockColumns(node: node)
            for row in rows {
                columns.append(batch, row, services, maps, ordinal: ordinals[row], received: received[row])
            }
            var block = NativeBlock(rowCount: rows.count, wanted: wanted)
            columns.write(to: &block)
            for (column, values) in zip(ClickHouseColumns.derived, derived) {
                let isEnding = ClickHouseColumns.endings.contains(column.name)
                block.append(column.name, Self.data(column.kind, rows, isEnding ? timed(values) : values))
            }
            return DayBlock(day: day, block)
        }
    }

    /// What a node shows of endings: a span without a start or an end has none (docs/metrics.md 2.8).
    private func timed(_ endings: [DerivedValue]) -> [DerivedValue] {
        zip(batch.spans, endings).map { span, ending in
            SpanTimes.isTimed(start: span.startTimeUnixNano, end: span.endTimeUnixNano) ? ending : .none
        }
    }

    private static func data(_ kind: ClickHouseColumns.Kind, _ rows: [Int], _ values: [DerivedValue]) -> any NativeData {
        switch kind {
        case .text:
            var texts = NativeTexts()
            for row in rows { if case .text(let text) = values[row] { texts.append(text) } else { texts.append("".utf8) } }
            return texts
        case .integer:
            var integers = NativeOptionals<Int64>("Int64")
            for row in rows { integers.append(values[row].number) }
            return integers
        case .flag:
            var flags = NativeOptionals<UInt8>("UInt8")
            for row in rows { flags.append(values[row].number.map { $0 != 0 ? 1 : 0 }) }
            return flags
        }
    }
}

extension DerivedValue {
    fileprivate var number: Int64? { if case .integer(let integer) = self { integer } else { nil } }
}

/// The maps that many spans share.
private struct SpanMaps {
    let resources: [NativeMap]

    init(_ batch: SpanBatch) {
        var text = AttributeText()
        resources = batch.resources.map { resource in
            var map = NativeMap()
            text.map(batch.bytes, resource.encoded.range, field: 1, into: &map)
            return map
        }
    }
}

/// The columns of a block while rows are put in.
private struct SpanBlockColumns {
    private static let kinds = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"].map { Array($0.utf8) }
    private static let codes = ["Unset", "Ok", "Error"].map { Array($0.utf8) }

    private let nodeName: [UInt8]
    private var time = NativeNumbers<Int64>("DateTime64(9)")
    private var trace = NativeTexts()
    private var span = NativeTexts()
    private var parent = NativeTexts()
    private var state = NativeTexts()
    private var name = NativeTexts()
    private var kind = NativeTexts()
    private var service = NativeTexts()
    private var resource = NativeMaps()
    private var scopeName = NativeTexts()
    private var scopeVersion = NativeTexts()
    private var attributes = NativeMaps()
    private var duration = NativeNumbers<UInt64>("UInt64")
    private var code = NativeTexts()
    private var message = NativeTexts()
    private var eventTimes = NativeLists(NativeNumbers<Int64>("DateTime64(9)"))
    private var eventNames = NativeLists(NativeTexts())
    private var eventAttributes = NativeLists(NativeMaps())
    private var linkTraces = NativeLists(NativeTexts())
    private var linkSpans = NativeLists(NativeTexts())
    private var linkStates = NativeLists(NativeTexts())
    private var linkAttributes = NativeLists(NativeMaps())
    private var node = NativeTexts()
    private var ordinal = NativeNumbers<UInt64>("UInt64")
    private var received = NativeNumbers<Int64>("DateTime64(9)")

    private var text = AttributeText()
    private var map = NativeMap()

    init(node: String) {
        nodeName = Array(node.utf8)
    }

    mutating func append(
        _ batch: SpanBatch, _ row: Int, _ services: [ArraySlice<UInt8>], _ maps: SpanMaps, ordinal: Int64, received: Int64
    ) {
        let record = batch.spans[row]
        time.append(record.startTimeUnixNano)
        trace.append(record.traceID.hexadecimal.utf8)
        span.append(record.spanID.hexadecimal.utf8)
        parent.append(record.parentSpanID.isValid ? record.parentSpanID.hexadecimal.utf8 : "".utf8)
        state.append(batch.bytes(record.traceState))
        name.append(batch.bytes(record.name))
        kind.append(Self.kinds[Self.kinds.indices.contains(Int(record.kind)) ? Int(record.kind) : 0])
        service.append(services[Int(record.resource)])
        resource.append(maps.resources[Int(record.resource)])
        scopeName.append(batch.bytes(batch.scopes[Int(record.scope)].name))
        scopeVersion.append(batch.bytes(batch.scopes[Int(record.scope)].version))
        map.clear()
        for attribute in batch.attributes[record.attributes.indices] {
            text.append(batch.bytes(batch.keys[Int(attribute.key)]), attribute, in: batch.bytes, to: &map)
        }
        attributes.append(map)
        duration.append(UInt64(max(0, record.durationNanoseconds ?? 0)))
        code.append(Self.codes[Self.codes.indices.contains(Int(record.statusCode)) ? Int(record.statusCode) : 0])
        message.append(batch.bytes(record.statusMessage))
        appendEvents(batch, record)
        appendLinks(batch, record)
        node.append(nodeName)
        self.ordinal.append(UInt64(bitPattern: ordinal))
        self.received.append(received)
    }

    private mutating func appendEvents(_ batch: SpanBatch, _ record: SpanRecord) {
        let events = batch.events[record.events.indices]
        for event in events {
            eventTimes.elements.append(event.timeUnixNano)
            eventNames.elements.append(batch.bytes(event.name))
            text.map(batch.bytes, event.encoded.range, field: 3, into: &map)
            eventAttributes.elements.append(map)
        }
        eventTimes.endRow(events.count)
        eventNames.endRow(events.count)
        eventAttributes.endRow(events.count)
    }

    private mutating func appendLinks(_ batch: SpanBatch, _ record: SpanRecord) {
        let links = batch.links[record.links.indices]
        for link in links {
            let found = EncodedLink(batch.bytes, link.range)
            linkTraces.elements.append(found.trace?.hexadecimal.utf8 ?? "".utf8)
            linkSpans.elements.append(found.span?.hexadecimal.utf8 ?? "".utf8)
            linkStates.elements.append(found.state)
            text.map(batch.bytes, link.range, field: 4, into: &map)
            linkAttributes.elements.append(map)
        }
        linkTraces.endRow(links.count)
        linkSpans.endRow(links.count)
        linkStates.endRow(links.count)
        linkAttributes.endRow(links.count)
    }

    func write(to block: inout NativeBlock) {
        let own: [(String, any NativeData)] = [
            ("Timestamp", time), ("TraceId", trace), ("SpanId", span), ("ParentSpanId", parent), ("TraceState", state),
            ("SpanName", name),
            ("SpanKind", kind), ("ServiceName", service), ("ResourceAttributes", resource), ("ScopeName", scopeName),
            ("ScopeVersion", scopeVersion), ("SpanAttributes", attributes), ("Duration", duration), ("StatusCode", code),
            ("StatusMessage", message), ("Events.Timestamp", eventTimes), ("Events.Name", eventNames),
            ("Events.Attributes", eventAttributes), ("Links.TraceId", linkTraces), ("Links.SpanId", linkSpans),
            ("Links.TraceState", linkStates), ("Links.Attributes", linkAttributes), (ClickHouseColumns.node, node),
            (ClickHouseColumns.ordinal, ordinal), (ClickHouseColumns.received, received),
        ]
        for (name, data) in own { block.append(name, data) }
    }
}

/// What a `Span.Link` says, which was checked when it came in.
private struct EncodedLink {
    private(set) var trace: TraceID?
    private(set) var span: SpanID?
    private(set) var state: ArraySlice<UInt8> = []

    init(_ bytes: [UInt8], _ range: WireRange) {
        do throws(WireError) {
            var reader = WireReader(bytes.span.bytes, range: range)
            while let tag = try reader.nextTag() {
                switch (tag.field, tag.type) {
                case (1, .lengthDelimited):
                    let id = try reader.lengthDelimited()
                    if id.count == 16 { trace = TraceID(high: Self.word(bytes, id.offset), low: Self.word(bytes, id.offset + 8)) }
                case (2, .lengthDelimited):
                    let id = try reader.lengthDelimited()
                    if id.count == 8 { span = SpanID(Self.word(bytes, id.offset)) }
                case (3, .lengthDelimited):
                    let text = try reader.lengthDelimited()
                    state = bytes[text.offset..<text.end]
                default: try reader.skip(tag)
                }
            }
        } catch {
            return
        }
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        bytes[offset..<offset + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
