import TelemetryModel

/// The columns of all segments that are merged: each once, and which line of which directory it is.
///
/// Directories have no order that could be searched, and hundreds of them are merged at once: they are gone through once, here.
struct MergedColumns {
    struct Column {
        let space: ColumnSpace
        let name: String
        /// Where the inputs have it, in their order; inputs without it are left out.
        fileprivate(set) var lines: [Line]
        /// The column that came behind this one in the last input that had it: a guess, since commits have much the same columns.
        fileprivate var follower: Int?
    }

    struct Line {
        let input: Int
        /// The place in the input's directory.
        let line: Int
    }

    private struct Key: Hashable {
        let space: ColumnSpace
        let name: ExactText
    }

    /// In the order of first appearance.
    private(set) var columns: [Column] = []
    private var numbers: [Key: Int] = [:]

    init(_ inputs: [SegmentReader]) {
        for (index, input) in inputs.enumerated() {
            var previous: Int?
            for line in input.directory.columns.indices {
                let number = number(input.directory.columns[line], behind: previous)
                // The first counts, as for every reader.
                if columns[number].lines.last?.input != index { columns[number].lines.append(Line(input: index, line: line)) }
                if let previous { columns[previous].follower = number }
                previous = number
            }
        }
    }

    private mutating func number(_ entry: ColumnEntry, behind previous: Int?) -> Int {
        let guess = previous == nil ? 0 : columns[previous ?? 0].follower ?? columns.count
        if guess < columns.count, columns[guess].space == entry.space, columns[guess].name.isExactly(entry.name) { return guess }
        let key = Key(space: entry.space, name: ExactText(entry.name))
        if let known = numbers[key] { return known }
        numbers[key] = columns.count
        columns.append(Column(space: entry.space, name: entry.name, lines: [], follower: nil))
        return columns.count - 1
    }

    /// The columns of a space, in the order of first appearance.
    func all(_ space: ColumnSpace) -> some Sequence<Column> { columns.lazy.filter { $0.space == space } }

    /// `nil` when no input has it.
    func column(_ space: ColumnSpace, _ name: String) -> Column? {
        numbers[Key(space: space, name: ExactText(name))].map { columns[$0] }
    }
}
