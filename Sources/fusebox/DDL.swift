import ArgumentParser
import ClickHouse

/// `fusebox ddl`: schemas for engines beyond one machine.
struct DDL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ddl", abstract: "Print the schema that holds spans in another engine.", subcommands: [ClickHouse.self])

    struct ClickHouse: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "clickhouse",
            abstract: "Print the tables that targets of kind clickhouse write to, with views over them.",
            discussion: """
                They are the tables of the OpenTelemetry collector's ClickHouse exporter, with our columns, keyed so that a span or log record \
                that is sent twice is there once. The exporter's own INSERT works unchanged: it has workflow_name, tool_name, tokens and their \
                kin computed from SpanAttributes, where an attribute holds them.

                  fusebox ddl clickhouse --database otel --days 30 | clickhouse-client --multiquery
                  fusebox ddl clickhouse --database otel --upgrade | clickhouse-client --multiquery
                """)

        @Option(help: "The database.")
        var database = "default"

        @Option(help: "The table of spans.")
        var table = "otel_traces"

        @Option(help: "The table of log records.")
        var logsTable = "otel_logs"

        @Option(help: "The database of the views, which have the names that SQL has on a node.")
        var views = "fusebox"

        @Option(help: "A cluster: tables on all of its machines, replicated.")
        var cluster: String?

        @Option(help: "Days that rows are kept; without it, for good.")
        var days: Int?

        @Flag(help: "Print how tables that an older version of this command made become those of now, with what is in them.")
        var upgrade = false

        mutating func validate() throws {
            for (flag, name) in [
                ("--database", database), ("--table", table), ("--logs-table", logsTable), ("--views", views),
                ("--cluster", cluster ?? "x"),
            ]
            where !ClickHouseTable.isName(name) {
                throw ValidationError("\(flag) takes letters, digits and _, not '\(name)'")
            }
            if let days, !(1...36_500).contains(days) { throw ValidationError("--days takes 1 to 36500") }
        }

        mutating func run() throws {
            let schema = ClickHouseSchema(
                database: database, table: table, logsTable: logsTable, views: views, cluster: cluster, days: days)
            Terminal.write(upgrade ? schema.upgrade : schema.text)
        }
    }
}
