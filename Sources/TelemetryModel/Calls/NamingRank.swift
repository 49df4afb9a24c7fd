/// Where a span stands among those of its trace that name something of the whole trace, such as its workflow or its session: docs/metrics.md
/// 2.12. The root's name counts, else that of the span that started first. The one rule for counters, views and SQL's `first_of`.
package struct NamingRank: BitwiseCopyable, Sendable {
    package var isChild: Bool
    /// Nanoseconds since 1970, here and below.
    package var start: Int64
    package var end: Int64
    /// The span's id.
    package var span: UInt64

    package init(isChild: Bool, start: Int64, end: Int64, span: UInt64) {
        self.isChild = isChild
        self.start = start
        self.end = end
        self.span = span
    }

    /// Of spans that started together the one that ended last comes first, then the one with the smaller id.
    package func precedes(_ other: NamingRank) -> Bool {
        if isChild != other.isChild { return !isChild }
        if start != other.start { return start < other.start }
        return end != other.end ? end > other.end : span < other.span
    }
}
