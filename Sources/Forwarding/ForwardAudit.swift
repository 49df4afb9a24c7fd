/// Compares how many a node sent with how many an engine has, stretch by stretch of ordinals.
package struct ForwardAudit: Sendable {
    /// Ordinals that are counted together.
    package static let stretch: Int64 = 10_000

    /// A stretch of which the engine lacks some.
    package struct Gap: Equatable, Sendable {
        package var ordinals: Range<Int64>
        /// Stored here, and neither gone nor refused there.
        package var sent: Int64
        package var there: Int64
    }

    package private(set) var sent: Int64 = 0
    package private(set) var gaps: [Gap] = []

    package var missing: Int64 { gaps.reduce(0) { $0 + $1.sent - $1.there } }

    /// - Parameters:
    ///   - stored: ranges of ordinals that are stored here and were sent, ascending and apart.
    ///   - refused: ordinals that the engine did not take.
    ///   - there: by the number of a stretch how many the engine has of it.
    package init(stored: [Range<Int64>], refused: Set<Int64>, there: [Int64: Int64]) {
        var counts: [(stretch: Int64, count: Int64)] = []
        for range in stored {
            var next = range.lowerBound
            while next < range.upperBound {
                let number = next / Self.stretch
                let end = min(range.upperBound, (number + 1) * Self.stretch)
                if counts.last?.stretch == number {
                    counts[counts.count - 1].count += end - next
                } else {
                    counts.append((number, end - next))
                }
                next = end
            }
        }
        let refusals = Dictionary(
            refused.filter { ordinal in stored.contains { $0.contains(ordinal) } }.map { ($0 / Self.stretch, 1) },
            uniquingKeysWith: +)
        for (number, count) in counts {
            let wanted = count - Int64(refusals[number] ?? 0)
            sent += wanted
            // More there than here is what retention took meanwhile.
            let found = there[number] ?? 0
            if found < wanted {
                gaps.append(Gap(ordinals: number * Self.stretch..<(number + 1) * Self.stretch, sent: wanted, there: found))
            }
        }
    }
}
