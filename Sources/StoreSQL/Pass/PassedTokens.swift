package import SQLite
package import TelemetryModel

/// The tokens of a segment's spans by type.
package struct PassedTokens {
    private let total: PassedIntegers
    private let input: PassedIntegers
    private let output: PassedIntegers
    private let cached: PassedIntegers
    private let written: PassedIntegers

    package init(_ segment: PassedSegment) throws(SQLiteError) {
        total = try segment.integers("tokens")
        input = try segment.integers("input_tokens")
        output = try segment.integers("output_tokens")
        cached = try segment.integers("cached_tokens")
        written = try segment.integers("cache_write_tokens")
    }

    package func counts(_ row: Int) -> TokenCounts {
        TokenCounts(
            total: total[row], input: input[row], output: output[row], cacheRead: cached[row], cacheWrite: written[row])
    }
}
