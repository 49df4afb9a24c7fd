import TelemetryModel

extension ColumnTable {
    /// What fills a column without any condition.
    package struct Aliases: Sendable {
        package var column: Column
        package var type: ColumnType
        /// Attribute keys, the one that wins first.
        package var keys: [String]
        /// Whether the span's resource is asked after the span.
        package var asksResource: Bool
    }

    /// The plain attribute keys of each shown column that has any, in the order of the columns: what another engine's schema can
    /// say of the table. Sources that look into JSON, names or events are not among them; conditions that only keep spans out are
    /// left out.
    package func aliases() -> [Aliases] {
        var found: [Int: (type: ColumnType, keys: [(rank: UInt16, key: String)])] = [:]
        for key in 0..<keys.count {
            for rule in direct.elements[direct.indices(key)] where Column.shown.contains(rule.column) {
                found[rule.column, default: (rule.type, [])].keys.append((rule.rank, text(ofKey: key)))
            }
        }
        for rule in others where Column.shown.contains(rule.column.rawValue) && rule.conditions.allSatisfy(\.onlyExcludes) {
            guard case .attribute(let key) = rule.source else { continue }
            found[rule.column.rawValue, default: (rule.type, [])].keys.append((rule.rank, text(ofKey: key)))
        }
        return Column.allCases.compactMap { column in
            guard let own = found[column.rawValue] else { return nil }
            return Aliases(
                column: column, type: own.type, keys: own.keys.sorted { $0.rank < $1.rank }.map(\.key),
                asksResource: resourceColumns.contains(column))
        }
    }

    private func text(ofKey key: Int) -> String {
        let range = keys.ranges[key]
        let start = Int(range.offset)
        return String(decoding: keys.bytes[start..<(start + Int(range.count))], as: UTF8.self)
    }
}
