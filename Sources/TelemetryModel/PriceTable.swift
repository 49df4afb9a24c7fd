/// What a model's tokens cost from a time on: dollars a million tokens.
package struct ModelPrice: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// Billed by the token.
        case api
        /// Runs on a machine of ours: its prices are explicit zeros, the machine's rent is counted apart.
        case local
    }

    package var model: String
    /// Nanoseconds since 1970.
    package var effectiveFromUnixNano: Int64
    package var kind: Kind
    package var input: Double
    package var cacheRead: Double
    package var cacheWrite: Double
    package var output: Double
    package var source: String?

    /// What the source of a price begins with that comes from a public list, built in or imported, and is not the user's own.
    package static let listSource = "list price,"

    package var isListPrice: Bool { source?.hasPrefix(Self.listSource) == true }

    package init(
        model: String, effectiveFromUnixNano: Int64 = 0, kind: Kind = .api, input: Double, cacheRead: Double, cacheWrite: Double,
        output: Double, source: String? = nil
    ) {
        self.model = model
        self.effectiveFromUnixNano = effectiveFromUnixNano
        self.kind = kind
        self.input = input
        self.cacheRead = cacheRead
        self.cacheWrite = cacheWrite
        self.output = output
        self.source = source
    }
}

/// Tokens of a call by type; the types do not overlap.
package struct TokenCounts: Equatable, Sendable {
    package var input: Int64 = 0
    package var cacheRead: Int64 = 0
    package var cacheWrite: Int64 = 0
    package var output: Int64 = 0
    /// What a given total has beyond the types that are given beside it, which is all of it where none is; priced as output.
    package var unspecified: Int64 = 0

    package init() {}

    /// The types of a call's tokens as its span tells them, by the one rule of docs/metrics.md 2.16; negative counts are as 0.
    ///
    /// Told once more with `total` as its total, a call has the same types.
    ///
    /// - Parameters:
    ///   - total: what it has beyond the other counts is unspecified.
    ///   - input: mostly with what was read from and written to a cache. It is without where it has no room for that, or where the total
    ///     is the sum of them all.
    ///   - cacheWrite: a part of the input, and nothing without one.
    package init(total: Int64?, input: Int64?, output: Int64?, cacheRead: Int64?, cacheWrite: Int64?) {
        guard total != nil || input != nil || output != nil else { return }
        let given = max(0, input ?? 0)
        self.cacheRead = max(0, cacheRead ?? 0)
        self.cacheWrite = input == nil ? 0 : max(0, cacheWrite ?? 0)
        self.output = max(0, output ?? 0)
        let cache = Self.sum(self.cacheRead, self.cacheWrite)
        let whole = Self.sum(Self.sum(given, cache), self.output)
        // A sum that stopped at the end of `Int64` is none that a total could tell.
        let isWithoutCache = cache > given || total == whole && whole < .max
        // Differences of what is not negative do not overflow.
        self.input = isWithoutCache ? given : given - cache
        unspecified = max(0, max(0, total ?? 0) - self.total)
    }

    /// All of them: what every door calls a call's tokens.
    package var total: Int64 { Self.sum(Self.sum(Self.sum(input, cacheRead), Self.sum(cacheWrite, output)), unspecified) }

    /// Counts are what clients send: a sum stops at the end of `Int64`.
    package static func sum(_ left: Int64, _ right: Int64) -> Int64 { left.addingSaturated(right) }

    /// Adds a call's tokens.
    package mutating func add(_ other: TokenCounts) {
        input = Self.sum(input, other.input)
        cacheRead = Self.sum(cacheRead, other.cacheRead)
        cacheWrite = Self.sum(cacheWrite, other.cacheWrite)
        output = Self.sum(output, other.output)
        unspecified = Self.sum(unspecified, other.unspecified)
    }

    package func dollars(at price: ModelPrice) -> Double {
        (Double(input) * price.input + Double(cacheRead) * price.cacheRead + Double(cacheWrite) * price.cacheWrite
            + Double(output) * price.output + Double(unspecified) * price.output) / 1e6
    }

    /// The same in whole nano-dollars, as counters keep them; 0 past `Int64`.
    package func nanoDollars(at price: ModelPrice) -> Int64 { Int64(saturating: (dollars(at: price) * 1e9).rounded()) }
}

/// A rented machine.
package struct HostRent: Equatable, Sendable {
    package var host: String
    package var dollarsPerHour: Double
    package var gpus: Int64 = 0
    /// Billing is by whole units of this many seconds.
    package var granularitySeconds: Int64 = 1
    /// When the machine was started and stopped; without them the window asked about is billed.
    package var billedFromUnixNano: Int64?
    package var billedUntilUnixNano: Int64?

    package init(host: String, dollarsPerHour: Double) {
        self.host = host
        self.dollarsPerHour = dollarsPerHour
    }
}

/// A link whose traffic costs.
package struct EgressPrice: Equatable, Sendable {
    package var link: String
    package var dollarsPerUnit: Double
    package var freeUnits: Double = 0
    package var unitBytes: Int64 = 1_000_000_000

    package init(link: String, dollarsPerUnit: Double) {
        self.link = link
        self.dollarsPerUnit = dollarsPerUnit
    }
}

/// Everything that costs, as `prices.yaml` says it.
package struct PriceTable: Equatable, Sendable {
    package enum Limits {
        package static let rowsMax = 10_000
    }

    package var models: [ModelPrice] = []
    package var hosts: [HostRent] = []
    package var links: [EgressPrice] = []

    package init() {}

    /// The same in the order of the tables' keys.
    package var sorted: PriceTable {
        var table = self
        table.models.sort { ($0.model, $0.effectiveFromUnixNano) < ($1.model, $1.effectiveFromUnixNano) }
        table.hosts.sort { $0.host < $1.host }
        table.links.sort { $0.link < $1.link }
        return table
    }
}

/// Prices by model, for look-ups.
package struct PriceBook: Sendable {
    /// By model, latest first.
    private var prices: [ExactText: [ModelPrice]]

    package init(_ models: [ModelPrice] = []) {
        prices = Dictionary(grouping: models) { ExactText($0.model) }.mapValues { prices in
            prices.sorted { $0.effectiveFromUnixNano > $1.effectiveFromUnixNano }
        }
    }

    package var isEmpty: Bool { prices.isEmpty }

    /// A model's prices, latest first.
    package func prices(of model: String?) -> [ModelPrice] { model.flatMap { prices[ExactText($0)] } ?? [] }

    /// The price that holds for a model at a time; `nil` when there is none.
    package func price(of model: String?, atUnixNano time: Int64) -> ModelPrice? {
        guard let model else { return nil }
        return prices[ExactText(model)]?.first { $0.effectiveFromUnixNano <= time }
    }
}
