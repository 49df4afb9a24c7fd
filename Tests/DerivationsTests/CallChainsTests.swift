import TelemetryTesting
import Testing

@testable import Derivations

/// Chains find every entry of a key that is still there, the latest first, however many there were before.
@Suite struct CallChainsTests {
    /// As those who keep entries use chains: what is found is compared by its key.
    private struct Queue {
        var chains = CallChains(links: 2)
        var keys: [Int: UInt64] = [:]
        var previous: [Int: UInt32] = [:]
        var (oldest, next): (Int, Int)
        let link: Int

        init(from number: Int, link: Int) { (oldest, next, self.link) = (number, number, link) }

        static func hash(_ key: UInt64) -> UInt64 { (key &+ 1) &* 0x9E37_79B9_7F4A_7C15 }

        mutating func append(_ key: UInt64) {
            if chains.needsRoom(for: next - oldest + 1) {
                chains.makeRoom(for: next - oldest + 1)
                for number in oldest..<next { previous[number] = chains.add(number, to: link, Self.hash(keys[number, default: 0]), oldest: oldest) }
            }
            previous[next] = chains.add(next, to: link, Self.hash(key), oldest: oldest)
            keys[next] = key
            next += 1
        }

        mutating func dropFirst() {
            keys[oldest] = nil
            previous[oldest] = nil
            oldest += 1
        }

        func numbers(of key: UInt64) -> [Int] {
            var found: [Int] = []
            var number = chains.latest(link, Self.hash(key), next: next)
            while number >= oldest {
                if keys[number] == key { found.append(number) }
                guard let distance = previous[number], distance > 0 else { break }
                number -= Int(distance)
            }
            return found
        }
    }

    /// Also where the lowest 32 bits of numbers begin again.
    @Test(arguments: [1, 2, 3] as [UInt64], [0, 1 << 32 - 12_000, 5 << 40 - 1] as [Int])
    func everyEntryOfAKeyIsFound(seed: UInt64, firstNumber: Int) {
        var random = SplitMix64(seed: seed)
        var queue = Queue(from: firstNumber, link: Int(seed % 2))
        #expect(queue.numbers(of: 1).isEmpty)
        for _ in 0..<30_000 {
            if queue.next > queue.oldest, Int.random(in: 0..<3, using: &random) == 0 { queue.dropFirst() }
            queue.append(UInt64.random(in: 0..<2_000, using: &random))
        }
        #expect(queue.next - queue.oldest > 16_384, "chains became more several times")
        for key in 0..<2_100 as Range<UInt64> {
            let wanted = queue.keys.filter { $0.value == key }.map(\.key).sorted(by: >)
            #expect(queue.numbers(of: key) == wanted)
        }
    }
}
