/// The messages of OTLP that Fusebox reads field by field where it has no decoder of its own: OTLP/JSON and redaction.
package enum MessageName: Int, Sendable, CaseIterable {
    case traceRequest, resourceSpans, scopeSpans, span, event, link, status
    case logsRequest, resourceLogs, scopeLogs, logRecord
    case metricsRequest, resourceMetrics, scopeMetrics, metric, gauge, sum, histogram, exponentialHistogram, summary
    case numberPoint, histogramPoint, exponentialHistogramPoint, buckets, summaryPoint, quantile, exemplar
    case resource, scope, entity, keyValue, anyValue, arrayValue, keyValueList
    /// A message of which no field is known.
    case unknown

    /// The fields of this message.
    package var schema: MessageSchema { MessageSchema.all[rawValue] }
}

/// What a field holds, and how protobuf and JSON write it.
package enum FieldType: Sendable {
    case string
    /// A trace or span id: bytes in protobuf, hexadecimal in JSON.
    case identifier
    /// Base64 in JSON.
    case bytes
    case bool
    case uint32, int32, int64, uint64
    /// Zigzag on the wire.
    case sint32
    case fixed32, fixed64, sfixed64, double
    /// Integers in JSON, by the protocol; names are taken as well.
    case enumeration(EnumerationNames)
    case message(MessageName)
}

/// The names of an enumeration's values, which start with `prefix`; the values are counted from zero.
package struct EnumerationNames: Sendable {
    let prefix: String
    let names: [String]

    /// The value of a name.
    func value(of name: String) -> Int32? {
        guard name.hasPrefix(prefix), let index = names.firstIndex(of: String(name.dropFirst(prefix.count))) else { return nil }
        return Int32(index)
    }
}

/// One field of a message.
package struct FieldSchema: Sendable {
    package let number: Int
    package let type: FieldType
    package let isRepeated: Bool
    /// Whether a default value that was sent means something else than none: members of a oneof, and optional fields.
    package let hasPresence: Bool
    /// `startTimeUnixNano`
    let name: [UInt8]
    /// `start_time_unix_nano`
    let originalName: [UInt8]

    init(_ number: Int, _ name: String, _ type: FieldType, repeated: Bool = false, presence: Bool = false) {
        self.number = number
        self.type = type
        isRepeated = repeated
        hasPresence = presence
        self.name = Array(name.utf8)
        var original: [UInt8] = []
        for byte in name.utf8 {
            if (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) {
                original += [UInt8(ascii: "_"), byte | 0x20]
            } else {
                original.append(byte)
            }
        }
        originalName = original
    }
}

/// The fields of one message, by the order of their numbers.
package struct MessageSchema: Sendable {
    package let fields: [FieldSchema]

    init(_ fields: FieldSchema...) {
        self.fields = fields
    }

    /// The field of that number.
    package func field(number: Int) -> FieldSchema? {
        fields.first { $0.number == number }
    }

    static let all: [MessageSchema] = MessageName.allCases.map(fields(of:))

    private static func fields(of message: MessageName) -> MessageSchema {
        switch message {
        case .traceRequest, .resourceSpans, .scopeSpans, .span, .event, .link, .status: traces(message)
        case .logsRequest, .resourceLogs, .scopeLogs, .logRecord: logs(message)
        case .resource, .scope, .entity, .keyValue, .anyValue, .arrayValue, .keyValueList, .unknown: common(message)
        default: metrics(message)
        }
    }
}
