/// Many short lists in one array: reading one touches no other storage than the two arrays.
struct FlatLists<Element: Sendable>: Sendable {
    private var starts: [Int32] = [0]
    private(set) var elements: [Element] = []

    init() {}

    init(_ lists: [[Element]]) {
        for list in lists {
            elements += list
            starts.append(Int32(truncatingIfNeeded: elements.count))
        }
    }

    /// Positions in `elements` of the list with that number.
    @inline(__always)
    func indices(_ list: Int) -> Range<Int> { Int(starts[list])..<Int(starts[list + 1]) }
}
