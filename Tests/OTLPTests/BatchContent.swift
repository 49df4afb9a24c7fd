import TelemetryModel

/// What a batch says, without where in its bytes it says it: two batches with equal content are the same to whoever reads them.
///
/// Content hashes are left out: they are those of the encoded spans, which may order their fields as they like.
struct BatchContent: Equatable {
    struct Attribute: Equatable {
        var key: [UInt8]
        var kind: AttributeKind
        /// The bytes of a slice; 0 of other kinds.
        var bytes: [UInt8]
        /// The payload of other kinds, so that a NaN equals itself; 0 of slices.
        var payload: UInt64
    }

    struct Event: Equatable {
        var encoded: [UInt8]
        var name: [UInt8]
        var timeUnixNano: Int64
        var attributes: [Attribute]
    }

    struct Resource: Equatable {
        var encoded: [UInt8]
        var schemaURL: [UInt8]
        var attributes: [Attribute]
    }

    struct Scope: Equatable {
        var encoded: [UInt8]
        var name: [UInt8]
        var version: [UInt8]
        var schemaURL: [UInt8]
    }

    struct Span: Equatable {
        var ids: [UInt64]
        var times: [Int64]
        var texts: [[UInt8]]
        var kind: Int32
        var statusCode: Int32
        /// Flags and the three dropped counts.
        var numbers: [UInt32]
        var attributes: [Attribute]
        var events: [Event]
        var links: [[UInt8]]
        var resource: Int
        var scope: Int
    }

    var resources: [Resource]
    var scopes: [Scope]
    var spans: [Span]

    init(_ batch: SpanBatch) {
        let bytes = { (slice: ByteSlice) in Array(batch.bytes(slice)) }
        let attributes = { (range: RecordRange) in
            batch.attributes[range.indices].map { record in
                Attribute(
                    key: bytes(batch.keys[Int(record.key)]), kind: record.kind,
                    bytes: record.kind.isSlice ? bytes(record.slice) : [],
                    payload: record.kind.isSlice ? 0 : record.payload)
            }
        }
        resources = batch.resources.map {
            Resource(encoded: bytes($0.encoded), schemaURL: bytes($0.schemaURL), attributes: attributes($0.attributes))
        }
        scopes = batch.scopes.map {
            Scope(
                encoded: bytes($0.encoded), name: bytes($0.name), version: bytes($0.version), schemaURL: bytes($0.schemaURL))
        }
        spans = batch.spans.map { span in
            Span(
                ids: [span.traceID.high, span.traceID.low, span.spanID.value, span.parentSpanID.value],
                times: [span.startTimeUnixNano, span.endTimeUnixNano],
                texts: [bytes(span.name), bytes(span.traceState), bytes(span.statusMessage)],
                kind: span.kind, statusCode: span.statusCode,
                numbers: [span.flags, span.droppedAttributesCount, span.droppedEventsCount, span.droppedLinksCount],
                attributes: attributes(span.attributes),
                events: batch.events[span.events.indices].map { event in
                    Event(
                        encoded: bytes(event.encoded), name: bytes(event.name), timeUnixNano: event.timeUnixNano,
                        attributes: attributes(event.attributes))
                },
                links: batch.links[span.links.indices].map(bytes), resource: Int(span.resource), scope: Int(span.scope))
        }
    }
}
