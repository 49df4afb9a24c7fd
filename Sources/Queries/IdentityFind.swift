package import TelemetryModel

/// Finds traces by what people paste: the whole of a trace's or a span's id, or how one begins.
package enum IdentityFind {
    /// A shorter text would find half of the store.
    package static let digitsMin = 4
    package static let foundMax = 20

    package struct Found: Equatable, Sendable {
        package var traceID: String
        /// When the text is a span's id.
        package var spanID: String?
    }

    /// The digits of an id: lower case, without `0x` and blanks; `nil` when the text is none.
    package static func digits(_ text: some StringProtocol) -> String? {
        var digits = text.lowercased().filter { !$0.isWhitespace && $0 != "-" }
        if digits.hasPrefix("0x") { digits.removeFirst(2) }
        guard (digitsMin...32).contains(digits.utf8.count), digits.utf8.allSatisfy({ Self.isHexadecimal($0) }) else { return nil }
        return digits
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }

    /// Newest first. The whole id is looked up; the beginning of one is looked for.
    package static func find(_ digits: String, _ reader: QueryReader) throws -> [Found] {
        // Short ids are padded with zeros by some clients.
        if let whole = TraceReading.traceID(digits), try TraceReading.count(whole, reader) > 0 { return [Found(traceID: whole.hexadecimal)] }
        if digits.utf8.count == 16 {
            let rows = try reader.rows(
                "SELECT DISTINCT trace_id FROM spans WHERE span_id = ?1 LIMIT \(foundMax)", [.text(digits)])
            if !rows.isEmpty { return rows.map { Found(traceID: $0[0].text ?? "", spanID: digits) } }
        }
        let pattern = QueryValue.text("\(digits)*")
        var found = try reader.rows(
            """
            SELECT trace_id FROM spans WHERE trace_id GLOB ?1 GROUP BY trace_id ORDER BY max(start_time_unix_nano) DESC LIMIT \(foundMax)
            """, [pattern]
        ).map { Found(traceID: $0[0].text ?? "") }
        if found.isEmpty, digits.utf8.count < 16 {
            found = try reader.rows(
                "SELECT trace_id, span_id FROM spans WHERE span_id GLOB ?1 ORDER BY start_time_unix_nano DESC LIMIT \(foundMax)", [pattern]
            ).map { Found(traceID: $0[0].text ?? "", spanID: $0[1].text) }
        }
        return found
    }

    /// Writes `[{"trace_id":…,"span_id":…}]`.
    package static func write(_ digits: String, _ reader: QueryReader, into json: inout JSONWriter) throws {
        json.raw("[")
        for (index, one) in try find(digits, reader).enumerated() {
            json.raw(index > 0 ? ",{\"trace_id\":" : "{\"trace_id\":")
            json.string(one.traceID)
            json.raw(",\"span_id\":")
            (one.spanID.map(QueryValue.text) ?? .null).write(into: &json)
            json.raw("}")
        }
        json.raw("]")
    }
}
