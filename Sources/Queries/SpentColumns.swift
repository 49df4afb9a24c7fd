import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// What a segment's calls to models took, row by row: `SpendingSQL.ofRow` over columns.
struct SpentColumns {
    private let counts: PassedTokens
    private let total: PassedIntegers
    private let thought: PassedIntegers
    private let times: PassedIntegers
    private let models: PassedTexts
    /// Of each of the models, the latest first.
    private let prices: [[ModelPrice]]

    init(_ segment: PassedSegment, _ book: PriceBook) throws(SQLiteError) {
        counts = try PassedTokens(segment)
        total = try segment.integers("tokens")
        thought = try segment.integers("reasoning_tokens")
        times = try segment.integers("latest_known_unix_nano")
        models = try segment.texts("model")
        prices = models.texts.map { book.prices(of: $0) }
    }

    /// Adds the call of a row whose tokens count.
    func add(_ row: Int, to spending: inout Spending) {
        guard let tokens = total[row] else { return }
        let model = models.number(row)
        let price = model < 0 ? nil : prices[model].first { $0.effectiveFromUnixNano <= times[row] ?? 0 }
        spending.add(counts.counts(row), tokens: tokens, reasoning: thought[row], at: price)
    }
}
