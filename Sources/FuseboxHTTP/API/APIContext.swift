package import Derivations
import HTTPTypes
import Hummingbird
import Ingest
import NIOCore
import Queries
package import Reports
package import SpanStore
import TelemetryModel

/// What answers questions over HTTP are made from.
package struct APIContext: Sendable {
    let pool: QueryPool
    let overview = OverviewCache()
    let tails = TailCounter()
    let policy: FusePolicy
    /// What `/api/gates` judges by.
    let gates: GateLimits
    let versionText: String
    /// Nanoseconds since 1970.
    let clock: @Sendable () -> Int64

    package init(
        folder: StoreFolder, policy: FusePolicy, gates: GateLimits, versionText: String, clock: @escaping @Sendable () -> Int64
    ) {
        pool = QueryPool(folder: folder)
        self.policy = policy
        self.gates = gates
        self.versionText = versionText
        self.clock = clock
    }

    /// How long questions may run.
    enum TimeLimit {
        static let list = Duration.seconds(10)
        static let query = Duration.seconds(30)
        static let tail = Duration.seconds(1)
    }

    /// Runs `body` on a reading thread and answers with the JSON that it writes.
    func json(
        limit: Duration = TimeLimit.list, _ body: @escaping @Sendable (QueryReader, inout JSONWriter) throws -> Void
    ) async throws(QueryError) -> Response {
        let bytes = try await pool.run(limit: limit) { reader in
            var json = JSONWriter()
            try body(reader, &json)
            return json.bytes
        }
        return Self.response(bytes)
    }

    static func response(_ bytes: [UInt8], contentType: String = "application/json") -> Response {
        Response(
            status: .ok, headers: [.contentType: contentType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }
}
