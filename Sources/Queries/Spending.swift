import SQLite
package import TelemetryModel

/// What calls to models took: tokens by type, and their price as far as it is known.
package struct Spending: Equatable, Sendable {
    /// By type; the types do not overlap.
    package var counts = TokenCounts()
    /// A part of the output.
    package var reasoning: Int64 = 0
    /// All tokens as the calls tell them; `nil` without a call that has any.
    package var tokens: Int64?
    /// What the tokens cost, as far as their models have prices; `nil` when none has. With `unpricedTokens` it is the least that they cost.
    package var dollars: Double?
    /// Of the tokens, those of models without a price.
    package var unpricedTokens: Int64 = 0

    package init() {}

    /// Reads what `SpendingSQL.names` name, in that order.
    init(_ row: ArraySlice<QueryValue>) {
        let values = Array(row)
        guard values.count == SpendingSQL.names.count else { return }
        tokens = values[0].integer
        counts.input = values[1].integer ?? 0
        counts.cacheRead = values[2].integer ?? 0
        counts.cacheWrite = values[3].integer ?? 0
        counts.output = values[4].integer ?? 0
        reasoning = values[5].integer ?? 0
        counts.unspecified = values[6].integer ?? 0
        dollars = values[7].double
        unpricedTokens = values[8].integer ?? 0
    }

    /// Adds a call.
    ///
    /// - Parameter price: of its model at its end; `nil` when there is none.
    mutating func add(_ call: TokenCounts, tokens count: Int64, reasoning thought: Int64?, at price: ModelPrice?) {
        counts.add(call)
        tokens = TokenCounts.sum(tokens ?? 0, count)
        reasoning = TokenCounts.sum(reasoning, max(0, thought ?? 0))
        if let price { dollars = (dollars ?? 0) + call.dollars(at: price) } else { unpricedTokens = TokenCounts.sum(unpricedTokens, count) }
    }

    /// Names and values as the API and the terminal show them.
    package var fields: [(String, QueryValue)] {
        let values: [QueryValue] = [
            tokens.map(QueryValue.integer) ?? .null, .integer(counts.input), .integer(counts.cacheRead), .integer(counts.cacheWrite),
            .integer(counts.output), .integer(reasoning), .integer(counts.unspecified), dollars.map(QueryValue.double) ?? .null,
            .integer(unpricedTokens),
        ]
        return Array(zip(SpendingSQL.names, values))
    }

    /// Dollars as people read them; with `≥` where a model has no price, `nil` where none has.
    package var dollarsText: String? {
        guard let dollars else { return nil }
        let scale = dollars < 0.01 ? 1e6 : 1e4
        return (unpricedTokens > 0 ? "≥ " : "") + "\((dollars * scale).rounded() / scale)"
    }
}

/// The same in SQL: of one span, and summed over a trace, a conversation or a user. Every list of the API has its figures from here.
enum SpendingSQL {
    /// What sums are called, in the order in which `sums` gives them.
    static let names = [
        "tokens", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "unspecified_tokens", "dollars",
        "unpriced_tokens",
    ]

    /// Columns of a row of `table`, which has the columns of `spans`, for `sums` to add up: NULL where the span's tokens do not count.
    static func ofRow(_ table: String) -> String {
        let types = ["input", "cache_read", "cache_write", "output", "unspecified"].map { type in
            "token_count('\(type)', tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens)"
        }
        let values = ["tokens", types[0], types[1], types[2], types[3], "reasoning_tokens", types[4], DollarsSQL.of(table)]
        return zip(names, values).map { "CASE WHEN counts_tokens = 1 THEN \($1) END AS spent_\($0)" }.joined(separator: ", ")
    }

    /// Sums over rows that have the columns of `ofRow`.
    static let sums =
        names.dropLast().map { name in
            name == "dollars" ? "sum(spent_dollars) AS dollars" : "saturated_sum(spent_\(name)) AS \(name)"
        }.joined(separator: ", ")
        + ", coalesce(saturated_sum(CASE WHEN spent_dollars IS NULL THEN spent_tokens END), 0) AS unpriced_tokens"
}
