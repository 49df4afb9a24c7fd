import TelemetryModel

/// Requests written field by field, so that they can be wrong.
enum TestRequests {
    static let traceID = [UInt8](1...16)
    static let spanID = [UInt8](1...8)

    /// A request with one scope, whose spans `body` writes into field 2.
    static func scope(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        var writer = WireWriter()
        writer.message(1) { $0.message(2, body) }
        return writer.bytes
    }

    /// A request whose one resource `body` writes.
    static func resource(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        var writer = WireWriter()
        writer.message(1) { $0.message(1, body) }
        return writer.bytes
    }

    /// A request with one span of valid ids and times, and what `body` adds to it.
    static func span(_ body: (inout WireWriter) -> Void) -> [UInt8] {
        scope { scope in
            scope.message(2) { span in
                valid(&span)
                body(&span)
            }
        }
    }

    /// Ids and times.
    static func valid(_ span: inout WireWriter) {
        span.lengthDelimited(1, traceID)
        span.lengthDelimited(2, spanID)
        span.fixed64(7, 1_000)
        span.fixed64(8, 2_000)
    }

    /// A request with one span, which has one attribute, `k`, of this encoded `AnyValue`.
    static func attribute(_ value: [UInt8]) -> [UInt8] {
        span { span in
            span.message(9) { pair in
                pair.lengthDelimited(1, "k".utf8)
                pair.lengthDelimited(2, value)
            }
        }
    }

    /// A value of `depth` arrays or lists in each other.
    static func nested(_ depth: Int, keyed: Bool = false) -> [UInt8] {
        var value: [UInt8] = []
        for _ in 0..<depth {
            var writer = WireWriter()
            if keyed {
                writer.message(6) { $0.message(1) { $0.lengthDelimited(2, value) } }
            } else {
                writer.message(5) { $0.lengthDelimited(1, value) }
            }
            value = writer.bytes
        }
        return value
    }
}
