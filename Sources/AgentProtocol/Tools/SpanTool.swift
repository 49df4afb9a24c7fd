import Queries
import TelemetryModel

/// `get_span`: one span with everything that it came with.
enum SpanTool {
    static let tool = Tool(
        name: "get_span", title: "One span whole",
        purpose: """
            Read one span: attributes (messages, arguments, results), resource, events (exceptions with their stack traces) and links. Long \
            texts are cut; ask again with attribute and offset to read one of them through.
            """,
        parameters: [
            Parameter.traceID,
            Parameter("span_id", .text, "16 hexadecimal digits, as get_trace gives it.", isRequired: true),
            Parameter("attribute", .text, "Give only this attribute's text, from offset on."),
            Parameter("offset", .integer(0...1_000_000_000), "Characters of the attribute's text to step over.", fallback: .integer(0)),
            Parameter("text_max", .integer(100...10_000), "Characters of each text.", fallback: .integer(2000)),
        ],
        output: [
            "type": "object",
            "properties": [
                "span": AnswerSchema.value("object", "The span's columns, with attributes, resource_attributes, events and links."),
                "left_out": [
                    "type": "array", "items": ["type": "string"],
                    "description": "Attributes that did not fit; read each with the argument attribute.",
                ],
                "attribute": AnswerSchema.value("string", "The attribute that was asked for."),
                "text": AnswerSchema.value("string", "Its text from offset on."),
                "length": AnswerSchema.value("integer", "Characters of its whole text."),
                "next_offset": AnswerSchema.nextOffset,
            ],
        ],
        run: run)

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        let id = try call.arguments.traceID()
        let spanText = call.arguments.text("span_id") ?? ""
        guard let span = SpanID(hexadecimal: spanText) else {
            throw QueryError.invalid("'\(spanText.prefix(100))' is not a span id: 16 hexadecimal digits, as get_trace gives them")
        }
        let attribute = call.arguments.text("attribute")
        let (offset, textMax) = (call.arguments.integer("offset"), call.arguments.integer("text_max"))
        return try await call.read(of: .trace(id.hexadecimal)) { reader in
            var json = JSONWriter()
            try TraceReading.write(id, span: span, reader, into: &json)
            // What the store wrote is JSON; nesting past the parser's depth is the only text that it may refuse.
            guard let value = try? JSONValue.parse(json.bytes[...], keepsDigits: true) else {
                throw QueryError.tooLarge("the span nests deeper than can be shown here; query_sql gives its columns as text")
            }
            guard let attribute else { return whole(value, textMax) }
            return try piece(of: attribute, value, offset, textMax)
        }
    }

    private static func piece(of attribute: String, _ span: JSONValue, _ offset: Int, _ textMax: Int) throws(QueryError) -> JSONValue {
        guard let found = span["attributes"]?[attribute] ?? span["resource_attributes"]?[attribute] else {
            throw .notFound("the span has no attribute '\(attribute.prefix(200))'; get_span without attribute lists them")
        }
        let text = found.text ?? found.line
        let length = text.unicodeScalars.count
        let piece = text.unicodeScalars.dropFirst(offset).prefix(textMax)
        let next = offset + piece.count
        return [
            "attribute": .string(attribute), "text": .string(String(piece)), "length": .integer(Int64(length)),
            "next_offset": next < length ? .integer(Int64(next)) : .null,
        ]
    }

    /// Members of a span beside its attributes that are lists or objects.
    private static let parts = ["attributes", "resource_attributes", "events", "links"]

    private static func whole(_ span: JSONValue, _ textMax: Int) -> JSONValue {
        guard case .object(let members) = span else { return ["span": span, "left_out": []] }
        var leftOut: [JSONValue] = []
        var left = Page.bytesMax
        var shown: [JSONValue.Member] = []
        // Plain columns first, then what may be long; nulls tell nothing.
        for member in members where !parts.contains(member.name) && member.value != .null {
            shown.append(.init(member.name, ClippedText.of(member.value, max: textMax)))
        }
        left -= JSONValue.object(shown).line.utf8.count
        for name in parts {
            guard let part = span[name] else { continue }
            switch part {
            case .object(let own):
                var kept: [JSONValue.Member] = []
                for member in own {
                    let value = ClippedText.of(member.value, max: textMax)
                    let size = member.name.utf8.count + value.line.utf8.count + 4
                    guard size <= left else {
                        leftOut.append(.string(member.name))
                        continue
                    }
                    left -= size
                    kept.append(.init(member.name, value))
                }
                shown.append(.init(name, .object(kept)))
            case .array(let own):
                var page = Page(bytesMax: max(1, left))
                var count = 0
                for value in own.map({ ClippedText.of($0, max: textMax) }) where value.line.utf8.count <= left && page.append(value) { count += 1 }
                left -= JSONValue.array(page.rows).line.utf8.count
                shown.append(.init(name, .array(page.rows)))
                if count < own.count { leftOut.append(.string("\(own.count - count) of \(own.count) \(name)")) }
            default: shown.append(.init(name, part))
            }
        }
        return ["span": .object(shown), "left_out": .array(Array(leftOut.prefix(leftOutMax)))]
    }

    /// Names of attributes that are told to be left out.
    private static let leftOutMax = 100
}
