import SemanticColumns

/// The tables that hold spans in ClickHouse: the template in `schemas/clickhouse`, with the columns that the alias table says.
struct ClickHouseSchema {
    var database = "default"
    var table = "otel_traces"
    /// The cluster whose machines all get the tables; `nil` for one machine.
    var cluster: String?
    /// Days after which spans go; `nil` keeps them.
    var days: Int?

    /// A name that needs no quotes in ClickHouse.
    static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first), text.utf8.count <= 64 else {
            return false
        }
        return text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "_")
        }
    }

    var text: String {
        var text = String(decoding: PackageResources.traces_sql, as: UTF8.self)
        let columns = ColumnTable.standard.aliases().map(Self.column).map { "    \($0),\n" }.joined()
        let values = [
            "{database}": database, "{table}": table, "{on_cluster}": cluster.map { " ON CLUSTER \($0)" } ?? "",
            "{columns}": columns,
            "{engine}": engine(table), "{lookup_engine}": engine("\(table)_trace_id_ts"),
            "{ttl_spans}": days.map { "\nTTL toDateTime(Timestamp) + toIntervalDay(\($0))" } ?? "",
            "{ttl_traces}": days.map { "\nTTL toDateTime(Start) + toIntervalDay(\($0))" } ?? "",
        ]
        for (name, value) in values { text = text.replacing(name, with: value) }
        return text
    }

    private func engine(_ table: String) -> String {
        guard cluster != nil else { return "MergeTree" }
        return "ReplicatedMergeTree('/clickhouse/tables/{shard}/\(database)/\(table)', '{replica}')"
    }

    /// `name` type `MATERIALIZED` the first attribute that is not empty.
    private static func column(_ aliases: ColumnTable.Aliases) -> String {
        let maps = aliases.asksResource ? ["SpanAttributes", "ResourceAttributes"] : ["SpanAttributes"]
        let values = maps.flatMap { map in aliases.keys.map { "nullIf(\(map)['\($0)'], '')" } }.joined(separator: ", ")
        let value = "coalesce(\(values), '')"
        let (type, expression) =
            switch aliases.type {
            case .integer, .signed: ("Nullable(Int64)", "toInt64OrNull(\(value))")
            case .seconds: ("Nullable(Float64)", "toFloat64OrNull(\(value))")
            case .flag:
                (
                    "Nullable(UInt8)",
                    "multiIf(lower(\(value)) IN ('true', '1', 'hit'), 1, lower(\(value)) IN ('false', '0', 'miss'), 0, NULL)"
                )
            case .text, .breaker: ("LowCardinality(String)", value)
            }
        return "`\(aliases.column.name)` \(type) MATERIALIZED \(expression) CODEC(ZSTD(1))"
    }
}
