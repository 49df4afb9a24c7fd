import TelemetryModel

/// What a tool takes.
struct Parameter: Sendable {
    enum Kind: Sendable {
        case text
        /// A time, or an age before now.
        case moment
        case integer(ClosedRange<Int>)
        case number
        case choice([String])
        /// An object of texts.
        case texts
    }

    let name: String
    let kind: Kind
    let purpose: String
    var isRequired = false
    /// What is taken when it is missing.
    var fallback: JSONValue?

    init(_ name: String, _ kind: Kind, _ purpose: String, isRequired: Bool = false, fallback: JSONValue? = nil) {
        self.name = name
        self.kind = kind
        self.purpose = purpose
        self.isRequired = isRequired
        self.fallback = fallback
    }

    var schema: JSONValue {
        var members: [JSONValue.Member]
        switch kind {
        case .text: members = [.init("type", "string")]
        case .moment: members = [.init("type", "string"), .init("examples", ["15m", "24h", "2026-01-31T12:00:00Z"])]
        case .integer(let range):
            members = [
                .init("type", "integer"), .init("minimum", .integer(Int64(range.lowerBound))),
                .init("maximum", .integer(Int64(range.upperBound))),
            ]
        case .number: members = [.init("type", "number"), .init("minimum", .integer(0))]
        case .choice(let words): members = [.init("type", "string"), .init("enum", .array(words.map(JSONValue.string)))]
        case .texts: members = [.init("type", "object"), .init("additionalProperties", ["type": "string"])]
        }
        members.append(.init("description", .string(purpose)))
        if let fallback { members.append(.init("default", fallback)) }
        return .object(members)
    }

    // MARK: What several tools take

    static let since = Parameter("since", .moment, "Only what began at or after this time; an age such as 15m, 6h, 7d, or ISO 8601.")
    static let sinceDay = Parameter(
        "since", .moment, "Begin of the time looked at: an age such as 15m, 6h, 7d, or ISO 8601.", fallback: "24h")
    static let until = Parameter("until", .moment, "Only what began before this time; without it, now.")
    static let service = Parameter("service", .text, "Only this service, by its exact name.")
    static let traceID = Parameter("trace_id", .text, "32 hexadecimal digits, as other tools give it.", isRequired: true)

    static func limit(_ fallback: Int, max: Int, of what: String) -> Parameter {
        Parameter("limit", .integer(1...max), "\(what) at most.", fallback: .integer(Int64(fallback)))
    }
}
