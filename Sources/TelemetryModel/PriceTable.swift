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
    /// Of spans that give only a total; priced as output.
    package var unspecified: Int64 = 0

    package init() {}

    package var total: Int64 { [input, cacheRead, cacheWrite, output, unspecified].reduce(0, Self.sum) }

    /// Counts are what clients send: a sum stops at the end of `Int64`.
    package static func sum(_ left: Int64, _ right: Int64) -> Int64 {
        let (result, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : result
    }

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
    private var prices: [String: [ModelPrice]]

    package init(_ models: [ModelPrice] = []) {
        prices = Dictionary(grouping: models, by: \.model).mapValues { prices in
            prices.sorted { $0.effectiveFromUnixNano > $1.effectiveFromUnixNano }
        }
    }

    package var isEmpty: Bool { prices.isEmpty }

    /// A model's prices, latest first.
    package func prices(of model: String?) -> [ModelPrice] { model.flatMap { prices[$0] } ?? [] }

    /// The price that holds for a model at a time; `nil` when there is none.
    package func price(of model: String?, atUnixNano time: Int64) -> ModelPrice? {
        guard let model else { return nil }
        return prices[model]?.first { $0.effectiveFromUnixNano <= time }
    }
}
