import SQLite
import SpanStore
import StoreSQL
package import TelemetryModel

/// Reads when breakers were open.
package enum OpeningReading {
    /// Openings of one answer, the newest.
    private static let openingsMax = 50_000

    /// Openings that touch a span of time, by their start.
    package static func openings(_ window: TimeWindow, _ reader: QueryReader) throws -> [BreakerOpening] {
        var openings: [BreakerOpening] = []
        // They are kept by service: a project that is none has no openings of its own that are known.
        if let scope = reader.reader.scope, !scope.isService { return [] }
        let service = reader.reader.scope.map { QueryValue.text($0.name) } ?? .null
        try reader.each(
            """
            SELECT \(OpeningRows.columns) FROM breaker_openings WHERE from_unix_nano < ?1 AND until_unix_nano >= ?2 AND (?3 IS NULL OR service_name = ?3)
            ORDER BY from_unix_nano DESC LIMIT \(openingsMax)
            """, [.integer(window.to), .integer(window.from), service]
        ) { row in
            openings.append(OpeningRows.read(row))
            return true
        }
        return openings.reversed()
    }
}
