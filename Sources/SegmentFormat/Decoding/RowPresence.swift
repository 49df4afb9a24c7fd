/// A set of a segment's rows: a bit for each. Public, so that loops over rows are one function (docs/adr/0007).
public struct RowBits: Sendable {
    /// The first row lowest; no bit is set past the last row.
    public var words: [UInt64]

    /// An empty set.
    public init(rowCount: Int) {
        words = [UInt64](repeating: 0, count: (rowCount + 63) / 64)
    }

    /// Adds a row, which must be below the count of rows.
    @inlinable
    @inline(__always)
    public mutating func insert(_ row: Int) { words[row >> 6] |= 1 << UInt64(row & 63) }

    /// Takes a row out.
    @inlinable
    @inline(__always)
    public mutating func remove(_ row: Int) { words[row >> 6] &= ~(1 << UInt64(row & 63)) }

    @inlinable
    @inline(__always)
    public func contains(_ row: Int) -> Bool { words[row >> 6] >> UInt64(row & 63) & 1 != 0 }
}

/// Which rows of a segment have a value in a column, and where it is among all.
public struct RowPresence: Sendable {
    public let bits: RowBits
    /// For each word of the bits, how many rows before it have a value.
    public let ranks: [UInt32]
    /// How many rows have a value.
    public let valueCount: Int

    /// Those rows have a value.
    public init(_ bits: RowBits) {
        self.bits = bits
        var count: UInt32 = 0
        ranks = bits.words.map { word in
            defer { count &+= UInt32(truncatingIfNeeded: word.nonzeroBitCount) }
            return count
        }
        valueCount = Int(count)
    }

    @inlinable
    @inline(__always)
    public func contains(_ row: Int) -> Bool { bits.contains(row) }

    /// The position of a row's value among all; -1 when it has none.
    @inlinable
    @inline(__always)
    public func position(_ row: Int) -> Int { Self.position(row, word: bits.words[row >> 6], rank: ranks[row >> 6]) }

    /// The same by the row's word and that word's rank, wherever these lie.
    @inlinable
    @inline(__always)
    public static func position(_ row: Int, word: UInt64, rank: UInt32) -> Int {
        let bit = UInt64(1) << UInt64(row & 63)
        return word & bit == 0 ? -1 : Int(rank) &+ (word & (bit &- 1)).nonzeroBitCount
    }

    /// Calls `body` with each row that has a value and the value's position.
    @inlinable
    @inline(__always)
    public func forEach(_ body: (_ row: Int, _ position: Int) -> Void) {
        var position = 0
        for (index, word) in bits.words.enumerated() {
            var rest = word
            while rest != 0 {
                body(index << 6 | rest.trailingZeroBitCount, position)
                position &+= 1
                rest &= rest &- 1
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
public struct PackedNumbers {
    @usableFromInline let bytes: [UInt8]
    @usableFromInline let start: Int
    /// Bytes of each.
    public let width: Int
    /// How many there are.
    public let count: Int

    /// - Parameter range: of `count` times `width` bytes.
    init(_ bytes: [UInt8], _ range: Range<Int>, width: Int, count: Int) {
        self.bytes = bytes
        start = range.lowerBound
        self.width = width
        self.count = count
    }

    /// One of them, which must be below `count`.
    @inlinable
    @inline(__always)
    public subscript(position: Int) -> Int {
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

    /// All of them, in their order.
    public var all: [Int32] {
        [Int32](unsafeUninitializedCapacity: count) { numbers, filled in
            bytes.withUnsafeBytes { bytes in
                let source = UnsafeRawBufferPointer(rebasing: bytes[start..<start + width * count])
                switch width {
                case 1: for index in 0..<count { numbers[index] = Int32(source[index]) }
                case 2:
                    for index in 0..<count {
                        numbers[index] = Int32(source.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self).littleEndian)
                    }
                default:
                    for index in 0..<count {
                        let number = source.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self).littleEndian
                        numbers[index] = Int32(truncatingIfNeeded: number)
                    }
                }
            }
            filled = count
        }
    }

    /// The largest of them; -1 when there are none.
    var maximum: Int {
        guard width > 1 else { return bytes[start..<start + count].max().map { Int($0) } ?? -1 }
        return (0..<count).reduce(-1) { max($0, self[$1]) }
    }

    /// The bytes that they fill, least significant first in each number.
    public var encoded: ArraySlice<UInt8> { bytes[start..<start + width * count] }
}
