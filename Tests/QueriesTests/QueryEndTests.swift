import SQLite
import Testing

@testable import Queries

/// A query that somebody asked to end says so, and the connection answers the next one.
@Suite struct QueryEndTests {
    @Test func aQueryThatGaveWayMayBeAskedAgain() async throws {
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        try await StoredBatches.read([]) { reader in
            let leave = reader.begin(limit: .seconds(600))
            leave.ask()
            do {
                _ = try reader.first(endless)
                Issue.record("the query did not end")
            } catch QueryError.gaveWay {
                #expect(QueryError.gaveWay.isRetryable)
            }
            reader.end()
            reader.begin(limit: .seconds(600))
            // Whoever asks too late asks the query that is over.
            leave.ask()
            #expect(try reader.first("SELECT 1") == [.integer(1)])
            reader.end()
        }
    }
}
