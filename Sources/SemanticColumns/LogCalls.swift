package import TelemetryModel

/// Makes spans of the log records that tell of calls, by `events.txt`. Pure: the same record gives the same span, ids and all, so
/// one that is sent again is a duplicate.
package enum LogCalls {
    /// A longer text of an attribute is cut in the span; the record keeps it.
    private static let textBytesMax = 4096
    /// The attribute that tells the derivations where the span came from: 1, or 2 for a record that knows better than its trace.
    package static let markKey = "fusebox.told_by_log"

    /// The spans of a batch's records, in their order; `nil` when none of them is a call.
    package static func spans(of batch: LogBatch, _ table: LogCallTable = .standard) -> SpanBatch? {
        var builder = SpanBatchBuilder()
        var hashes: [UInt32] = []
        var origin: (resource: UInt32, scope: UInt32)?
        for record in batch.records {
            let length = Int(record.eventName.count)
            guard length > 0, let name = table.names.meaning(byteCount: length, equals: { batch.equals(record.eventName, $0) }),
                let events = table.events[name]
            else { continue }
            let call = Call(record, name, batch, table)
            guard let event = events.first(where: call.meets), let span = call.span(event) else { continue }
            if origin?.resource != record.resource { builder.beginResource(resource(record, batch)) }
            if origin?.resource != record.resource || origin?.scope != record.scope {
                let scope = batch.scopes[Int(record.scope)]
                builder.beginScope(name: batch.string(scope.name), version: batch.string(scope.version))
            }
            origin = (record.resource, record.scope)
            builder.append(span)
            hashes.append(UInt32(truncatingIfNeeded: call.digest.second))
        }
        guard origin != nil else { return nil }
        var spans = builder.batch
        // What the builder hashes depends on the other spans of the batch.
        for index in spans.spans.indices { spans.spans[index].contentHash = hashes[index] }
        return spans
    }

    private static func resource(_ record: LogRecord, _ batch: LogBatch) -> AttributeList {
        var attributes = AttributeList()
        let encoded = batch.resources[Int(record.resource)].encoded
        do throws(WireError) {
            var reader = WireReader(batch.bytes.span.bytes, range: encoded.range)
            while let tag = try reader.nextTag() {
                guard tag == WireTag(field: 1, type: .lengthDelimited) else {
                    try reader.skip(tag)
                    continue
                }
                let attribute = try WireAttribute(batch.bytes.span.bytes, reader.lengthDelimited())
                if let value = value(attribute.value, batch) { attributes.append(batch.string(ByteSlice(attribute.key)), value) }
            }
        } catch {
            // It was checked when it came in; one that does not read any more says nothing.
        }
        return attributes
    }

    /// The value of an attribute that is a text, a number or a bool; lists stay in the record.
    private static func value(_ record: AttributeRecord, _ batch: LogBatch) -> AttributeValue? {
        switch record.kind {
        case .string: .string(String(decoding: batch.bytes(record.slice).prefix(textBytesMax), as: UTF8.self))
        case .bool: .bool(record.bool)
        case .int: .int(record.int)
        case .double: .double(record.double)
        case .empty, .array, .keyValueList, .bytes: nil
        }
    }

    /// One record that has the name of an event.
    private struct Call {
        /// The first three words of a hash over all that the record says.
        typealias Digest = (first: UInt64, second: UInt64, third: UInt64)

        let record: LogRecord
        let name: String
        let digest: Digest
        private let scope: String
        private var attributes: [(key: String, value: AttributeValue)] = []
        private let table: LogCallTable

        init(_ record: LogRecord, _ name: String, _ batch: LogBatch, _ table: LogCallTable) {
            self.record = record
            self.name = name
            self.table = table
            scope = batch.string(batch.scopes[Int(record.scope)].name)
            var hashed = SpanID(UInt64(bitPattern: Self.time(record))).bytes + Array(name.utf8)
            hashed += batch.bytes(batch.resources[Int(record.resource)].encoded)
            for slice in batch.attributes[record.attributes.indices] {
                hashed += SpanID(UInt64(slice.count)).bytes
                hashed += batch.bytes(slice).prefix(textBytesMax)
                // Attributes were checked when the batch was decoded; one that does not read says nothing.
                guard let attribute = try? WireAttribute(batch.bytes.span.bytes, slice.range),
                    let value = LogCalls.value(attribute.value, batch)
                else { continue }
                attributes.append((batch.string(ByteSlice(attribute.key)), value))
            }
            digest = Self.digest(hashed)
        }

        private static func digest(_ bytes: [UInt8]) -> Digest {
            let digest = SHA256.digest(bytes)
            let word = { (start: Int) in digest[start..<start + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
            return (word(0), word(8), word(16))
        }

        private static func time(_ record: LogRecord) -> Int64 {
            record.timeUnixNano > 0 ? record.timeUnixNano : record.observedTimeUnixNano
        }

        // MARK: What the record says

        private func value(_ key: String) -> AttributeValue? { attributes.last { $0.key == key }?.value }

        private func first(of keys: [String]) -> AttributeValue? { keys.lazy.compactMap(value).first }

        private func text(_ key: String) -> String? { value(key).flatMap(Self.text) }

        private static func text(_ value: AttributeValue) -> String? {
            switch value {
            case .string(let text): text
            case .bool(let flag): flag ? "true" : "false"
            case .int(let number): "\(number)"
            case .double(let number): Int64(exactly: number).map { "\($0)" } ?? "\(number)"
            case .empty, .array, .keyValueList, .bytes: nil
            }
        }

        private func number(_ key: String) -> Double? {
            switch value(key) {
            case .int(let number): Double(number)
            case .double(let number): number
            case .string(let text): Double(decimal: text)
            default: nil
            }
        }

        private func integer(_ key: String) -> Int64? {
            switch value(key) {
            case .int(let number): number
            case .double(let number): Int64(exactly: number)
            case .string(let text): Int64(text)
            default: nil
            }
        }

        func meets(_ event: LogCallTable.Event) -> Bool {
            event.conditions.allSatisfy { condition in
                switch condition {
                case .scope(let prefix): scope.hasPrefix(prefix)
                case .attribute(let key, let value): text(key) == value
                case .present(let key): value(key) != nil
                case .other(let key, let value): text(key) != value
                }
            }
        }

        // MARK: The span

        /// `nil` for a record without a time, and for one whose trace tells of the call.
        func span(_ event: LogCallTable.Event) -> SpanDescription? {
            let end = Self.time(record)
            let isInsideSpan = record.traceID.isValid && record.spanID.isValid
            guard end > 0, event.knowsBetter || !isInsideSpan else { return nil }
            var span = SpanDescription(traceID: traceID, spanID: SpanID(max(1, digest.first)), name: name)
            span.parentSpanID = record.spanID
            span.endTimeUnixNano = end
            span.startTimeUnixNano = max(1, end - duration(event, upTo: end))
            if hasFailed(event) { span.status = .error(first(of: event.messageKeys).flatMap(Self.text) ?? "") }
            for attribute in attributes { span.attributes.append(attribute.key, attribute.value) }
            for extra in event.extras { append(extra, to: &span.attributes) }
            span.attributes.append(LogCalls.markKey, .int(event.knowsBetter ? 2 : 1))
            return span
        }

        /// The record's own, else one that all records of the same part of a conversation get.
        private var traceID: TraceID {
            if record.traceID.isValid { return record.traceID }
            let session = first(of: table.sessionKeys).flatMap(Self.text) ?? ""
            let turn = first(of: table.turnKeys).flatMap(Self.text) ?? ""
            guard !session.isEmpty || !turn.isEmpty else { return TraceID(high: digest.second, low: max(1, digest.third)) }
            let digest = Self.digest(Array("\(session)\u{0}\(turn)".utf8))
            return TraceID(high: digest.first, low: max(1, digest.second))
        }

        /// Nanoseconds, never more than `end`.
        private func duration(_ event: LogCallTable.Event, upTo end: Int64) -> Int64 {
            guard let milliseconds = event.durationKey.flatMap(number), milliseconds > 0 else { return 0 }
            return Int64(exactly: (milliseconds * 1e6).rounded()).map { min($0, end) } ?? 0
        }

        private func hasFailed(_ event: LogCallTable.Event) -> Bool {
            switch event.failure {
            case .never: false
            case .always: true
            case .attribute(let key, let value): text(key) == value
            }
        }

        private func append(_ extra: LogCallTable.Extra, to attributes: inout AttributeList) {
            switch extra {
            case .set(let key, let text): attributes.append(key, .string(text))
            case .copy(let key, let keys):
                if let value = first(of: keys) { attributes.append(key, value) }
            case .sum(let key, let keys):
                let numbers = keys.compactMap(integer)
                guard !numbers.isEmpty else { return }
                var total: Int64 = 0
                for number in numbers {
                    let (sum, overflow) = total.addingReportingOverflow(number)
                    if overflow { return }
                    total = sum
                }
                attributes.append(key, .int(total))
            }
        }
    }
}
