import ClickHouse
import Forwarding
import Queries
import SpanStore
import TelemetryModel

/// The statements that read log records.
struct FleetLogReading {
    private let condition: String
    /// How many suffice, with all of the time of the last; `nil` for all.
    private let newest: Int?
    /// Whether they are those of named traces, which are few.
    private let isOfTraces: Bool
    private let engine: Engine
    private let limits: EngineLimits

    init(_ need: LogNeed, _ engine: Engine, _ limits: EngineLimits) {
        isOfTraces = need.traceID != nil
        (condition, newest) = (Self.condition(need), isOfTraces ? nil : need.newest)
        (self.engine, self.limits) = (engine, limits)
    }

    /// - Parameter condition: that the records meet; it names their traces.
    init(of condition: String, _ engine: Engine, _ limits: EngineLimits) {
        (self.condition, newest, isOfTraces) = (condition, nil, true)
        (self.engine, self.limits) = (engine, limits)
    }

    /// How many records there are, each once.
    func count() throws -> Int64 {
        let rows = try engine.rows("SELECT toInt64(count()) FROM (\(meant("Timestamp")))", limits)
        guard rows.rowCount == 1, case .integer(let count) = try rows.row(0)[0] else { return 0 }
        return count
    }

    /// A part of the records in the order in which they were received. Those of one time are in one part: their order shows.
    func page(_ page: Int64, of pages: Int64) throws -> [UInt8] {
        let part = pages > 1 ? " WHERE cityHash64(Timestamp) % \(pages) = \(page)" : ""
        return try engine.binary(
            """
            SELECT \(EngineLogRow.columns) FROM (\(meant("*")))\(part)
            ORDER BY \(ClickHouseColumns.received), \(ClickHouseColumns.node), \(ClickHouseColumns.ordinal)
            """, limits)
    }

    /// The records that are meant, each once though it may have been sent twice. `FINAL` may leave the index of trace ids unused and read all
    /// that there is; without it, records that are told apart by their identities must be few.
    private func meant(_ columns: String) -> String {
        let table = engine.database.table(.logs).name
        if isOfTraces {
            return "SELECT \(columns) FROM \(table) WHERE \(condition) LIMIT 1 BY \(ClickHouseColumns.node), \(ClickHouseColumns.ordinal)"
        }
        let newest = newest.map { " ORDER BY Timestamp DESC LIMIT \($0) WITH TIES" } ?? ""
        return "SELECT \(columns) FROM \(table) FINAL WHERE \(condition)\(newest)"
    }

    private static func condition(_ need: LogNeed) -> String {
        var terms: [String] = []
        if need.from > 0 { terms.append("Timestamp >= fromUnixTimestamp64Nano(\(need.from), 'UTC')") }
        if need.to != .max { terms.append("Timestamp < fromUnixTimestamp64Nano(\(max(0, need.to)), 'UTC')") }
        if let trace = need.traceID { terms.append("TraceId = \(StatementText.quoted(trace.hexadecimal))") }
        if let span = need.spanID { terms.append("SpanId = \(StatementText.quoted(span.hexadecimal))") }
        if let service = need.service { terms.append("ServiceName = \(StatementText.quoted(service))") }
        if let event = need.eventName { terms.append("EventName = \(StatementText.quoted(event))") }
        if let severity = need.severityMinimum { terms.append("SeverityNumber >= \(severity)") }
        return terms.isEmpty ? "1" : terms.joined(separator: " AND ")
    }
}
