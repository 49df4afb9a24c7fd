import TelemetryTesting
import Testing

@testable import SegmentFormat

/// Numbers that are read where they lie, one by one and all at once.
@Suite struct PackedNumbersTests {
    @Test(arguments: [1, 2, 4])
    func allOfThemAreEachOfThem(width: Int) {
        var random = SplitMix64(seed: UInt64(width))
        for count in [0, 1, 7, 300] {
            // Numbers may not begin at the first byte, nor at a multiple of their width.
            let before = Int.random(in: 0...5, using: &random)
            let bytes = (0..<before + width * count + 3).map { index in
                // No number has its highest bit: places in a dictionary are never so many.
                index >= before && (index - before) % width == width - 1 ? UInt8.random(in: 0...127, using: &random) : UInt8.random(in: 0...255, using: &random)
            }
            let numbers = PackedNumbers(bytes, before..<before + width * count, width: width, count: count)
            #expect(numbers.all.map(Int.init) == (0..<count).map { numbers[$0] })
            #expect(numbers.maximum == numbers.all.map(Int.init).max() ?? -1)
        }
    }
}
