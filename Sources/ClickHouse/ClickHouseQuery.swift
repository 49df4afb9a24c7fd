/// A statement with its settings, as the path of a request to ClickHouse's HTTP interface.
package enum ClickHouseQuery {
    /// What every insert says of itself, whatever the server's defaults are: they changed more than once. Those that a server does not know
    /// are left out for it.
    package static let insertSettings: [(name: String, value: String)] = [
        // The answer comes when the rows are in a part, not in a buffer.
        ("async_insert", "0"),
        // A row's identity tells it apart. A record of blocks that a server keeps beside it has lost acknowledged rows.
        ("deduplicate_insert", "disable"),
        ("insert_deduplicate", "0"),
        // Plain texts go into LowCardinality columns.
        ("input_format_native_allow_types_conversion", "1"),
        // No row of a flight has another one's identity, and they come sorted.
        ("optimize_on_insert", "0"),
        ("send_progress_in_http_headers", "0"),
    ]
    /// Of HTTP alone, and known by every server: no 200 goes out before an error can.
    private static let waitsForEnd = ("wait_end_of_query", "1")

    /// The path of a request whose body is a block.
    ///
    /// - Parameters:
    ///   - columns: of the block, in its order.
    ///   - settings: names that the server knows.
    ///   - id: the same for a request that is made again; one that is still running is not run twice.
    package static func insert(
        into table: ClickHouseTable, columns: [String], knownSettings settings: Set<String>, id: String
    ) -> String {
        let names = columns.map { "`\($0)`" }.joined(separator: ", ")
        var parameters = [("query", "INSERT INTO \(table.name) (\(names)) FORMAT Native"), ("query_id", id), waitsForEnd]
        parameters += insertSettings.filter { settings.contains($0.name) }
        return path(parameters)
    }

    /// The path of a question about a table and the server: what `ClickHouseSurvey` reads the answer of.
    package static func survey(of table: ClickHouseTable) -> String {
        let settings = insertSettings.map { "'\($0.name)'" }.joined(separator: ", ")
        let query = """
            SELECT 'table', name, engine, sorting_key FROM system.tables WHERE database = '\(table.database)' AND name = '\(table.table)' \
            UNION ALL SELECT 'column', name, default_kind, type FROM system.columns \
            WHERE database = '\(table.database)' AND table = '\(table.table)' \
            UNION ALL SELECT 'setting', name, '', '' FROM system.settings WHERE name IN (\(settings)) FORMAT TabSeparated
            """
        return path([("query", query)])
    }

    /// The path of a question how many rows of a node there are, by stretches of ordinals: lines of a stretch's number and the count.
    ///
    /// - Parameter node: hexadecimal digits.
    package static func counts(in table: ClickHouseTable, node: String, _ ordinals: Range<Int64>, by stretch: Int64) -> String {
        let query = """
            SELECT intDiv(\(ClickHouseColumns.ordinal), \(stretch)) AS stretch, uniqExact(\(ClickHouseColumns.ordinal)) FROM \(table.name) \
            WHERE \(ClickHouseColumns.node) = '\(node)' AND \(ClickHouseColumns.ordinal) >= \(ordinals.lowerBound) \
            AND \(ClickHouseColumns.ordinal) < \(ordinals.upperBound) GROUP BY stretch ORDER BY stretch FORMAT TabSeparated
            """
        return path([("query", query)])
    }

    static func path(_ parameters: [(String, String)]) -> String {
        "/?" + parameters.map { "\($0)=\(encoded($1))" }.joined(separator: "&")
    }

    /// All but letters, digits and four signs as percent and two digits.
    private static func encoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A table by its name. Both parts are names that need no quotes.
package struct ClickHouseTable: Equatable, Sendable {
    package var database: String
    package var table: String

    package init(database: String, table: String) {
        self.database = database
        self.table = table
    }

    package var name: String { "\(database).\(table)" }

    /// Whether a text is letters, digits and `_`, up to 64, and begins with no digit.
    package static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first), text.utf8.count <= 64 else { return false }
        return text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == UInt8(ascii: "_")
        }
    }
}
