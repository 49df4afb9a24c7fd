import ClickHouse
import SemanticColumns
import TelemetryModel

/// The tables that hold spans and log records in ClickHouse, and the views over them: the templates in `schemas/clickhouse`, with the columns
/// that the alias table says.
struct ClickHouseSchema {
    var database = "default"
    var table = "otel_traces"
    var logsTable = "otel_logs"
    /// Where the views are.
    var views = "fusebox"
    /// The cluster whose machines all get the tables; `nil` for one machine.
    var cluster: String?
    /// Days after which rows go; `nil` keeps them.
    var days: Int?

    /// Everything that a new server needs.
    var text: String { filled([PackageResources.traces_sql, PackageResources.logs_sql, PackageResources.views_sql]) }

    /// The way there from what older versions printed.
    var upgrade: String {
        filled([
            PackageResources.upgrade_sql, PackageResources.traces_sql, PackageResources.logs_sql, PackageResources.views_sql,
            PackageResources.copy_sql,
        ])
    }

    private func filled(_ templates: [[UInt8]]) -> String {
        var text = templates.map { String(decoding: $0, as: UTF8.self) }.joined()
        let note = "\n-- On a cluster the INSERT at the end copies one shard: run it once on one machine of each."
        let values = [
            "{database}": database, "{table}": table, "{logs_table}": logsTable, "{views}": views,
            "{on_cluster}": cluster.map { " ON CLUSTER \($0)" } ?? "", "{cluster_note}": cluster == nil ? "" : note,
            "{columns}": columns, "{view_columns}": Self.viewColumns,
            "{wrappers}": Operations.wrappers.map { "'\($0)'" }.joined(separator: ", "),
            "{engine}": engine("ReplacingMergeTree", table), "{logs_engine}": engine("ReplacingMergeTree", logsTable),
            "{lookup_engine}": engine("AggregatingMergeTree", "\(table)_trace_id_ts"),
            "{ttl_spans}": days.map { "\nTTL toDate(Timestamp, 'UTC') + toIntervalDay(\($0))" } ?? "",
            "{ttl_traces}": days.map { "\nTTL Day + toIntervalDay(\($0))" } ?? "",
        ]
        for (name, value) in values { text = text.replacing(name, with: value) }
        return text
    }

    /// The path in the keeper is another one than that of the tables that came before.
    private func engine(_ engine: String, _ table: String) -> String {
        guard cluster != nil else { return engine }
        return "Replicated\(engine)('/clickhouse/tables/{shard}/\(database)/\(table)_v2', '{replica}')"
    }

    /// Our columns as the table declares them, by `ClickHouseColumns`.
    private var columns: String {
        let aliases = ColumnTable.standard.aliases()
        let derived = ClickHouseColumns.derived.map { column in
            let own = aliases.first { $0.column.name == column.name }
            return "`\(column.name)` \(Self.type(column.kind))\(own.map { " DEFAULT " + Self.value($0) } ?? "") CODEC(ZSTD(1))"
        }
        let own = [
            "`\(ClickHouseColumns.node)` LowCardinality(String) CODEC(ZSTD(1))",
            "`\(ClickHouseColumns.ordinal)` UInt64 CODEC(Delta, ZSTD(1))",
            "`\(ClickHouseColumns.received)` DateTime64(9) DEFAULT now64(9) CODEC(Delta, ZSTD(1))",
        ]
        return (derived + own).map { "    \($0),\n" }.joined()
    }

    private static func type(_ kind: ClickHouseColumns.Kind) -> String {
        switch kind {
        case .text: "LowCardinality(String)"
        case .integer: "Nullable(Int64)"
        case .flag: "Nullable(UInt8)"
        }
    }

    /// The first attribute that is not empty, as the column's type takes it.
    private static func value(_ aliases: ColumnTable.Aliases) -> String {
        let maps = aliases.asksResource ? ["SpanAttributes", "ResourceAttributes"] : ["SpanAttributes"]
        let values = maps.flatMap { map in aliases.keys.map { "nullIf(\(map)['\($0)'], '')" } }.joined(separator: ", ")
        let value = "coalesce(\(values), '')"
        return switch aliases.type {
        case .integer, .signed: "toInt64OrNull(\(value))"
        case .seconds: "toFloat64OrNull(\(value))"
        case .flag: "multiIf(lower(\(value)) IN ('true', '1', 'hit'), 1, lower(\(value)) IN ('false', '0', 'miss'), 0, NULL)"
        case .text, .breaker: value
        }
    }

    /// Texts that are empty are none.
    private static var viewColumns: String {
        ClickHouseColumns.derived.map { column in
            column.kind == .text
                ? "    nullIf(s.\(column.name), '') AS \(column.name)," : "    s.\(column.name) AS \(column.name),"
        }.joined(separator: "\n")
    }
}
