/// Which rows of a segment have a value in a column: a bit for each row, as it is stored. Public, so that loops over rows are one
/// function (docs/adr/0007).
public struct RowPresence: Sendable {
    @usableFromInline let words: [UInt64]
    /// For each word, how many rows before it have a value.
    @usableFromInline let ranks: [UInt32]
    public let valueCount: Int

    /// - Parameter words: a bit for each row, the first row lowest; none is set past the last row.
    init(words: [UInt64]) {
        self.words = words
        var count: UInt32 = 0
        ranks = words.map { word in
            defer { count &+= UInt32(truncatingIfNeeded: word.nonzeroBitCount) }
            return count
        }
        valueCount = Int(count)
    }

    /// - Parameter hasValue: for each row.
    init(rowCount: Int, _ hasValue: (Int) -> Bool) {
        var words = [UInt64](repeating: 0, count: (rowCount + 63) / 64)
        for row in 0..<rowCount where hasValue(row) { words[row >> 6] |= 1 << UInt64(row & 63) }
        self.init(words: words)
    }

    @inlinable
    @inline(__always)
    public func contains(_ row: Int) -> Bool { words[row >> 6] >> UInt64(row & 63) & 1 != 0 }

    /// The position of a row's value among all; -1 when it has none.
    @inlinable
    @inline(__always)
    public func position(_ row: Int) -> Int {
        let word = words[row >> 6]
        let bit = UInt64(1) << UInt64(row & 63)
        guard word & bit != 0 else { return -1 }
        return Int(ranks[row >> 6]) &+ (word & (bit &- 1)).nonzeroBitCount
    }

    /// Calls `body` with each row that has a value and the value's position.
    @inline(__always)
    func forEach(_ body: (_ row: Int, _ position: Int) -> Void) {
        var position = 0
        for index in words.indices {
            var bits = words[index]
            while bits != 0 {
                body(index << 6 | bits.trailingZeroBitCount, position)
                position &+= 1
                bits &= bits &- 1
            }
        }
    }
}

/// The same of a column that may not be there, or have a value in every row.
public enum ColumnPresence {
    case none, all
    case some(RowPresence)

    @inlinable
    public subscript(row: Int) -> Bool {
        switch self {
        case .none: false
        case .all: true
        case .some(let presence): presence.contains(row)
        }
    }
}

/// Numbers of one, two or four bytes each, read where they lie.
struct PackedNumbers {
    private let bytes: [UInt8]
    private let start: Int
    let width: Int
    let count: Int

    /// - Parameter range: of `count` times `width` bytes.
    init(_ bytes: [UInt8], _ range: Range<Int>, width: Int, count: Int) {
        self.bytes = bytes
        start = range.lowerBound
        self.width = width
        self.count = count
    }

    @inline(__always)
    subscript(position: Int) -> Int {
        switch width {
        case 1: return Int(bytes[start &+ position])
        case 2:
            let place = start &+ 2 &* position
            return Int(bytes[place]) | Int(bytes[place &+ 1]) << 8
        default:
            let place = start &+ 4 &* position
            return Int(bytes[place]) | Int(bytes[place &+ 1]) << 8 | Int(bytes[place &+ 2]) << 16 | Int(bytes[place &+ 3]) << 24
        }
    }

    /// The largest of them; -1 when there are none.
    var maximum: Int {
        guard width > 1 else { return bytes[start..<start + count].max().map { Int($0) } ?? -1 }
        return (0..<count).reduce(-1) { max($0, self[$1]) }
    }

    /// The bytes that they fill, least significant first in each number.
    var encoded: ArraySlice<UInt8> { bytes[start..<start + width * count] }
}
