import ArgumentParser

/// `fusebox ddl`: schemas for engines beyond one machine.
struct DDL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ddl", abstract: "Print the schema that holds spans in another engine.", subcommands: [ClickHouse.self])

    struct ClickHouse: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "clickhouse",
            abstract: "Print the tables of the OpenTelemetry collector's ClickHouse exporter, with our columns.",
            discussion: """
                The columns workflow_name, tool_name, tokens and their kin are computed from SpanAttributes by the same alias table that the
                collector uses, where an attribute holds them; the exporter's own INSERT works unchanged.

                  fusebox ddl clickhouse --database otel --days 30 | clickhouse-client --multiquery
                """)

        @Option(help: "The database.")
        var database = "default"

        @Option(help: "The table of spans.")
        var table = "otel_traces"

        @Option(help: "A cluster: tables on all of its machines, replicated.")
        var cluster: String?

        @Option(help: "Days that spans are kept; without it, for good.")
        var days: Int?

        mutating func validate() throws {
            for (flag, name) in [("--database", database), ("--table", table), ("--cluster", cluster ?? "x")]
            where !ClickHouseSchema.isName(name) {
                throw ValidationError("\(flag) takes letters, digits and _, not '\(name)'")
            }
            if let days, !(1...36_500).contains(days) { throw ValidationError("--days takes 1 to 36500") }
        }

        mutating func run() throws {
            Terminal.write(ClickHouseSchema(database: database, table: table, cluster: cluster, days: days).text)
        }
    }
}
