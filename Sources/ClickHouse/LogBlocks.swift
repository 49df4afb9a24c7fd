package import TelemetryModel

/// Log records as rows of `otel_logs`: of the same records the same bytes.
package struct LogBlocks {
    private let batch: LogBatch
    private let ordinals: [Int64]
    private let received: [Int64]
    private let node: String

    /// - Parameters:
    ///   - ordinals: of each record.
    ///   - received: of each record, nanoseconds since 1970.
    package init(_ batch: LogBatch, ordinals: [Int64], received: [Int64], node: String) {
        self.batch = batch
        self.ordinals = ordinals
        self.received = received
        self.node = node
    }

    /// When each happened: as it says itself, else when a library saw it, else when it was received.
    package static func times(_ batch: LogBatch, received: [Int64]) -> [Int64] {
        zip(batch.records, received).map { record, received in
            if record.timeUnixNano != 0 { return record.timeUnixNano }
            return record.observedTimeUnixNano != 0 ? record.observedTimeUnixNano : received
        }
    }

    /// One block a day, its rows in the order of the table's key.
    ///
    /// - Parameter wanted: columns that the table takes; `nil` for all.
    package func blocks(wanted: Set<String>? = nil) -> [DayBlock] {
        let times = Self.times(batch, received: received)
        let services = batch.resources.map { Array(ResourceIdentity.serviceName(batch.bytes, $0.encoded.range).utf8)[...] }
        let ranks = BlockDays.ranks(services)
        let key = { (row: Int) in
            (times[row] / 300_000_000_000, ranks[Int(batch.records[row].resource)], times[row], ordinals[row])
        }
        let days = BlockDays.parted(times) { key($0) < key($1) }
        let maps = LogMaps(batch)
        return days.map { day, rows in
            var columns = LogBlockColumns(node: node)
            for row in rows {
                columns.append(batch, row, services, maps, time: times[row], ordinal: ordinals[row], received: received[row])
            }
            var block = NativeBlock(rowCount: rows.count, wanted: wanted)
            columns.write(to: &block)
            return DayBlock(day: day, block)
        }
    }
}

/// The maps that many records share.
private struct LogMaps {
    let resources: [NativeMap]
    let scopes: [NativeMap]
    let versions: [ArraySlice<UInt8>]

    init(_ batch: LogBatch) {
        var text = AttributeText()
        func maps(_ slices: [ByteSlice], field: Int) -> [NativeMap] {
            slices.map { slice in
                var map = NativeMap()
                text.map(batch.bytes, slice.range, field: field, into: &map)
                return map
            }
        }
        resources = maps(batch.resources.map(\.encoded), field: 1)
        scopes = maps(batch.scopes.map(\.encoded), field: 3)
        versions = batch.scopes.map { Self.version(batch.bytes, $0.encoded.range) }
    }

    private static func version(_ bytes: [UInt8], _ range: WireRange) -> ArraySlice<UInt8> {
        var version: ArraySlice<UInt8> = []
        do throws(WireError) {
            var reader = WireReader(bytes.span.bytes, range: range)
            while let tag = try reader.nextTag() {
                if tag == WireTag(field: 2, type: .lengthDelimited) {
                    let text = try reader.lengthDelimited()
                    version = bytes[text.offset..<text.end]
                } else {
                    try reader.skip(tag)
                }
            }
        } catch {
            // It was checked when it came in; a scope that does not read any more has no version.
            return []
        }
        return version
    }
}

/// The columns of a block while rows are put in.
private struct LogBlockColumns {
    private let nodeName: [UInt8]
    private var time = NativeNumbers<Int64>("DateTime64(9)")
    private var trace = NativeTexts()
    private var span = NativeTexts()
    private var flags = NativeNumbers<UInt8>("UInt8")
    private var severityText = NativeTexts()
    private var severity = NativeNumbers<UInt8>("UInt8")
    private var service = NativeTexts()
    private var body = NativeTexts()
    private var resourceSchema = NativeTexts()
    private var resource = NativeMaps()
    private var scopeSchema = NativeTexts()
    private var scopeName = NativeTexts()
    private var scopeVersion = NativeTexts()
    private var scope = NativeMaps()
    private var attributes = NativeMaps()
    private var event = NativeTexts()
    private var node = NativeTexts()
    private var ordinal = NativeNumbers<UInt64>("UInt64")
    private var received = NativeNumbers<Int64>("DateTime64(9)")

    private var text = AttributeText()
    private var map = NativeMap()

    init(node: String) {
        nodeName = Array(node.utf8)
    }

    mutating func append(
        _ batch: LogBatch, _ row: Int, _ services: [ArraySlice<UInt8>], _ maps: LogMaps, time: Int64, ordinal: Int64,
        received: Int64
    ) {
        let record = batch.records[row]
        self.time.append(time)
        trace.append(record.traceID.isValid ? record.traceID.hexadecimal.utf8 : "".utf8)
        span.append(record.spanID.isValid ? record.spanID.hexadecimal.utf8 : "".utf8)
        flags.append(UInt8(truncatingIfNeeded: record.flags))
        severityText.append(batch.bytes(record.severityText))
        severity.append(UInt8(clamping: record.severityNumber))
        service.append(services[Int(record.resource)])
        body.append(text.text(record.body, in: batch.bytes))
        resourceSchema.append(batch.bytes(batch.resources[Int(record.resource)].schemaURL))
        resource.append(maps.resources[Int(record.resource)])
        scopeSchema.append(batch.bytes(batch.scopes[Int(record.scope)].schemaURL))
        scopeName.append(batch.bytes(batch.scopes[Int(record.scope)].name))
        scopeVersion.append(maps.versions[Int(record.scope)])
        scope.append(maps.scopes[Int(record.scope)])
        appendAttributes(batch, record)
        event.append(batch.bytes(record.eventName))
        node.append(nodeName)
        self.ordinal.append(UInt64(bitPattern: ordinal))
        self.received.append(received)
    }

    private mutating func appendAttributes(_ batch: LogBatch, _ record: LogRecord) {
        map.clear()
        for slice in batch.attributes[record.attributes.indices] {
            // It was checked when it came in; a pair that does not read any more is left out.
            guard let pair = try? WireAttribute(batch.bytes.span.bytes, slice.range) else { continue }
            text.append(batch.bytes[pair.key.offset..<pair.key.end], pair.value, in: batch.bytes, to: &map)
        }
        attributes.append(map)
    }

    func write(to block: inout NativeBlock) {
        let own: [(String, any NativeData)] = [
            ("Timestamp", time), ("TraceId", trace), ("SpanId", span), ("TraceFlags", flags), ("SeverityText", severityText),
            ("SeverityNumber", severity), ("ServiceName", service), ("Body", body), ("ResourceSchemaUrl", resourceSchema),
            ("ResourceAttributes", resource), ("ScopeSchemaUrl", scopeSchema), ("ScopeName", scopeName),
            ("ScopeVersion", scopeVersion),
            ("ScopeAttributes", scope), ("LogAttributes", attributes), ("EventName", event), (ClickHouseColumns.node, node),
            (ClickHouseColumns.ordinal, ordinal), (ClickHouseColumns.received, received),
        ]
        for (name, data) in own { block.append(name, data) }
    }
}
