import Foundation
import FuseboxConfiguration
import TelemetryModel

/// Public list prices, as `schemas/prices/list-prices.csv` has them: a line a model, in dollars per million tokens. They count for models
/// that prices.yaml does not name.
enum PriceList {
    /// What the source of such a price begins with, so that reports can tell it from one of the user's own.
    static let mark = ModelPrice.listSource

    /// The list that comes with the program.
    static let builtIn = parse(String(decoding: PackageResources.list_prices_csv, as: UTF8.self))

    /// Lines that are no price are left out; the first price of a model counts.
    static func parse(_ text: String, source: String = "built in") -> [ModelPrice] {
        var known: Set<String> = []
        var prices: [ModelPrice] = []
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            let numbers = fields.dropFirst(2).compactMap { Double($0) }.filter { $0 >= 0 && $0 <= 100_000 }
            guard fields.count == 6, numbers.count == 4, !fields[0].isEmpty, known.insert(String(fields[0])).inserted else { continue }
            prices.append(
                ModelPrice(
                    model: String(fields[0]), input: numbers[0], cacheRead: numbers[1], cacheWrite: numbers[2], output: numbers[3],
                    source: "\(mark) \(source), \(fields[1])"))
            guard prices.count < PriceTable.Limits.rowsMax / 2 else { break }
        }
        return prices
    }

    /// The user's own prices, and of the lists those of models that they do not name; an earlier list beats a later one.
    static func merged(_ own: PriceTable, _ lists: [[ModelPrice]]) -> PriceTable {
        var table = own
        var named = Set(own.models.map(\.model))
        for list in lists {
            for price in list where table.models.count < PriceTable.Limits.rowsMax - table.hosts.count - table.links.count {
                if named.insert(price.model).inserted { table.models.append(price) }
            }
        }
        return table
    }

    static func text(_ prices: [(price: ModelPrice, provider: String)]) -> String {
        var text = "# Imported by `fusebox prices import`: model,provider,input,cache_read,cache_write,output in dollars per million tokens.\n"
        for (price, provider) in prices {
            let numbers = [price.input, price.cacheRead, price.cacheWrite, price.output].map { "\($0)" }.joined(separator: ",")
            text += "\(price.model),\(provider),\(numbers)\n"
        }
        return text
    }
}

/// Reads the price tables of other projects: LiteLLM's, by token, and genai-prices', by million tokens.
enum ForeignPrices {
    struct Found {
        var prices: [(price: ModelPrice, provider: String)] = []
        /// Entries that are no price of text tokens, such as those of images.
        var skipped = 0
    }

    /// `nil` when the document is of neither form.
    static func read(_ document: JSONValue) -> Found? {
        switch document {
        case .object(let members): litellm(members)
        case .array(let providers): genai(providers)
        default: nil
        }
    }

    private static func litellm(_ members: [JSONValue.Member]) -> Found? {
        guard members.contains(where: { $0.value["input_cost_per_token"] != nil }) else { return nil }
        var found = Found()
        for member in members where member.name != "sample_spec" {
            let value = member.value
            guard let input = value["input_cost_per_token"]?.number, let output = value["output_cost_per_token"]?.number else {
                found.skipped += 1
                continue
            }
            let read = value["cache_read_input_token_cost"]?.number ?? input
            let write = value["cache_creation_input_token_cost"]?.number ?? input
            let scaled = [input, read, write, output].map { ($0 * 1e12).rounded() / 1e6 }
            add(member.name, value["litellm_provider"]?.text ?? "", scaled, &found)
            // Providers' own models stand there with the provider before their name.
            if let slash = member.name.lastIndex(of: "/") { add(String(member.name[member.name.index(after: slash)...]), "", scaled, &found) }
        }
        return found
    }

    private static func genai(_ providers: [JSONValue]) -> Found? {
        guard providers.contains(where: { $0["models"] != nil }) else { return nil }
        var found = Found()
        for provider in providers {
            guard case .array(let models)? = provider["models"] else { continue }
            for model in models {
                var prices = model["prices"] ?? .null
                // Of prices that changed, the last holds.
                if case .array(let list) = prices { prices = list.last?["prices"] ?? .null }
                guard let name = model["id"]?.text, let input = rate(prices["input_mtok"]), let output = rate(prices["output_mtok"]) else {
                    found.skipped += 1
                    continue
                }
                let numbers = [input, rate(prices["cache_read_mtok"]) ?? input, rate(prices["cache_write_mtok"]) ?? input, output]
                for one in [name] + equals(model["match"], depth: 0) { add(one, provider["id"]?.text ?? "", numbers, &found) }
            }
        }
        return found
    }

    /// A price in tiers begins with its base.
    private static func rate(_ value: JSONValue?) -> Double? { value?.number ?? value?["base"]?.number ?? value?.text.flatMap { Double(decimal: $0) } }

    /// Names that a rule of names says as they are.
    private static func equals(_ rule: JSONValue?, depth: Int) -> [String] {
        guard let rule, depth < 8 else { return [] }
        if let name = rule["equals"]?.text { return [name] }
        guard case .array(let rules)? = rule["or"] else { return [] }
        return rules.prefix(100).flatMap { equals($0, depth: depth + 1) }
    }

    private static func add(_ name: String, _ provider: String, _ numbers: [Double], _ found: inout Found) {
        let isPlain = !name.isEmpty && name.utf8.count <= 200 && !name.contains { $0 == "," || $0.isNewline || $0 == "#" }
        guard isPlain, numbers.count == 4, numbers.allSatisfy({ $0.isFinite && $0 >= 0 && $0 <= 100_000 }) else {
            found.skipped += 1
            return
        }
        let price = ModelPrice(model: name, input: numbers[0], cacheRead: numbers[1], cacheWrite: numbers[2], output: numbers[3])
        found.prices.append((price, provider.filter { $0 != "," && !$0.isNewline }))
    }
}
