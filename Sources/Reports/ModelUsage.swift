import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// What calls of one model used and cost.
struct ModelUsage {
    struct Model: Hashable {
        @ByBytes var service: String?
        @ByBytes var workflow: String?
        @ByBytes var name: String?
    }

    var calls: Int64 = 0
    var tokens = TokenCounts()
    /// `nil` when a call has no price.
    var dollars: Double? = 0

    mutating func add(_ other: ModelUsage) {
        calls += other.calls
        tokens.add(other.tokens)
        dollars = dollars.flatMap { sum in other.dollars.map { sum + $0 } }
    }

    /// A call's tokens, without what a cache gave and took among the input, and its price.
    private mutating func add(_ tokens: TokenCounts, _ price: ModelPrice?) {
        calls += 1
        self.tokens.add(tokens)
        dollars = price.flatMap { price in dollars.map { $0 + tokens.dollars(at: price) } }
    }

    /// What models are told apart by within a segment: numbers of texts.
    private struct Kind: Hashable {
        var service: Int
        var workflow: Int
        var model: Int
    }

    /// The model calls of a segment that end at `from` or later; one without an end is as old as its start.
    static func read(
        _ segment: PassedSegment, from: Int64, _ book: PriceBook
    ) throws(SQLiteError) -> [(model: Model, usage: ModelUsage)] {
        let service = try segment.texts("service_name")
        let workflow = try segment.texts("call_workflow")
        let model = try segment.texts("model")
        let times = try segment.integers("latest_known_unix_nano")
        let columns = try PassedTokens(segment)
        let prices = model.texts.map { book.prices(of: $0) }
        var places: [Kind: Int] = [:]
        var usages: [(kind: Kind, usage: ModelUsage)] = []
        segment.forEachRow { row in
            guard let time = times[row], time >= from else { return }
            let kind = Kind(service: service.number(row), workflow: workflow.number(row), model: model.number(row))
            let place = places[kind] ?? usages.count
            if place == usages.count {
                places[kind] = place
                usages.append((kind, ModelUsage()))
            }
            let price = kind.model < 0 ? nil : prices[kind.model].first { $0.effectiveFromUnixNano <= time }
            usages[place].usage.add(columns.counts(row), price)
        }
        return usages.map { kind, usage in
            (
                Model(service: service.text(kind.service), workflow: workflow.text(kind.workflow), name: model.text(kind.model)),
                usage
            )
        }
    }
}
