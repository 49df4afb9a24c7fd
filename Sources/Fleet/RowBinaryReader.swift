/// Reads values of ClickHouse's format `RowBinary` from bytes that somebody else sent: nothing is taken that is not there.
struct RowBinaryReader {
    /// What is no such row, or ends within one.
    struct Problem: Error {
        var isRetryable: Bool { false }
    }

    /// Elements of a list or map: more than a span may have.
    private static let elementsMax: UInt64 = 1 << 20

    let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func text() throws(Problem) -> Range<Int> {
        let count = try varint()
        guard count <= UInt64(bytes.count - position) else { throw Problem() }
        let start = position
        position += Int(count)
        return start..<position
    }

    mutating func integer() throws(Problem) -> Int64 {
        guard bytes.count - position >= 8 else { throw Problem() }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[position + index]) << UInt64(8 * index) }
        position += 8
        return Int64(bitPattern: value)
    }

    /// `nil` for NULL.
    mutating func optionalInteger() throws(Problem) -> Int64? {
        guard position < bytes.count else { throw Problem() }
        position += 1
        return bytes[position - 1] == 0 ? try integer() : nil
    }

    /// How many elements follow.
    mutating func count() throws(Problem) -> Int {
        let count = try varint()
        guard count <= Self.elementsMax else { throw Problem() }
        return Int(count)
    }

    mutating func texts() throws(Problem) -> [Range<Int>] {
        var texts: [Range<Int>] = []
        for _ in 0..<(try count()) { texts.append(try text()) }
        return texts
    }

    mutating func integers() throws(Problem) -> [Int64] {
        var integers: [Int64] = []
        for _ in 0..<(try count()) { integers.append(try integer()) }
        return integers
    }

    /// The pairs of a map, and where all of it lies.
    mutating func map() throws(Problem) -> RowMap {
        let start = position
        var pairs: [(key: Range<Int>, value: Range<Int>)] = []
        for _ in 0..<(try count()) { pairs.append((try text(), try text())) }
        return RowMap(pairs: pairs, range: start..<position)
    }

    mutating func maps() throws(Problem) -> [RowMap] {
        var maps: [RowMap] = []
        for _ in 0..<(try count()) { maps.append(try map()) }
        return maps
    }

    private mutating func varint() throws(Problem) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 63, by: 7) {
            guard position < bytes.count else { throw Problem() }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw Problem()
    }
}

/// A map of texts, by where they lie.
struct RowMap {
    var pairs: [(key: Range<Int>, value: Range<Int>)]
    var range: Range<Int>
}
