/// What of a call a span tells, or what of it counts.
///
/// Public, and in sight of the compiler elsewhere, as `CallWitnesses` is: a set that it cannot see into costs hundreds of instructions to make.
@frozen
public struct CallFacets: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// An attempt of a model or a tool.
    @inlinable public static var call: CallFacets { CallFacets(rawValue: 1) }
    @inlinable public static var tokens: CallFacets { CallFacets(rawValue: 2) }
    /// A look-up in a cache.
    @inlinable public static var cache: CallFacets { CallFacets(rawValue: 4) }
}

/// One span of a trace as the rules of docs/metrics.md 2.12 look at it: a call, or something that tells of one. Texts are
/// numbers, the same ones for the same texts; 0 stands for none.
package struct ToldCall: Sendable {
    /// What kind of call it is.
    package enum Sort: UInt8, Sendable {
        /// It is none, and only tells of one.
        case none
        case model
        case tool
    }

    /// The end of a call of the Model Context Protocol (MCP) that the span was made at.
    package enum ProtocolSide: UInt8, Sendable {
        case none
        case client
        case server
    }

    /// Who says so of a call: the span itself, or a log record that it was made of.
    package enum Source: UInt8, Sendable {
        case span = 0
        /// A log record that spans of the same call know better than.
        case log = 1
        /// A log record that knows better than spans of the same call.
        case betterLog = 2
    }

    // What a search among many looks at comes first, so that it lies together.
    package var span: UInt64
    /// 0 for a root.
    package var parent: UInt64
    package var scope: UInt64 = 0
    package var response: UInt64 = 0
    package var carries: CallFacets = []
    package var sort = Sort.none
    package var side = ProtocolSide.none
    package var source = Source.span
    /// It tells how the tool call that is its parent ended.
    package var tellsParent = false
    /// A tool call of which a child may tell how it ended: the span itself says nothing of a failure.
    package var isToldByChild = false
    /// How it failed, as a number of the caller's; 0 when it did not.
    package var failure: UInt32 = 0
    /// Nanoseconds since 1970.
    package var start: Int64 = 0
    package var end: Int64 = 0
    package var model: UInt64 = 0
    package var tool: UInt64 = 0
    /// Tokens as the span gives them; -1 for none.
    package var input: Int64 = -1
    package var output: Int64 = -1
    package var total: Int64 = -1

    package init(span: UInt64, parent: UInt64) {
        self.span = span
        self.parent = parent
    }

    /// It tells of a model call, and not of a tool that called one.
    var isOfModel: Bool { sort == .model || sort == .none && !carries.isEmpty }

    /// What others may count in its place. A tool's attempt and its look-up are its own, whatever it called; its tokens may be its models'.
    var mayLose: CallFacets { sort == .tool ? .tokens : [.call, .tokens, .cache] }

    /// What a call around it learns of it; `nil` where it is not looked at. Only a span that is no model call is told by what tools in it used.
    func told(to outer: ToldCall) -> CallFacets? {
        guard sort == .tool else { return carries }
        return outer.sort == .none && carries.contains(.tokens) ? .tokens : nil
    }

    /// Two instrumentations tell of the same model call: by the id of the response; else as siblings of different scopes with the
    /// same model and the same tokens, where they have them, one within the time of the other.
    package static func areTwins(_ one: ToldCall, _ other: ToldCall) -> Bool {
        guard one.isOfModel, other.isOfModel, one.span != other.span, one.source == .span, other.source == .span
        else { return false }
        if one.response != 0 && other.response != 0 { return one.response == other.response }
        guard one.parent == other.parent, one.scope != other.scope else { return false }
        let haveTokens = (one.carries.contains(.tokens), other.carries.contains(.tokens))
        let isSameModel = one.model == other.model && one.model != 0
        guard isSameModel || haveTokens.0 == haveTokens.1 && (one.model == 0 || other.model == 0) else { return false }
        if haveTokens == (true, true), !haveSameTokens(one, other) { return false }
        return one.start <= other.start && other.end <= one.end || other.start <= one.start && one.end <= other.end
    }

    /// Instrumentations differ by a token at the end of a stream.
    private static func haveSameTokens(_ one: ToldCall, _ other: ToldCall) -> Bool {
        if one.input >= 0 && other.input >= 0 {
            let (difference, overflow) = max(0, one.output).subtractingReportingOverflow(max(0, other.output))
            return one.input == other.input && !overflow && (-1...1).contains(difference)
        }
        return one.total == other.total
    }

    /// Of two that tell of the same call, the one that started last is closest to the wire.
    static func isCloser(_ one: ToldCall, than other: ToldCall) -> Bool {
        one.start != other.start ? one.start > other.start : one.span > other.span
    }

    /// How far two lie apart in time.
    static func distance(_ one: ToldCall, _ other: ToldCall) -> UInt64 {
        let ends = (one.end > other.end ? one.end : other.end).subtractingReportingOverflow(min(one.end, other.end))
        let starts = max(one.start, other.start).subtractingReportingOverflow(min(one.start, other.start))
        let (sum, overflow) = UInt64(bitPattern: ends.partialValue)
            .addingReportingOverflow(UInt64(bitPattern: starts.partialValue))
        return overflow ? .max : sum
    }

    /// Both ends of one MCP call may be told by these: a client's attempt whose time the other one shares.
    package func mayBeClient(of other: ToldCall) -> Bool {
        side == .client && carries.contains(.call) && tool == other.tool && start <= other.end && other.start <= end
    }
}

/// Who else tells of calls of the same sort in a span's trace or session.
@frozen
public struct CallWitnesses: OptionSet, Sendable {
    public let rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// An ordinary span.
    @inlinable public static var span: CallWitnesses { CallWitnesses(rawValue: 1) }
    /// A log record that knows better.
    @inlinable public static var betterLog: CallWitnesses { CallWitnesses(rawValue: 2) }
    /// A log record, and it was counted.
    @inlinable public static var countedLog: CallWitnesses { CallWitnesses(rawValue: 4) }
    /// An ordinary span, and it was counted.
    @inlinable public static var countedSpan: CallWitnesses { CallWitnesses(rawValue: 8) }
}
