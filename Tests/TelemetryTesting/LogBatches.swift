package import TelemetryModel

/// Batches of log records for the tests.
package enum LogBatches {
    package struct Description {
        package var time: Int64 = 0
        package var observed: Int64 = 0
        package var trace: UInt64 = 0
        package var span: UInt64 = 0
        package var severity: Int32 = 9
        package var event = ""
        package var body: AttributeValue = .empty
        package var attributes: AttributeList = [:]

        package init(
            time: Int64 = 0, observed: Int64 = 0, trace: UInt64 = 0, span: UInt64 = 0, severity: Int32 = 9, event: String = "",
            body: AttributeValue = .empty, attributes: AttributeList = [:]
        ) {
            self.time = time
            self.observed = observed
            self.trace = trace
            self.span = span
            self.severity = severity
            self.event = event
            self.body = body
            self.attributes = attributes
        }
    }

    /// Records of every kind: with and without times, ids and severities, with bodies of each type.
    package static let everything: [Description] = [
        .init(
            time: 3_000, observed: 4_000, trace: 1, span: 5, severity: 17, event: "exception", body: "boom",
            attributes: ["exception.type": "E", "n": 1, "list": ["a", 2.5], "map": ["k": true]]),
        .init(time: 1_000, severity: -3, body: 42),
        .init(observed: 2_500, severity: 24, body: ["a": [1, "x"]]),
        .init(severity: 0, body: .bytes([1, 2, 3])),
        .init(time: .max, trace: 2, span: .max, body: true),
        .init(time: 5, body: ""),
        .init(time: 6, body: 1.5),
    ]

    /// The records of one service.
    package static func of(_ records: [Description], service: String = "svc") -> LogBatch {
        var batch = LogBatch(bytes: [])
        func put(_ bytes: [UInt8]) -> ByteSlice {
            let offset = batch.bytes.count
            batch.bytes += bytes
            return ByteSlice(WireRange(offset: offset, count: bytes.count))
        }
        var resource = WireWriter()
        resource.attributes(1, ["service.name": .string(service)])
        var resourceRecord = ResourceRecord()
        resourceRecord.encoded = put(resource.bytes)
        batch.resources = [resourceRecord]
        var scope = ScopeRecord()
        scope.name = put(Array("logger".utf8))
        batch.scopes = [scope]
        for description in records {
            var record = LogRecord()
            record.timeUnixNano = description.time
            record.observedTimeUnixNano = description.observed
            if description.trace != 0 { record.traceID = TraceID(high: description.trace, low: 7) }
            record.spanID = SpanID(description.span)
            record.severityNumber = description.severity
            record.severityText = put(Array("S\(description.severity)".utf8))
            record.eventName = put(Array(description.event.utf8))
            var value = WireWriter()
            value.anyValue(description.body)
            let encoded = put(value.bytes)
            if let read = try? WireAttribute.value(batch.bytes.span.bytes, encoded.range) { record.body = read }
            let start = batch.attributes.count
            for element in description.attributes.elements {
                var pair = WireWriter()
                pair.lengthDelimited(1, element.key.utf8)
                pair.message(2) { $0.anyValue(element.value) }
                batch.attributes.append(put(pair.bytes))
            }
            record.attributes = RecordRange(start: UInt32(start), count: UInt32(batch.attributes.count - start))
            batch.records.append(record)
        }
        return batch
    }
}
