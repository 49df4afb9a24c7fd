import HTTPTypes
import NIOCore
import Queries
import Synchronization
import TelemetryModel

/// How many clients follow.
final class TailCounter: Sendable {
    /// One that follows, for as long as it is held.
    final class Place: Sendable {
        private let counter: TailCounter

        fileprivate init(_ counter: TailCounter) { self.counter = counter }

        deinit { counter.clients.subtract(1, ordering: .relaxed) }
    }

    private static let clientsMax = 32
    private let clients = Atomic<Int>(0)

    init() {}

    func enter() throws(QueryError) -> Place {
        let count = clients.add(1, ordering: .relaxed).newValue
        let place = Place(self)
        guard count <= Self.clientsMax else { throw .busy }
        return place
    }
}

/// `/api/tail`: committed spans as server-sent events.
///
/// The store itself is the buffer: a client is read for when it has taken what came before, so a slow one costs nothing and learns how
/// many spans it missed.
struct TailRoute: Sendable {
    /// Between two looks for new spans.
    private static let pause = Duration.milliseconds(250)
    /// Looks without news after which a comment shows that the connection lives: about ten seconds.
    private static let quietLooksMax = 40

    let context: APIContext

    func respond(_ query: QueryString) async throws -> Response {
        let condition = try APIRoutes.criteria(query).condition
        let pool = context.pool
        let tails = context.tails
        let begin: Int64
        if let resumed = query["after"] {
            guard let cursor = Int64(resumed) else { throw QueryError.invalid("after takes the id of an event") }
            begin = cursor
        } else {
            begin = try await pool.run(limit: APIContext.TimeLimit.tail) { try TailReading.end($0) }
        }
        let place = try tails.enter()
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream", .cacheControl: "no-store", .xContentTypeOptions: "nosniff"],
            body: ResponseBody { writer in
                try await Self.follow(from: begin, condition, pool, writer)
                withExtendedLifetime(place) {}
            })
    }

    private static func follow(
        from begin: Int64, _ condition: SQLCondition?, _ pool: QueryPool, _ writer: ResponseBodyWriter
    ) async throws {
        var cursor = begin
        var quiet = 0
        try await writer.write(ByteBuffer(string: "retry: 2000\n\n"))
        while !Task.isCancelled && !writer.isStopping {
            if let event = try await next(&cursor, condition, pool) {
                quiet = 0
                try await writer.write(event)
            } else {
                quiet += 1
                if quiet >= quietLooksMax {
                    quiet = 0
                    try await writer.write(ByteBuffer(string: ": nothing new\n\n"))
                }
            }
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    private static func next(
        _ cursor: inout Int64, _ condition: SQLCondition?, _ pool: QueryPool
    ) async throws -> ByteBuffer? {
        let after = cursor
        let answer: (end: Int64, event: [UInt8]?)
        do {
            answer = try await pool.run(limit: APIContext.TimeLimit.tail) { reader in
                var json = JSONWriter()
                let (end, written, skipped) = try TailReading.write(after: after, matching: condition, reader, into: &json)
                guard written > 0 else { return (end, nil) }
                var event = Array("event: spans\nid: \(end)\ndata: {\"skipped\":\(skipped),\"spans\":".utf8)
                event += json.bytes
                event += Array("}\n\n".utf8)
                return (end, event)
            }
        } catch {
            switch error {
            case .busy: return nil
            case .tooLong:
                // More comes in than can be read beside it: the tail goes on from now, and says so.
                let end = try await pool.run(limit: APIContext.TimeLimit.tail) { try TailReading.end($0) }
                cursor = end
                return ByteBuffer(string: "event: spans\nid: \(end)\ndata: {\"skipped\":-1,\"spans\":[]}\n\n")
            default: throw error
            }
        }
        cursor = answer.end
        return answer.event.map { ByteBuffer(bytes: $0) }
    }
}
