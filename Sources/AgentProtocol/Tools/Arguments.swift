import Queries
import TelemetryModel

/// The arguments of a call, each of the kind that its tool says. Models write numbers as texts and texts as numbers: both are taken.
struct Arguments: Sendable {
    private var values: [String: JSONValue] = [:]
    private let now: Int64

    /// Bytes of one text.
    private static let textBytesMax = 64 << 10

    /// - Parameter now: what ages count from, nanoseconds since 1970.
    init(_ object: JSONValue, _ tool: Tool, now: Int64) throws(QueryError) {
        self.now = now
        guard case .object(let members) = object else { throw .invalid("the arguments of \(tool.name) must be an object") }
        for member in members where member.value != .null {
            guard let parameter = tool.parameters.first(where: { $0.name == member.name }) else {
                let names = tool.parameters.map(\.name).joined(separator: ", ")
                throw .invalid("\(tool.name) has no argument '\(member.name)'; it takes \(names.isEmpty ? "none" : names)")
            }
            values[member.name] = try Self.checked(member.value, parameter, now)
        }
        for parameter in tool.parameters where values[parameter.name] == nil {
            if parameter.isRequired { throw .invalid("\(tool.name) needs \(parameter.name): \(parameter.purpose)") }
            if let fallback = parameter.fallback { values[parameter.name] = try Self.checked(fallback, parameter, now) }
        }
    }

    private static func checked(_ value: JSONValue, _ parameter: Parameter, _ now: Int64) throws(QueryError) -> JSONValue {
        switch parameter.kind {
        case .text: return .string(try text(value, parameter))
        case .moment: return .integer(try moment(try text(value, parameter), parameter, now))
        case .integer(let range):
            let number = value.text.flatMap({ Double(decimal: $0) }) ?? value.number
            guard let number, let whole = Int(exactly: number), range.contains(whole) else {
                throw .invalid("\(parameter.name) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            }
            return .integer(Int64(whole))
        case .number:
            guard let number = value.text.flatMap({ Double(decimal: $0) }) ?? value.number, (0...1e12).contains(number) else {
                throw .invalid("\(parameter.name) must be a number from 0 to 1e12")
            }
            return .double(number)
        case .choice(let words):
            let word = try text(value, parameter)
            guard words.contains(word) else {
                throw .invalid("\(parameter.name) is '\(word.prefix(100))', but must be one of \(words.joined(separator: ", "))")
            }
            return .string(word)
        case .texts:
            guard case .object(let members) = value, members.count <= SpanCriteria.attributesMax else {
                throw .invalid("\(parameter.name) must be an object of at most \(SpanCriteria.attributesMax) texts")
            }
            var texts: [JSONValue.Member] = []
            for member in members { texts.append(.init(member.name, .string(try text(member.value, parameter)))) }
            return .object(texts)
        }
    }

    private static func text(_ value: JSONValue, _ parameter: Parameter) throws(QueryError) -> String {
        let text: String
        switch value {
        case .string(let own): text = own
        case .integer, .double, .digits, .bool: text = value.line
        case .null, .array, .object: throw .invalid("\(parameter.name) must be a text")
        }
        guard text.utf8.count <= textBytesMax else { throw .invalid("\(parameter.name) is longer than \(textBytesMax) bytes") }
        return text
    }

    /// Any form of `MomentText`.
    private static func moment(_ text: String, _ parameter: Parameter, _ now: Int64) throws(QueryError) -> Int64 {
        do throws(MomentText.Problem) {
            return try MomentText(text).unixNano(nowUnixNano: now)
        } catch {
            throw .invalid("\(parameter.name) is '\(text.prefix(100))': \(error.message)")
        }
    }

    // MARK: Values

    func text(_ name: String) -> String? { values[name]?.text.flatMap { $0.isEmpty ? nil : $0 } }

    func integer(_ name: String) -> Int {
        if case .integer(let value)? = values[name] { return Int(value) }
        return 0
    }

    /// Milliseconds as nanoseconds.
    func milliseconds(_ name: String) throws(QueryError) -> Int64? {
        guard let milliseconds = values[name]?.number else { return nil }
        guard let value = TraceSearch.nanoseconds(milliseconds: milliseconds) else {
            throw .invalid("\(name) must be a number of milliseconds, at most 1e12")
        }
        return value
    }

    /// Nanoseconds since 1970.
    func moment(_ name: String) -> Int64? {
        if case .integer(let value)? = values[name] { return value }
        return nil
    }

    func texts(_ name: String) -> [(key: String, value: String)] {
        guard case .object(let members)? = values[name] else { return [] }
        return members.map { ($0.name, $0.value.text ?? "") }
    }

    /// From `since` to `until`; each end is open where it is not given.
    func window() throws(QueryError) -> TimeWindow {
        let window = TimeWindow(from: moment("since") ?? .min, to: moment("until") ?? .max)
        guard window.from < window.to else { throw .invalid("since must be before until") }
        return window
    }

    func traceID() throws(QueryError) -> TraceID {
        let text = text("trace_id") ?? ""
        guard let id = TraceReading.traceID(text) else {
            throw .invalid("'\(text.prefix(100))' is not a trace id: 32 hexadecimal digits, as search_traces gives them")
        }
        return id
    }
}
