import ClickHouse
package import Derivations
package import Forwarding
import NIOPosix
package import Queries
package import SpanStore
package import TelemetryModel

/// The spans of a fleet, as an engine has them: what a question needs of them is read into a store of its own, over which it is then asked.
///
/// So an answer is made by the code that a node answers with, from whole traces: percentiles are exact, and a call that several spans tell
/// counts once. What it costs is that the spans have to come here: `Limits` says how many may.
package final class FleetSpans: SpanSupply {
    package struct Limits: Sendable {
        /// Spans, or log records, of one question.
        package var spans = 200_000
        /// That a store may be asked again by other questions, such as those of one page.
        package var keptSeconds = 5

        package init() {}
    }

    /// Spans, or log records, that are read at a time, about.
    private static let pageSpans: Int64 = 5_000

    /// Log records of a trace are looked for so long before and behind its spans, seconds: without an end all days would be.
    private static let recordsAroundSeconds: Int64 = 86_400

    private let plan: ForwardTargetPlan
    private let policy: FusePolicy
    private let prices: PriceTable
    private let limits: Limits
    private let engine: @Sendable (ForwardTargetPlan) -> Engine?
    private let kept: KeptStores

    /// - Parameters:
    ///   - plan: of the engine.
    ///   - policy: says how spans ended that no Fusebox wrote.
    ///   - prices: what tokens cost here.
    package convenience init(_ plan: ForwardTargetPlan, policy: FusePolicy, prices: PriceTable, limits: Limits = Limits()) {
        self.init(plan, policy: policy, prices: prices, limits: limits) {
            Engine($0, group: MultiThreadedEventLoopGroup.singleton)
        }
    }

    /// - Parameter engine: makes what is asked, for the thread that asks.
    init(
        _ plan: ForwardTargetPlan, policy: FusePolicy, prices: PriceTable, limits: Limits = Limits(),
        engine: @escaping @Sendable (ForwardTargetPlan) -> Engine?
    ) {
        self.engine = engine
        self.plan = plan
        self.policy = policy
        self.prices = prices
        self.limits = limits
        kept = KeptStores(seconds: limits.keptSeconds)
    }

    /// Lets go of the stores that are kept for the next question: for the end.
    package func clear() { kept.clear() }

    package func folder(of need: SpanNeed, seconds: Int) throws(QueryError) -> (
        folder: StoreFolder, held: any AnyObject & Sendable
    ) {
        do {
            let store = try kept.store(of: need, seconds: seconds) { try read(need, seconds) }
            return (store.folder, store)
        } catch let error as EngineError {
            throw QueryError(error)
        } catch let error as StoreError {
            throw .store(error)
        } catch let error as QueryError {
            throw error
        } catch {
            throw .unavailable("\(plan.name): its rows cannot be read: \(error)")
        }
    }

    private func read(_ need: SpanNeed, _ seconds: Int) throws -> WorkingStore {
        guard let engine = engine(plan) else {
            throw QueryError.unavailable("\(plan.name) is not an engine that can be queried")
        }
        var engineLimits = EngineLimits()
        engineLimits.seconds = max(1, seconds)
        if case .logs(let logs) = need {
            let records = FleetLogReading(logs, engine, engineLimits)
            return try WorkingStore.make(policy: policy, prices: prices) { writer in try append(records, to: writer) }
        }
        let reading = FleetReading(engine, engineLimits)
        guard let traces = try FleetTraces(need, engine) else {
            if need == .nothing { return try WorkingStore.make(policy: policy, prices: prices) { _ in } }
            throw QueryError.notHere(
                "only nodes have that: ask one of them (fusebox on its machine); the engine \(plan.name) has spans and log records"
            )
        }
        let seconds = try reading.seconds(traces)
        let times = FleetReading.times(seconds)
        let count = try reading.count(traces, times)
        try check(count, "spans", "tools")
        let records = traces.logs.map { condition in
            FleetLogReading(of: condition + " AND " + FleetReading.times(seconds, wider: Self.recordsAroundSeconds), engine, engineLimits)
        }
        return try WorkingStore.make(policy: policy, prices: prices) { writer in
            let pages = Self.pages(count)
            for page in 0..<pages where count > 0 {
                let bytes = try reading.page(traces, times, page, of: pages)
                var reader = RowBinaryReader(bytes)
                var rows: [EngineRow] = []
                while !reader.isAtEnd { if let row = try EngineRow.read(&reader) { rows.append(row) } }
                try writer.append(rows, bytes)
            }
            // Without spans there is no trace.
            if let records, count > 0 { try append(records, to: writer) }
        }
    }

    private func append(_ records: FleetLogReading, to writer: WorkingStoreWriter) throws {
        let count = try records.count()
        try check(count, "log records", "logs")
        let pages = Self.pages(count)
        for page in 0..<pages where count > 0 {
            let bytes = try records.page(page, of: pages)
            var reader = RowBinaryReader(bytes)
            var rows: [EngineLogRow] = []
            while !reader.isAtEnd { rows.append(try EngineLogRow.read(&reader)) }
            try writer.append(rows, bytes)
        }
    }

    private static func pages(_ count: Int64) -> Int64 { max(1, (count + pageSpans - 1) / pageSpans) }

    /// Refuses more than may be brought, before anything is.
    private func check(_ count: Int64, _ what: String, _ view: String) throws(QueryError) {
        guard count > limits.spans else { return }
        throw .tooLarge(
            "\(plan.name) has \(count) \(what) for this question, and \(limits.spans) are read for one at most; ask about a shorter time, or "
                + "in its own dialect, which adds up there: fusebox sql --engine \(plan.name) 'SELECT … FROM \(view)'")
    }
}

/// The statements that read spans.
private struct FleetReading {
    /// Times of the table that says when traces were, in seconds; it holds none beyond.
    private static let secondsMax: Int64 = 4_102_444_800

    private let engine: Engine
    private let limits: EngineLimits

    init(_ engine: Engine, _ limits: EngineLimits) {
        self.engine = engine
        self.limits = limits
    }

    private var table: String { engine.database.table(.traces).name }

    /// When the traces were, seconds since 1970; `nil` where nobody says.
    func seconds(_ traces: FleetTraces) throws -> ClosedRange<Int64>? {
        let rows = try engine.rows(
            """
            SELECT toInt64(toUnixTimestamp(min(Start))), toInt64(toUnixTimestamp(max(End))), count() FROM \(table)_trace_id_ts
            WHERE \(traces.condition)
            """, limits)
        guard rows.rowCount == 1, case .integer(let from) = try rows.row(0)[0], case .integer(let to) = try rows.row(0)[1],
            from > 0, from <= to, to < Self.secondsMax
        else { return nil }
        return from...to
    }

    /// A condition on `Timestamp` that all spans of the traces meet: partitions are let alone that have none of them.
    ///
    /// - Parameter wider: seconds before and behind.
    static func times(_ seconds: ClosedRange<Int64>?, wider: Int64 = 0) -> String {
        guard let seconds else { return "1" }
        let (from, to) = (max(0, seconds.lowerBound - wider), seconds.upperBound + 1 + wider)
        return "Timestamp >= toDateTime64(\(from), 9, 'UTC') AND Timestamp < toDateTime64(\(to), 9, 'UTC')"
    }

    func count(_ traces: FleetTraces, _ times: String) throws -> Int64 {
        let rows = try engine.rows("SELECT toInt64(count()) FROM \(table) WHERE \(traces.condition) AND \(times)", limits)
        guard rows.rowCount == 1, case .integer(let count) = try rows.row(0)[0] else { return 0 }
        return count
    }

    /// The spans of a part of the traces, each once, in the order in which they arrived.
    func page(_ traces: FleetTraces, _ times: String, _ page: Int64, of pages: Int64) throws -> [UInt8] {
        let part = pages > 1 ? " AND cityHash64(TraceId) % \(pages) = \(page)" : ""
        return try engine.binary(
            """
            SELECT \(EngineRow.columns) FROM \(table) WHERE \(traces.condition) AND \(times)\(part)
            ORDER BY \(ClickHouseColumns.received), \(ClickHouseColumns.node), \(ClickHouseColumns.ordinal)
            LIMIT 1 BY TraceId, SpanId, SpanKind
            """, limits)
    }
}

/// Which traces are meant, as a condition on `TraceId`.
private struct FleetTraces {
    /// Traces that an id's beginning may mean.
    private static let foundMax = 20

    let condition: String
    /// The condition that their log records meet, where they are read too: a conversation may be told in them.
    var logs: String?

    /// `nil` where an engine has no spans for it.
    init?(_ need: SpanNeed, _ engine: Engine) throws {
        let table = engine.database.table(.traces).name
        switch need {
        case .node, .nothing, .logs: return nil
        case .trace(let id): condition = "TraceId = \(Self.quoted(id))"
        case .identity(let digits) where digits.utf8.count == 32: condition = "TraceId = \(Self.quoted(digits))"
        case .identity(let digits):
            let whole = String(repeating: "0", count: max(0, 32 - digits.utf8.count)) + digits
            let start = Self.quoted(digits)
            var terms = [
                "TraceId = \(Self.quoted(whole))",
                "TraceId IN (SELECT TraceId FROM \(table)_trace_id_ts WHERE startsWith(TraceId, \(start)) LIMIT \(Self.foundMax))",
            ]
            if digits.utf8.count <= 16 {
                terms.append(
                    "TraceId IN (SELECT TraceId FROM \(table) WHERE startsWith(SpanId, \(start)) LIMIT \(Self.foundMax))")
            }
            condition = "(\(terms.joined(separator: " OR ")))"
        case .session(let id): condition = "TraceId IN (SELECT TraceId FROM \(table) WHERE session_id = \(Self.quoted(id)))"
        case .latest(let traces): condition = "TraceId IN (\(Self.latest(traces, table)))"
        case .window(let from, let to):
            condition = "TraceId IN (SELECT TraceId FROM \(table) WHERE \(Self.overlap(from, to)))"
        }
        switch need {
        case .trace, .session: logs = condition
        case .node, .nothing, .logs, .identity, .latest, .window: logs = nil
        }
    }

    /// The ids of the traces that a list shows first.
    private static func latest(_ traces: LatestTraces, _ table: String) -> String {
        var terms = ["1"]
        if traces.from > 0 { terms.append("Timestamp >= fromUnixTimestamp64Nano(\(traces.from), 'UTC')") }
        if traces.to != .max { terms.append("Timestamp < fromUnixTimestamp64Nano(\(max(0, traces.to)), 'UTC')") }
        for one in traces.equalities { terms.append("\(columns[one.column] ?? one.column) = \(quoted(one.text))") }
        if let hasFailed = traces.hasFailed { terms.append("StatusCode \(hasFailed ? "=" : "!=") 'Error'") }
        var having = ""
        if let time = traces.afterUnixNano, let id = traces.afterTraceID {
            having = " HAVING (toUnixTimestamp64Nano(min(Timestamp)), TraceId) < (\(time), \(quoted(id)))"
        }
        return "SELECT TraceId FROM \(table) WHERE \(terms.joined(separator: " AND ")) GROUP BY TraceId\(having) "
            + "ORDER BY min(Timestamp) DESC, TraceId DESC LIMIT \(traces.count)"
    }

    /// Columns of `spans` that the table has under another name.
    private static let columns = ["service_name": "ServiceName", "name": "SpanName"]

    /// Spans that ran in a window. Those that are longer than a day are looked for by their length, which has an index.
    private static func overlap(_ from: Int64, _ to: Int64) -> String {
        let day: Int64 = 86_400_000_000_000
        var terms: [String] = []
        if to != .max { terms.append("Timestamp < fromUnixTimestamp64Nano(\(max(0, to)), 'UTC')") }
        if from > 0 {
            terms.append("toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) >= \(from)")
            terms.append("(Timestamp >= fromUnixTimestamp64Nano(\(max(0, from - day)), 'UTC') OR Duration >= \(day))")
        }
        return terms.isEmpty ? "1" : terms.joined(separator: " AND ")
    }

    private static func quoted(_ text: String) -> String { StatementText.quoted(text) }
}

extension QueryError {
    /// An engine's refusal, as what is asked tells it.
    package init(_ error: EngineError) {
        self =
            switch error {
            case .invalid(let what): .invalid(what)
            case .tooMuch(let what): .tooLarge(what)
            case .unauthorized(let what), .schema(let what), .unavailable(let what): .unavailable(what)
            }
    }
}
