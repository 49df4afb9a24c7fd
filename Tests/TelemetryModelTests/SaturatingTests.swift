import TelemetryModel
import Testing

/// Arithmetic on clients' numbers stops at the ends instead of ending the program.
@Suite struct SaturatingTests {
    private static let numbers: [Int64] = [.min, .min + 1, -2, -1, 0, 1, 2, .max - 1, .max]

    /// The exact result, cut to what an `Int64` holds.
    private func cut(_ exact: Int128) -> Int64 { Int64(clamping: exact) }

    @Test func sumsDifferencesAndProductsAreExactOrAtAnEnd() {
        for left in Self.numbers {
            for right in Self.numbers {
                #expect(left.addingSaturated(right) == cut(Int128(left) + Int128(right)))
                #expect(left.subtractingSaturated(right) == cut(Int128(left) - Int128(right)))
                #expect(left.multipliedSaturated(by: right) == cut(Int128(left) * Int128(right)))
            }
        }
    }

    @Test(arguments: [
        (0.4, 0), (-1.6, -2), (1e18, 1_000_000_000_000_000_000), (9.3e18, .max), (-1e300, .min), (.infinity, .max), (-.infinity, .min),
        (.nan, 0),
    ] as [(Double, Int64)])
    func doublesBecomeTheNearestInteger(value: Double, integer: Int64) {
        #expect(Int64(saturating: value) == integer)
    }
}
