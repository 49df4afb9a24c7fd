package import TelemetryModel

/// Evals as `fusebox eval export` writes them: all columns in a fixed order, so that an import knows them for what they are and takes each value as it
/// stands, where the forms of other tools are trimmed and guessed at.
package enum EvalForm {
    /// Fields of a row, in the order of JSON members and of a table's header.
    package static let columns = [
        "eval_id", "run_id", "example_id", "name", "score", "label", "explanation", "annotator", "annotator_kind", "trace_id",
        "span_id",
        "session_id", "response_id", "error", "dataset", "git_revision", "metadata", "timestamp", "source",
    ]

    // MARK: Writing

    /// A row as an object, for a line of JSON.
    package static func json(_ row: EvalRow) -> JSONValue {
        .object(
            zip(columns, texts(row)).map { column, text in
                switch column {
                case "score": .init(column, .optional(row.score))
                case "metadata": .init(column, metadata(row.metadata))
                default: .init(column, .optional(text))
                }
            })
    }

    /// The line of a table's header.
    package static let header = columns.joined(separator: ",")

    /// A row as a line of a table, as RFC 4180 has it. What is missing is empty, so an empty text comes back as missing.
    package static func line(_ row: EvalRow) -> String {
        texts(row).map { cell($0 ?? "") }.joined(separator: ",")
    }

    private static func texts(_ row: EvalRow) -> [String?] {
        [
            row.evalID, row.runID, row.exampleID, row.name, row.score.map { JSONValue.double($0).line }, row.label,
            row.explanation, row.annotator,
            row.annotatorKind, row.traceID?.hexadecimal, row.spanID?.hexadecimal, row.sessionID, row.responseID, row.error,
            row.dataset,
            row.gitRevision, row.metadata, row.timeUnixNano.map(time), row.source.rawValue,
        ]
    }

    private static func cell(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { $0 != UInt8(ascii: ",") && $0 != UInt8(ascii: "\"") && $0 != 0x0A && $0 != 0x0D }
        guard !isPlain else { return text }
        // Byte by byte: an accent behind a quote makes another character of it.
        let quoted = text.utf8.flatMap { $0 == UInt8(ascii: "\"") ? [$0, $0] : [$0] }
        return "\"" + String(decoding: quoted, as: UTF8.self) + "\""
    }

    /// An object where that says the same, else the text.
    private static func metadata(_ text: String?) -> JSONValue {
        guard let text else { return .null }
        guard let value = try? JSONValue.parse(Array(text.utf8)[...]), case .object = value, value.line == text else {
            return .string(text)
        }
        return value
    }

    /// ISO 8601 to the nanosecond; digits where a year is beyond what that can say.
    private static func time(_ unixNano: Int64) -> String {
        let rest = (unixNano % 1_000_000 + 1_000_000) % 1_000_000
        let digits = String(rest)
        let text =
            TimeText.iso8601(unixNano: unixNano).dropLast() + String(repeating: "0", count: 6 - digits.count) + digits + "Z"
        return TimeText.unixNano(iso8601: text) == unixNano ? text : "\(unixNano)"
    }

    // MARK: Reading

    /// The row of an object with just these members, in this order; `nil` for any other object.
    package static func row(_ members: [JSONValue.Member]) throws(EvalReader.Refusal) -> EvalRow? {
        guard members.count == columns.count, zip(members, columns).allSatisfy({ $0.name == $1 }) else { return nil }
        var texts: [String: String] = [:]
        for member in members {
            switch member.value {
            case .null: continue
            case .string(let text) where text.isEmpty: continue
            case .string(let text): texts[member.name] = text
            case .integer, .double, .digits, .object: texts[member.name] = member.value.line
            case .bool, .array: throw EvalReader.Refusal(message: "its \(member.name) is neither a text nor a number")
            }
        }
        guard let name = texts["name"] else { throw EvalReader.Refusal(message: "it has no name of what was judged") }
        var row = EvalRow(name: name)
        row.evalID = texts["eval_id"]
        row.runID = texts["run_id"]
        row.exampleID = texts["example_id"]
        row.score = try number(texts["score"])
        row.label = texts["label"]
        row.explanation = texts["explanation"]
        row.annotator = texts["annotator"]
        row.annotatorKind = texts["annotator_kind"]
        row.traceID = try identity(texts["trace_id"], "trace id") { TraceID(hexadecimal: $0) }
        row.spanID = try identity(texts["span_id"], "span id") { SpanID(hexadecimal: $0) }
        row.sessionID = texts["session_id"]
        row.responseID = texts["response_id"]
        row.error = texts["error"]
        row.dataset = texts["dataset"]
        row.gitRevision = texts["git_revision"]
        row.metadata = texts["metadata"]
        row.timeUnixNano = try identity(texts["timestamp"], "timestamp") { Int64($0) ?? TimeText.unixNano(iso8601: $0) }
        row.source = try identity(texts["source"], "source") { EvalRow.Source(rawValue: $0) } ?? .file
        return row
    }

    private static func number(_ text: String?) throws(EvalReader.Refusal) -> Double? {
        try identity(text, "score") { Double($0).flatMap { $0.isFinite ? $0 : nil } }
    }

    private static func identity<Value>(
        _ text: String?, _ what: String, _ read: (String) -> Value?
    ) throws(EvalReader.Refusal) -> Value? {
        guard let text else { return nil }
        guard let value = read(text) else { throw EvalReader.Refusal(message: "its \(what) '\(text.prefix(80))' is none") }
        return value
    }
}
