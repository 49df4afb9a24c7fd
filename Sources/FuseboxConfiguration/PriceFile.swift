package import TelemetryModel
import Yams

/// Reads `prices.yaml`: what models, machines and links cost. Nothing has a price that the file does not say.
package struct PriceFile {
    private let path: String

    private init(path: String) {
        self.path = path
    }

    /// The table in the text; `path` is for messages.
    package static func parse(_ yaml: String, path: String) throws(ConfigurationError) -> PriceTable {
        let file = PriceFile(path: path)
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw ConfigurationError("\(path) is not YAML: \(error)")
        }
        guard let root else { return PriceTable() }
        guard let mapping = root.mapping else { throw ConfigurationError("\(path) must have the lists models, hosts and egress") }
        var table = PriceTable()
        for (key, value) in mapping {
            let entries = try file.entries(value, key.string ?? "")
            switch key.string {
            case "models": for entry in entries { table.models += try file.models(entry) }
            case "hosts": for entry in entries { table.hosts.append(try file.host(entry)) }
            case "egress": for entry in entries { table.links.append(try file.link(entry)) }
            default: throw file.error(key, "there is no list '\(key.string ?? "")'; there are models, hosts and egress")
            }
        }
        guard table.models.count + table.hosts.count + table.links.count <= PriceTable.Limits.rowsMax else {
            throw ConfigurationError("\(path) has more than \(PriceTable.Limits.rowsMax) entries")
        }
        try file.refuseRepetitions(table)
        return table
    }

    private func error(_ node: Node, _ message: String) -> ConfigurationError {
        ConfigurationError("\(path)\(node.mark.map { " (line \($0.line))" } ?? ""): \(message)")
    }

    private func entries(_ node: Node, _ name: String) throws(ConfigurationError) -> [Node] {
        if node.null != nil { return [] }
        guard let sequence = node.sequence else { throw error(node, "\(name) must be a list") }
        return Array(sequence)
    }

    private func refuseRepetitions(_ table: PriceTable) throws(ConfigurationError) {
        var seen: Set<String> = []
        for price in table.models where !seen.insert("\(price.model)\u{1F}\(price.effectiveFromUnixNano)").inserted {
            throw ConfigurationError("\(path): \(price.model) has two prices from the same time on")
        }
        for host in table.hosts where !seen.insert("h\u{1F}\(host.host)").inserted {
            throw ConfigurationError("\(path): the host \(host.host) stands there twice")
        }
        for link in table.links where !seen.insert("l\u{1F}\(link.link)").inserted {
            throw ConfigurationError("\(path): the link \(link.link) stands there twice")
        }
    }

    // MARK: Entries

    /// The members of an entry, each of a known name.
    private func members(_ node: Node, _ known: Set<String>) throws(ConfigurationError) -> [String: Node] {
        guard let mapping = node.mapping else { throw error(node, "an entry must be a mapping") }
        var members: [String: Node] = [:]
        for (key, value) in mapping {
            guard let name = key.string, known.contains(name) else {
                throw error(key, "there is no '\(key.string ?? "")' here; there are \(known.sorted().joined(separator: ", "))")
            }
            members[name] = value
        }
        return members
    }

    private func text(_ members: [String: Node], _ name: String, _ entry: Node) throws(ConfigurationError) -> String {
        guard let text = members[name]?.scalar?.string, !text.isEmpty else { throw error(entry, "an entry lacks its \(name)") }
        return text
    }

    private func number(_ node: Node?, _ name: String, max: Double) throws(ConfigurationError) -> Double? {
        guard let node else { return nil }
        guard let text = node.scalar?.string, let value = Double(text), value >= 0, value <= max else {
            throw error(node, "\(name) is '\(node.scalar?.string ?? "")', but must be a number from 0 to \(Decimal.text(max))")
        }
        return value
    }

    private func time(_ node: Node?, _ name: String) throws(ConfigurationError) -> Int64? {
        guard let node else { return nil }
        guard let text = node.scalar?.string, let time = TimeText.unixNano(iso8601: text) else {
            throw error(node, "\(name) is '\(node.scalar?.string ?? "")', but must be a date or a time such as 2026-01-31T00:00:00Z")
        }
        return time
    }

    /// Dollars a million tokens; more is a slip of the point.
    private static let tokenPriceMax = 100_000.0

    private func models(_ node: Node) throws(ConfigurationError) -> [ModelPrice] {
        let members = try members(
            node, ["model", "aliases", "effective_from", "kind", "input", "cache_read", "cache_write", "output", "source"])
        let name = try text(members, "model", node)
        guard let kind = ModelPrice.Kind(rawValue: members["kind"]?.scalar?.string ?? "api") else {
            throw error(node, "kind must be api or local")
        }
        guard let input = try number(members["input"], "input", max: Self.tokenPriceMax),
            let output = try number(members["output"], "output", max: Self.tokenPriceMax)
        else { throw error(node, "\(name) lacks input or output, in dollars a million tokens; a model of your own has 0") }
        let price = ModelPrice(
            model: name, effectiveFromUnixNano: try time(members["effective_from"], "effective_from") ?? 0, kind: kind,
            input: input, cacheRead: try number(members["cache_read"], "cache_read", max: Self.tokenPriceMax) ?? input,
            cacheWrite: try number(members["cache_write"], "cache_write", max: Self.tokenPriceMax) ?? input, output: output,
            source: members["source"]?.scalar?.string)
        let aliases = try members["aliases"].map { node throws(ConfigurationError) in try entries(node, "aliases") } ?? []
        return [price]
            + aliases.compactMap { $0.scalar?.string }.map { alias in
                var copy = price
                copy.model = alias
                return copy
            }
    }

    private func host(_ node: Node) throws(ConfigurationError) -> HostRent {
        let members = try members(node, ["host", "dollars_per_hour", "gpus", "granularity_s", "billed_from", "billed_until"])
        guard let rate = try number(members["dollars_per_hour"], "dollars_per_hour", max: 1e6) else {
            throw error(node, "a host lacks its dollars_per_hour")
        }
        var host = HostRent(host: try text(members, "host", node), dollarsPerHour: rate)
        host.gpus = Int64(try number(members["gpus"], "gpus", max: 10_000) ?? 0)
        host.granularitySeconds = max(1, Int64(try number(members["granularity_s"], "granularity_s", max: 1e8) ?? 1))
        host.billedFromUnixNano = try time(members["billed_from"], "billed_from")
        host.billedUntilUnixNano = try time(members["billed_until"], "billed_until")
        return host
    }

    private func link(_ node: Node) throws(ConfigurationError) -> EgressPrice {
        let members = try members(node, ["link", "dollars_per_unit", "free_units", "unit_bytes"])
        guard let price = try number(members["dollars_per_unit"], "dollars_per_unit", max: 1e6) else {
            throw error(node, "a link lacks its dollars_per_unit")
        }
        var link = EgressPrice(link: try text(members, "link", node), dollarsPerUnit: price)
        link.freeUnits = try number(members["free_units"], "free_units", max: 1e12) ?? 0
        link.unitBytes = max(1, Int64(try number(members["unit_bytes"], "unit_bytes", max: 1e15) ?? 1e9))
        return link
    }
}
