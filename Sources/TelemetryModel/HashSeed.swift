/// What the places in a hash table depend on besides the bytes: two numbers that whoever sends the bytes does not know.
public struct HashSeed: Equatable, Sendable {
    public let first: UInt64
    public let second: UInt64

    public init(_ first: UInt64, _ second: UInt64) {
        self.first = first
        self.second = second
    }

    /// Drawn once a process: that of all tables that hold what clients send.
    public static let process = random()

    /// Another one: for a table in which too many bytes fell on one place.
    public static func random() -> HashSeed {
        HashSeed(.random(in: .min ... .max), .random(in: .min ... .max))
    }
}

extension ByteHash {
    /// The hash of `range` of `bytes`, which must lie inside, for tables that hold what clients send. Without the seed nobody can choose
    /// bytes that collide: each of the two words that are multiplied is first changed by a number that is not known.
    ///
    /// One multiplication is not enough for a table. Ids that count up are multiplied by one and the same number then; a number that ends in
    /// three zero bits, which every eighth seed makes, leaves an eighth of the places. The second multiplication spreads the high bits.
    @inlinable
    public static func hash(_ bytes: RawSpan, _ range: WireRange, _ seed: HashSeed) -> UInt64 {
        mix(fold(bytes, range, seed.first, seed.second), first)
    }

    /// The same of two words, such as those of a trace id.
    @inlinable
    @inline(__always)
    public static func hash(_ first: UInt64, _ second: UInt64, _ seed: HashSeed) -> UInt64 {
        mix(mix(first ^ seed.first, second ^ seed.second), Self.first)
    }
}
