import Evals
import Ingest
import NIOCore
import NIOPosix
import Queries
import SpanStore
import TelemetryModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `POST /api/evals`: judgements of people and programs, in the forms that `fusebox eval import` reads.
extension APIRoutes {
    static let evalBytesMax = 1 << 20
    /// How long a judgement waits for the writer.
    private static let secondsMax = 10
    private static let pauseMicroseconds: UInt32 = 20_000

    func judge(_ asked: RouteRequest) async throws -> Response {
        // A page of another site cannot send these types without asking first.
        guard ["application/json", "application/x-ndjson"].contains(RequestContent.mediaType(asked.request)) else {
            throw StatusTable.wrongType("Content-Type must be application/json or application/x-ndjson")
        }
        let file = EvalFile(Array(buffer: asked.request.body), reader: EvalReader(scoreColumns: []))
        var rows = file.rows
        // Who was signed in need not say who they are.
        if let user = visitor.user { for index in rows.indices where rows[index].annotator == nil { rows[index].annotator = user } }
        guard !rows.isEmpty else {
            throw QueryError.invalid(file.problems.first.map { "no eval in the body: \($0.text)" } ?? "no eval in the body")
        }
        guard rows.count <= InboxDocument.Limits.evalsPerFile else {
            throw QueryError.invalid("at most \(InboxDocument.Limits.evalsPerFile) evals at once")
        }
        let (folder, now, taken) = (context.folder, context.clock(), rows)
        let name = "\(now)-\(getpid())-\(UInt32.random(in: 0 ... .max)).jsonl"
        let failure = try await NIOThreadPool.singleton.runIfActive { () -> Handover.Failure? in
            do throws(Handover.Failure) {
                try Handover(folder).send(
                    .evals(taken), name: name, nowUnixNano: now, secondsMax: Self.secondsMax, pause: { usleep(Self.pauseMicroseconds) })
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw StatusTable.unavailable(failure.message) }
        var json = JSONWriter()
        json.raw("{\"evals\":")
        json.integer(Int64(taken.count))
        json.raw(",\"skipped\":")
        json.integer(Int64(file.problemCount))
        json.raw("}")
        return APIContext.response(json.bytes)
    }
}
