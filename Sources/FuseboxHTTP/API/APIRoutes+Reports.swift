import Queries
import Reports
import TelemetryModel

extension APIRoutes {
    /// Stalls of one answer.
    private static let stallsMax = 1000

    /// The gates over a window, by the limits that the server was configured with: what `fusebox gate --format json` prints.
    func gates(_ query: QueryString) async throws -> Response {
        var settings = GateReport.Settings()
        settings.limits = context.gates
        let asked = settings
        return try await report(query, isOfSpans: true) { reader, window throws(ReportReader.Failure) in
            try GateReport(reader, settings: asked).makeGates(window).document
        }
    }

    /// Stalls by kind, and the latest: what `fusebox stalls --format json` prints.
    func stalls(_ query: QueryString) async throws -> Response {
        let limit = try query.integer("limit", 1...Self.stallsMax, fallback: 50)
        return try await report(query) { reader, window throws(ReportReader.Failure) in
            try StallReport(reader).make(window, limit: limit)
        }
    }

    /// A report over the window of the question; without one, the last 24 hours.
    ///
    /// - Parameters:
    ///   - fallback: how far back the window goes that was not asked for.
    ///   - isOfSpans: whether it can be made of spans alone, or says what it lacks then.
    func report(
        _ query: QueryString, fallbackNanoseconds fallback: Int64 = 24 * 3_600_000_000_000, isOfSpans: Bool = false,
        _ make: @escaping @Sendable (ReportReader, ReportWindow) throws(ReportReader.Failure) -> ReportDocument
    ) async throws -> Response {
        let now = context.clock()
        let asked = try timeWindow(query)
        let until = asked.to == .max ? now : asked.to
        let from = asked.from == .min ? max(0, until.subtractingSaturated(fallback)) : asked.from
        guard from < until else { throw QueryError.invalid("from must be before to") }
        let (need, engine) = (isOfSpans ? SpanNeed.window(from: from, to: until) : .node, context.engine)
        return try await context.json(limit: APIContext.TimeLimit.query, of: need) { reader, json in
            do throws(ReportReader.Failure) {
                let document = try make(ReportReader(reader.reader, over: engine), ReportWindow(fromUnixNano: from, untilUnixNano: until))
                json.raw(Self.withTextTimes(document.json(explains: false)).line)
            } catch {
                switch error {
                case .condition(let message): throw QueryError.invalid(message)
                case .database(let error): throw reader.translated(error)
                }
            }
        }
    }

    /// Nanoseconds since 1970 as digits in quotes, as everywhere in the API.
    private static func withTextTimes(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members):
            .object(
                members.map { member in
                    if case .integer(let time) = member.value, member.name.hasSuffix("_unix_nano") {
                        return .init(member.name, .string("\(time)"))
                    }
                    return .init(member.name, withTextTimes(member.value))
                })
        case .array(let values): .array(values.map(withTextTimes))
        case .null, .bool, .integer, .double, .digits, .string: value
        }
    }
}
