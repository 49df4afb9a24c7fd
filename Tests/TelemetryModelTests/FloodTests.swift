import Testing

@testable import TelemetryModel

/// Byte strings that were chosen to collide cost what random ones cost. What is counted is probes, not time.
@Suite struct FloodTests {
    private static let count = 60_000
    /// The numbers of the hash that is stored, which everybody knows.
    static let known = HashSeed(ByteHash.first, ByteHash.second)

    private static func bytes(_ words: UInt64...) -> [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }

    /// Keys of 16 bytes that all have one hash under a seed: in their first block something is multiplied with 0.
    private static func colliding(under seed: HashSeed, inFirstWord: Bool) -> [[UInt8]] {
        (0..<UInt64(count)).map { number in
            inFirstWord ? bytes(seed.first ^ 16, number) : bytes(number, seed.second)
        }
    }

    private static func random() -> [[UInt8]] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in bytes(generator.next(), generator.next()) }
    }

    private static func probes(_ keys: [[UInt8]], _ table: ByteStringTable) -> Int {
        var table = table
        for key in keys { _ = table.insert(WireRange(offset: 0, count: key.count), in: key.span.bytes) }
        #expect(table.count == keys.count)
        for (number, key) in keys.enumerated() where number % 1_000 == 0 {
            #expect(table.find(WireRange(offset: 0, count: key.count), in: key.span.bytes) == number)
        }
        return table.probeCount
    }

    @Test(arguments: [true, false])
    func keysMadeForAKnownSeedCostNoMoreThanTwiceRandomOnes(inFirstWord: Bool) {
        let random = Self.probes(Self.random(), ByteStringTable())
        let seed = HashSeed(11, 12)
        let crafted = Self.colliding(under: seed, inFirstWord: inFirstWord)
        #expect(Set(crafted.map { ByteHash.hash($0.span.bytes, WireRange(offset: 0, count: 16), seed) }).count == 1)
        #expect(Self.probes(crafted, ByteStringTable(seed: seed)) <= 2 * random)
    }

    @Test(arguments: [true, false])
    func keysMadeForTheStoredHashCostNoMoreThanTwiceRandomOnes(inFirstWord: Bool) {
        let crafted = Self.colliding(under: Self.known, inFirstWord: inFirstWord)
        let range = WireRange(offset: 0, count: 16)
        #expect(Set(crafted.map { ByteHash.hash($0.span.bytes, range) }).count == 1)
        #expect(Self.probes(crafted, ByteStringTable()) <= 2 * Self.probes(Self.random(), ByteStringTable()))
        // Nor do they collide under another seed: the hash has no keys that it takes to one place whatever the seed.
        #expect(Set(crafted.map { ByteHash.hash($0.span.bytes, range, .random()) }).count == Self.count)
    }

    /// Ids that count up, as a hand-written client makes them, fill a table as random ones do, whatever the seed: 4,096 of them on 8,192 places
    /// leave at least 2,800 places taken (random ones: 3,223).
    @Test func idsThatCountUpSpreadUnderEverySeed() {
        func placesTaken(_ hash: (UInt64) -> UInt64) -> Int { Set((0..<4_096).map { hash($0) & 8_191 }).count }
        // Seeds whose second word ends in few and in many zero bits, with every kind of first word.
        for number in 0..<256 as Range<UInt64> {
            let seed = HashSeed(ByteHash.mix(number + 1, ByteHash.first), ByteHash.mix(number + 1, ByteHash.second) << (number & 31))
            #expect(placesTaken { ByteHash.hash($0, 0, seed) } > 2_800, "ids that differ in the first word, seed \(number)")
            #expect(placesTaken { ByteHash.hash(7, $0, seed) } > 2_800, "ids that differ in the second word, seed \(number)")
            for count in [3, 8, 16] {
                let texts = placesTaken {
                    let text = Self.bytes($0, 0)
                    return ByteHash.hash(text.span.bytes, WireRange(offset: 0, count: count), seed)
                }
                #expect(texts > 2_800, "texts of \(count) bytes, seed \(number)")
            }
        }
    }

    @Test func theStoredHashIsWhatItWas() {
        let text = Array("The quick brown fox jumps over the lazy dog".utf8)
        let hashes = [0, 3, 7, 12, 16, 43].map { ByteHash.hash(text.span.bytes, WireRange(offset: 0, count: $0)) }
        #expect(
            hashes == [
                0x7754_DFAE_1924_3A04, 0x5F0A_4D89_0914_A960, 0x22A8_C786_2241_DD86,
                0x1B19_2200_BBB5_B973, 0x07B5_64F8_B966_181B, 0xE207_5A86_6AED_745E,
            ])
    }
}
