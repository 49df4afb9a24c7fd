/// Spans of several segments in the order of a text: the rows of each segment are put into groups of one text each, and the groups
/// are sorted, which compares no rows. Holds all segments open.
final class GroupedRows {
    /// With more spans SQLite sorts, which needs less memory.
    static let spansMax = 4_000_000

    struct Group {
        let segment: SegmentRows
        var rows: [Int32]
        fileprivate var rank: Int
        /// Whether no more rows of its segment come after these.
        var isLast = false
    }

    private var groups: [Group] = []
    private var nextGroup = 0

    init(
        _ entries: [SegmentCatalog.Entry], _ order: SpansPlan.Order,
        open: (SegmentCatalog.Entry) throws -> (segment: SegmentRows, rows: [Int32]?)?
    ) throws {
        var gathered: [(text: [UInt8]?, group: Group)] = []
        for entry in entries {
            guard let opened = try open(entry) else { continue }
            for (text, rows) in try opened.segment.groups(column: order.column, opened.rows) {
                gathered.append((text, Group(segment: opened.segment, rows: rows, rank: 0)))
            }
        }
        let texts = Set(gathered.compactMap(\.text)).sorted { $0.lexicographicallyPrecedes($1) }
        var ranks: [[UInt8]: Int] = [:]
        for (rank, text) in texts.enumerated() { ranks[text] = rank + 1 }
        // NULL comes before any text.
        groups = gathered.map { text, group in
            var group = group
            group.rank = text.flatMap { ranks[$0] } ?? 0
            return group
        }
        groups.sort { order.isDescending ? $0.rank > $1.rank : $0.rank < $1.rank }
        var seen: Set<ObjectIdentifier> = []
        for index in groups.indices.reversed() {
            groups[index].isLast = seen.insert(ObjectIdentifier(groups[index].segment)).inserted
        }
    }

    /// The next rows, all of one text; `nil` at the end.
    func next() -> Group? {
        guard nextGroup < groups.count else { return nil }
        defer {
            groups[nextGroup].rows = []
            nextGroup += 1
        }
        return groups[nextGroup]
    }
}
