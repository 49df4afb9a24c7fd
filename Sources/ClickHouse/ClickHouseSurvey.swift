/// What a server says of a table and of itself, read from the answer to `ClickHouseQuery.survey`.
package struct ClickHouseSurvey: Equatable, Sendable {
    /// Lines of an answer that are read: a table has some dozens of columns.
    private static let linesMax = 10_000

    /// `nil` when there is no such table, or none that the user may see.
    package private(set) var engine: String?
    package private(set) var sortingKey = ""
    /// Columns that can be inserted, by name.
    package private(set) var columns: Set<String> = []
    /// Settings that the server knows, of those that were asked for.
    package private(set) var settings: Set<String> = []

    /// Reads lines of four fields between tabs; `nil` for what is no such answer.
    package init?(_ body: [UInt8]) {
        for line in body.split(separator: 0x0A).prefix(Self.linesMax) {
            let fields = line.split(separator: 0x09, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
            guard fields.count == 4 else { return nil }
            switch fields[0] {
            case "table": (engine, sortingKey) = (fields[2], fields[3])
            case "column": if fields[2].isEmpty || fields[2] == "DEFAULT" { columns.insert(fields[1]) }
            case "setting": settings.insert(fields[1])
            default: return nil
            }
        }
    }

    /// Why nothing can be inserted into this table without a row being lost or doubled; `nil` when all is well.
    ///
    /// - Parameter identity: columns that tell rows apart.
    package func objection(_ table: ClickHouseTable, identity: [String]) -> String? {
        let advice = "fusebox ddl clickhouse prints the tables that are wanted"
        guard let engine else { return "there is no table \(table.name), or the user may not see it; \(advice)" }
        guard engine.contains("ReplacingMergeTree") else {
            let why =
                engine == "Distributed"
                ? "it answers before rows are stored: name the table on the machine itself"
                : "a row that is sent again would be there twice: fusebox ddl clickhouse --upgrade"
            return "the table \(table.name) is a \(engine), and \(why)"
        }
        let key = sortingKey.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.map(String.init)
        if let missing = identity.first(where: { !key.contains($0) }) {
            return "the table \(table.name) is not sorted by \(missing), so that rows would replace each other; \(advice)"
        }
        return nil
    }
}
