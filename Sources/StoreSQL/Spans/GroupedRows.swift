/// Rows that are to follow each other.
struct RowGroup {
    let segment: SegmentRows
    var rows: [Int32]
    /// Whether no more rows of its segment come after these.
    var isLast = false
}

/// Spans of several segments, group after group.
protocol RowGroups: AnyObject {
    /// The next rows; `nil` at the end.
    func next() throws -> RowGroup?
}

/// Spans of several segments in the order of some texts: the rows of each segment are put into groups of one combination each, and the
/// groups are sorted, which compares no rows. Holds all segments open.
final class GroupedRows: RowGroups {
    /// With more spans SQLite sorts, which needs less memory.
    static let spansMax = 4_000_000
    /// With more columns SQLite sorts.
    static let columnsMax = 4

    private var groups: [RowGroup] = []
    private var nextGroup = 0

    init(_ entries: [SegmentCatalog.Entry], _ orders: [SpansPlan.Order], _ segments: ScanSegments) throws {
        var texts: [[[UInt8]?]] = []
        for entry in entries {
            guard let opened = try segments.open(entry) else { continue }
            for group in try opened.segment.groups(columns: orders.map(\.column), opened.rows) {
                texts.append(group.texts)
                groups.append(RowGroup(segment: opened.segment, rows: group.rows))
            }
        }
        let ranks = Self.ranks(texts, orders)
        groups = groups.indices.sorted { ranks[$0] < ranks[$1] }.map { groups[$0] }
        var seen: Set<ObjectIdentifier> = []
        for index in groups.indices.reversed() {
            groups[index].isLast = seen.insert(ObjectIdentifier(groups[index].segment)).inserted
        }
    }

    /// For each combination of texts its place in the order; the same for the same texts.
    private static func ranks(_ texts: [[[UInt8]?]], _ orders: [SpansPlan.Order]) -> [Int] {
        var ranks = [Int](repeating: 0, count: texts.count)
        for (column, order) in orders.enumerated() {
            let sorted = Set(texts.compactMap { $0[column] }).sorted { $0.lexicographicallyPrecedes($1) }
            // NULL, 0, comes before any text.
            var places: [[UInt8]: Int] = [:]
            for (place, text) in sorted.enumerated() { places[text] = place + 1 }
            let combined = texts.indices.map { index -> Int in
                let place = texts[index][column].flatMap { places[$0] } ?? 0
                return ranks[index] * (sorted.count + 1) + (order.isDescending ? sorted.count - place : place)
            }
            // Counted anew, so that they stay small however many columns there are.
            var dense: [Int: Int] = [:]
            for (place, rank) in Set(combined).sorted().enumerated() { dense[rank] = place }
            ranks = combined.map { dense[$0] ?? 0 }
        }
        return ranks
    }

    /// The next rows, all of the same texts; `nil` at the end.
    func next() -> RowGroup? {
        guard nextGroup < groups.count else { return nil }
        defer {
            groups[nextGroup].rows = []
            nextGroup += 1
        }
        return groups[nextGroup]
    }
}
