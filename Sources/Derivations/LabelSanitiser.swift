/// Makes a client's string fit to be a label's value: metrics.md 2.11.
package enum LabelSanitiser {
    /// Stands for a value that is absent or empty.
    package static let unknown = "unknown"
    /// Stands for every value past its label's cap. A client's own merges with it.
    package static let overflow = "__overflow__"

    /// Controls become spaces, 128 bytes are kept (whole scalars), and nothing becomes `unknown`.
    package static func clean(_ value: String) -> String {
        if value.isEmpty { return unknown }
        if isClean(value) { return value }
        var kept = String.UnicodeScalarView()
        var count = 0
        for scalar in value.unicodeScalars {
            let next: Unicode.Scalar = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) ? " " : scalar
            count += UTF8.width(next)
            guard count <= SpanDerivations.Limits.labelBytesMax else { break }
            kept.append(next)
        }
        return String(kept)
    }

    private static func isClean(_ value: String) -> Bool {
        guard value.utf8.count <= SpanDerivations.Limits.labelBytesMax else { return false }
        for byte in value.utf8 where byte < 0x20 || byte >= 0x7F { return false }
        return true
    }
}
