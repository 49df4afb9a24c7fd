import Queries
import TelemetryModel

/// The rows of a list: a name, a kind and a sentence for each column. The schema that a tool shows and the rows that it gives come from
/// the same one.
struct RowShape: Sendable {
    enum Kind: Sendable {
        case text, integer, number
        /// 0 or 1 in the store.
        case flag
        /// Nanoseconds since 1970, given as ISO 8601.
        case time
        /// Nanoseconds, given as milliseconds.
        case milliseconds
    }

    typealias Column = (name: String, kind: Kind, purpose: String)

    let columns: [Column]

    init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Characters of one text in a list; `get_span` gives the whole.
    private static let textMax = 400

    /// Each column may be null.
    var schema: JSONValue {
        let properties = columns.map { column in
            let type =
                switch column.kind {
                case .text, .time: "string"
                case .integer: "integer"
                case .number, .milliseconds: "number"
                case .flag: "boolean"
                }
            return JSONValue.Member(column.name, ["type": [.string(type), "null"], "description": .string(column.purpose)])
        }
        return ["type": "object", "properties": .object(properties), "required": .array(columns.map { .string($0.name) })]
    }

    /// A row of values in the order of the columns.
    func row(_ values: [QueryValue]) -> JSONValue {
        .object(zip(columns, values).map { JSONValue.Member($0.name, Self.shown($1, $0.kind)) })
    }

    private static func shown(_ value: QueryValue, _ kind: Kind) -> JSONValue {
        switch (kind, value) {
        case (_, .null): .null
        case (.time, .integer(let time)): .string(TimeText.iso8601(unixNano: time))
        case (.milliseconds, .integer(let nanoseconds)): .double((Double(nanoseconds) / 1e3).rounded() / 1e3)
        case (.flag, .integer(let flag)): .bool(flag != 0)
        case (_, .integer(let integer)): .integer(integer)
        case (.milliseconds, .double(let nanoseconds)): .double((nanoseconds / 1e3).rounded() / 1e3)
        case (_, .double(let double)): .double(double)
        case (_, .text(let text)): .string(ClippedText.of(text, max: textMax))
        case (_, .blob(let bytes)): .string("\(bytes.count) bytes")
        }
    }
}

/// Text that is cut where an answer must stay short, and says so.
enum ClippedText {
    /// The text, or its first `max` characters and how many are missing. Characters are Unicode scalars.
    static func of(_ text: String, max: Int) -> String {
        // A scalar is one byte at least, so a short text is not counted.
        guard text.utf8.count > max else { return text }
        let scalars = text.unicodeScalars
        let head = scalars.prefix(max)
        let missing = scalars.count - head.count
        return missing > 0 ? String(head) + "… (\(missing) more characters)" : text
    }

    /// The value with each of its texts cut so.
    static func of(_ value: JSONValue, max: Int) -> JSONValue {
        switch value {
        case .string(let text): .string(of(text, max: max))
        case .array(let values): .array(values.map { of($0, max: max) })
        case .object(let members): .object(members.map { JSONValue.Member($0.name, of($0.value, max: max)) })
        case .null, .bool, .integer, .double, .digits: value
        }
    }
}

/// Rows up to a number of bytes: an answer must fit into what a model reads.
struct Page {
    /// Bytes of the rows of one answer, as JSON.
    static let bytesMax = 20 << 10

    private(set) var rows: [JSONValue] = []
    private var bytes = 0
    private let bytesMax: Int

    init(bytesMax: Int = Page.bytesMax) {
        self.bytesMax = bytesMax
    }

    /// Adds a row, or says `false` when it does not fit. The first always does: its texts are short.
    mutating func append(_ row: JSONValue) -> Bool {
        let size = row.line.utf8.count + 1
        guard rows.isEmpty || bytes + size <= bytesMax else { return false }
        rows.append(row)
        bytes += size
        return true
    }
}

/// Schemas of answers.
enum AnswerSchema {
    /// An object with all of these members.
    static func object(_ members: [(String, JSONValue)]) -> JSONValue {
        [
            "type": "object", "properties": .object(members.map { JSONValue.Member($0.0, $0.1) }),
            "required": .array(members.map { .string($0.0) }),
        ]
    }

    static func list(_ shape: RowShape, _ purpose: String) -> JSONValue {
        ["type": "array", "description": .string(purpose), "items": shape.schema]
    }

    static func value(_ type: String, _ purpose: String) -> JSONValue {
        ["type": .string(type), "description": .string(purpose)]
    }

    static func optional(_ type: String, _ purpose: String) -> JSONValue {
        ["type": [.string(type), "null"], "description": .string(purpose)]
    }

    static let nextOffset = optional("integer", "Give it as offset for the rest; null at the end.")
    static let window = value("string", "The time that the answer is about.")
}

extension TimeWindow {
    /// For people and models: `2026-01-31T12:00:00.000Z to now`.
    var text: String {
        (from == .min ? "everything" : TimeText.iso8601(unixNano: from)) + " to " + (to == .max ? "now" : TimeText.iso8601(unixNano: to))
    }
}
