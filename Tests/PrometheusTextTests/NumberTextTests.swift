import Testing

@testable import PrometheusText

struct NumberTextTests {
    @Test(
        arguments: [
            (0, "0"), (-0.0, "0"), (1, "1"), (-1, "-1"), (0.1, "0.1"), (0.1 + 0.2, "0.30000000000000004"),
            (1234567.5, "1234567.5"), (1e6, "1000000"), (9_007_199_254_740_991, "9007199254740991"),
            (9_007_199_254_740_992, "9007199254740992"), (1e16, "1e+16"), (1.5e300, "1.5e+300"), (1e-5, "1e-05"),
            (.leastNonzeroMagnitude, "5e-324"), (.greatestFiniteMagnitude, "1.7976931348623157e+308"), (.nan, "NaN"),
            (-.nan, "NaN"),
            (.infinity, "+Inf"), (-.infinity, "-Inf"),
        ] as [(Double, String)])
    func values(value: Double, expected: String) {
        #expect(NumberText.value(value) == expected)
    }

    @Test(
        arguments: [
            (0, "0.0"), (-0.0, "0.0"), (1, "1.0"), (-1, "-1.0"), (10, "10.0"), (100_000, "100000.0"), (123_456, "123456.0"),
            (1e6, "1e+06"), (1_234_567, "1.234567e+06"), (0.005, "0.005"), (0.0001, "0.0001"), (0.00001, "1e-05"),
            (0.000012, "1.2e-05"), (4.5, "4.5"), (12.25, "12.25"), (-0.25, "-0.25"), (1e100, "1e+100"), (1e16, "1e+16"),
            (123456.5, "123456.5"), (.leastNonzeroMagnitude, "5e-324"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ] as [(Double, String)])
    func bounds(value: Double, expected: String) {
        #expect(NumberText.bound(value) == expected)
    }

    @Test func textsReadBackAsTheSameNumber() {
        var state: UInt64 = 42
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let value = Double(bitPattern: state ^ (state >> 29))
            guard value.isFinite else { continue }
            #expect(Double(NumberText.value(value)) == value)
            #expect(Double(NumberText.bound(value)) == value)
        }
    }

    @Test(
        arguments: [
            (0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (1_700_000_000_000_000_000, "1700000000"),
            (1_700_000_000_123_456_789, "1700000000.123456789"), (-1_500_000_000, "-1.5"), (.min, "-9223372036.854775808"),
        ] as [(Int64, String)])
    func seconds(nanoseconds: Int64, expected: String) {
        #expect(NumberText.seconds(unixNano: nanoseconds) == expected)
    }
}
