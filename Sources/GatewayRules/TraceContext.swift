package import TelemetryModel

/// Who asks, as the W3C's headers tell it.
package struct TraceContext: Equatable, Sendable {
    package var traceID: TraceID
    package var parentSpanID: SpanID
    package var flags: UInt8

    /// Reads `traceparent`; `nil` when it is not one, then a trace of its own begins.
    package init?(traceparent text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].utf8.count == 2, parts[0] != "ff", parts[0] == "00" ? parts.count == 4 : true,
            UInt8(parts[0], radix: 16) != nil, parts[1].utf8.count == 32, parts[2].utf8.count == 16, parts[3].utf8.count == 2,
            let traceID = TraceID(hexadecimal: parts[1]), let spanID = SpanID(hexadecimal: parts[2]),
            let flags = UInt8(parts[3], radix: 16), traceID.isValid, spanID.isValid
        else { return nil }
        self.init(traceID: traceID, parentSpanID: spanID, flags: flags)
    }

    package init(traceID: TraceID, parentSpanID: SpanID, flags: UInt8) {
        self.traceID = traceID
        self.parentSpanID = parentSpanID
        self.flags = flags
    }

    /// The header for a call below the span `spanID`.
    package func traceparent(_ spanID: SpanID) -> String {
        let flags = String(flags, radix: 16)
        return "00-\(traceID.hexadecimal)-\(spanID.hexadecimal)-\(flags.count == 1 ? "0" : "")\(flags)"
    }
}

/// The `baggage` header: what a call carries along for those below it.
package enum Baggage {
    /// Members of a longer header are not looked at.
    private static let membersMax = 180
    private static let valueBytesMax = 256

    /// The value of a member, percent-decoded; `nil` when there is none, or it is too long.
    package static func value(_ name: String, in header: String) -> String? {
        for member in header.split(separator: ",", maxSplits: membersMax).prefix(membersMax) {
            let pair = (member.split(separator: ";", maxSplits: 1).first ?? "").split(separator: "=", maxSplits: 1)
            guard pair.count == 2, trimmed(pair[0]) == name else { continue }
            let text = PercentCoding.decoded(trimmed(pair[1]))
            return text.isEmpty || text.utf8.count > valueBytesMax ? nil : text
        }
        return nil
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var rest = text.drop { $0 == " " || $0 == "\t" }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return rest
    }
}

/// Bytes as `%` and two hexadecimal digits.
package enum PercentCoding {
    package static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: Array(rest.prefix(2)), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
