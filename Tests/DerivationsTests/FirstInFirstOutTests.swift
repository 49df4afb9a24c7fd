import TelemetryTesting
import Testing

@testable import Derivations

@Suite struct FirstInFirstOutTests {
    @Test(arguments: 0..<8)
    func elementsKeepTheirNumberWhateverComesAndGoes(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let firstNumber = Int.random(in: 0...2_000, using: &random)
        var queue = FirstInFirstOut<Int>(firstNumber: firstNumber)
        var expected: [Int: Int] = [:]
        var range = firstNumber..<firstNumber
        for _ in 0..<60 {
            // Long enough to pass several chunks, and to leave several at once.
            for _ in 0..<Int.random(in: 0...1_500, using: &random) {
                let value = Int.random(in: 0...1_000_000, using: &random)
                expected[range.upperBound] = value
                range = range.lowerBound..<range.upperBound + 1
                queue.append(value)
            }
            if let number = range.randomElement(using: &random) {
                #expect(queue.update(number) { $0 += 1 })
                expected[number]? += 1
                #expect(queue[number] == expected[number])
                #expect(queue[known: number] == expected[number])
            }
            let kept = queue
            for _ in 0..<Int.random(in: 0...1_800, using: &random) where !range.isEmpty {
                #expect(queue.first == expected[range.lowerBound])
                if Int.random(in: 0..<400, using: &random) == 0 {
                    let several = Int.random(in: 0...1_200, using: &random)
                    queue.dropFirst(several)
                    range = min(range.upperBound, range.lowerBound + several)..<range.upperBound
                    continue
                }
                if Bool.random(using: &random) {
                    #expect(queue.popFirst() == expected[range.lowerBound])
                } else {
                    queue.dropFirst()
                }
                range = range.lowerBound + 1..<range.upperBound
            }
            // A copy is not moved by what the other one does.
            #expect(kept.nextNumber == range.upperBound)
            #expect(kept.first == expected[kept.firstNumber])
            #expect(queue.isEmpty == range.isEmpty)
            #expect(queue.count == range.count)
            #expect(queue.firstNumber == range.lowerBound)
            #expect(queue.nextNumber == range.upperBound)
            #expect(queue[range.lowerBound - 1] == nil)
            #expect(queue[range.upperBound] == nil)
            #expect(!queue.update(range.upperBound) { $0 = 0 })
            #expect(range.allSatisfy { queue[$0] == expected[$0] })
            var seen: [Int] = []
            let middle = range.isEmpty ? range : range.lowerBound..<Int.random(in: range, using: &random)
            queue.forEach(middle) { number, element in if element == expected[number] { seen.append(number) } }
            #expect(seen == Array(middle))
        }
        for number in range { #expect(queue.popFirst() == expected[number]) }
        #expect(queue.popFirst() == nil)
        queue.append(7)
        #expect(queue[range.upperBound] == 7)
    }
}
