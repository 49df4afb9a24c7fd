package import SpanStore

/// Which spans a question reads. A data folder has all of them; an engine is asked for those that are needed.
///
/// What is needed are always whole traces: which spans tell of one call, and whose child each is, is seen in nothing less.
package enum SpanNeed: Hashable, Sendable {
    /// More than spans: counters, breakers, evals, or what was received last. Only a node has it.
    case node
    /// No span at all.
    case nothing
    /// A trace, by its 32 hexadecimal digits.
    case trace(String)
    /// What has an id that is, or begins with, these hexadecimal digits.
    case identity(String)
    /// The traces of a conversation.
    case session(String)
    /// The traces of which a span ran at some time from the first up to, and without, the last.
    case window(from: Int64, to: Int64)

    package static func window(_ window: TimeWindow) -> SpanNeed { .window(from: window.from, to: window.to) }
}

/// Where the spans of questions come from that are in no data folder of this machine.
///
/// Contract, to which `Tests/EndToEnd/test_clickhouse_engine.py` holds both sides: over what `folder` gives, every question of `Queries` and
/// `Reports` that says its need has the answer that a node gives which stored the same spans.
/// - Each call gives a store of its own or one that nobody changes any more: it may be shared.
/// - In it a trace's spans are in the order in which they arrived; traces follow each other in no order.
/// - It blocks, and is called on threads that may. It ends in about `seconds`, with an answer or an error.
/// - It gives all that is needed or an error, never a part. How many spans that may be is its own to say.
package protocol SpanSupply: Sendable {
    /// A store that has what is needed. It is there for as long as what is given with it is held.
    func folder(of need: SpanNeed, seconds: Int) throws(QueryError) -> (folder: StoreFolder, held: any AnyObject & Sendable)
}
