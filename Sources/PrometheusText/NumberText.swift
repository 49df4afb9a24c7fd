/// Numbers as the exposition formats spell them.
enum NumberText {
    /// Below this magnitude every integral double is exact and is written without a point.
    private static let integralMax = 9_007_199_254_740_992.0

    /// A sample's value: the shortest text that reads back as the same number, integral values without a point.
    static func value(_ value: Double) -> String {
        if let special = special(value) { return special }
        if value.magnitude < integralMax && value.rounded(.towardZero) == value { return String(Int64(value)) }
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// A bucket's upper bound in OpenMetrics' canonical spelling, which always shows a point or an exponent: `1.0`, `0.005`,
    /// `1e+06`. Both formats use it, since another spelling would be another series.
    static func bound(_ value: Double) -> String {
        if let special = special(value) { return special }
        let sign = value.sign == .minus && value != 0 ? "-" : ""
        let (digits, exponent) = decimal(value.magnitude)
        let text =
            if exponent < -4 || exponent >= 6 {
                scientific(digits, exponent: exponent)
            } else {
                positional(digits, exponent: exponent)
            }
        return sign + text
    }

    /// A Unix time in seconds with as many decimals as it needs, at most nine.
    static func seconds(unixNano: Int64) -> String {
        let nanoseconds = unixNano.magnitude % 1_000_000_000
        var text = (unixNano < 0 ? "-" : "") + String(unixNano.magnitude / 1_000_000_000)
        guard nanoseconds != 0 else { return text }
        let digits = String(nanoseconds)
        text += "." + String(repeating: "0", count: 9 - digits.utf8.count) + digits
        while text.hasSuffix("0") { text.removeLast() }
        return text
    }

    private static func special(_ value: Double) -> String? {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return nil
    }

    /// The shortest digits of a finite number that is not negative, without zeros at either end, and the power of ten of the
    /// first one. Zero is the digit 0 at power 0.
    private static func decimal(_ magnitude: Double) -> (digits: [Character], exponent: Int) {
        let parts = magnitude.description.split(separator: "e", maxSplits: 1)
        let mantissa = parts.first.map(Array.init) ?? []
        var exponent = parts.count == 2 ? Int(parts[1]) ?? 0 : 0
        let point = mantissa.firstIndex(of: ".") ?? mantissa.count
        var digits = mantissa.filter { $0 != "." }
        exponent += point - 1
        let zeros = digits.prefix { $0 == "0" }.count
        guard zeros < digits.count else { return (["0"], 0) }
        digits.removeFirst(zeros)
        exponent -= zeros
        while digits.last == "0" { digits.removeLast() }
        return (digits, exponent)
    }

    private static func scientific(_ digits: [Character], exponent: Int) -> String {
        let mantissa = String(digits.prefix(1)) + (digits.count > 1 ? "." + String(digits.dropFirst()) : "")
        let power = String(exponent.magnitude)
        return mantissa + (exponent < 0 ? "e-" : "e+") + (power.utf8.count < 2 ? "0" : "") + power
    }

    private static func positional(_ digits: [Character], exponent: Int) -> String {
        guard exponent >= 0 else { return "0." + String(repeating: "0", count: -exponent - 1) + String(digits) }
        let whole = digits.prefix(exponent + 1)
        let fraction = digits.dropFirst(exponent + 1)
        return String(whole) + String(repeating: "0", count: exponent + 1 - whole.count) + "."
            + (fraction.isEmpty ? "0" : String(fraction))
    }
}
