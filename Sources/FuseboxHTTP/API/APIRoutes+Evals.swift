import Evals
import Ingest
import NIOCore
import NIOPosix
import Queries
import Reports
import SpanStore
import TelemetryModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Evals: those that are stored, what is still to be judged, two runs beside each other, and new ones.
extension APIRoutes {
    /// Evals of one export over HTTP; `fusebox eval export` has no such end.
    private static let exportRowsMax = 200_000
    private static let exportTypes: [EvalExport.Form: String] = [.jsonl: "application/x-ndjson", .csv: "text/csv; charset=utf-8"]
    /// Cases of one comparison.
    private static let casesMax = 2000
    private static let wordsMax = 50

    /// Evals beside what they judge; with `format`, the evals themselves, as `fusebox eval export` writes them.
    func evals(_ query: QueryString) async throws -> Response {
        let window = try timeWindow(query)
        let (name, run) = (query["name"], query["run"])
        guard let text = query["format"], text != "json" else {
            return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
                try Boards.writeEvals(name: name, run: run, window, reader, into: &json)
            }
        }
        guard let form = EvalExport.Form(rawValue: text) else {
            throw QueryError.invalid("format is '\(text)', but must be json, jsonl or csv")
        }
        var export = EvalExport()
        (export.form, export.name, export.run, export.window) = (form, name, run, window)
        let asked = export
        return try await context.json(limit: APIContext.TimeLimit.query, contentType: Self.exportTypes[form] ?? "text/plain") {
            reader, json in
            try asked.write(reader, rowsMax: Self.exportRowsMax) { line in
                json.raw(line)
                try reader.checkAnswer(json)
            }
        }
    }

    /// Traces, spans or sessions that nobody, or one judge, has judged yet.
    func judging(_ query: QueryString) async throws -> Response {
        guard let name = query["name"] else { throw QueryError.invalid("which eval is to be judged? give its name=") }
        let text = query["of"] ?? JudgingQueue.Target.trace.rawValue
        guard let target = JudgingQueue.Target(rawValue: text) else {
            throw QueryError.invalid(
                "of is '\(text)', but must be one of: \(JudgingQueue.Target.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        var queue = JudgingQueue(name: name)
        queue.target = target
        queue.annotator = query["annotator"]
        // A name= in the address is that of the eval.
        queue.criteria = try Self.criteria(query)
        queue.criteria.name = query["span"]
        queue.limits = try Self.limits(query)
        queue.window = try timeWindow(query)
        queue.limit = try query.integer("limit", 1...JudgingQueue.limitMax, fallback: queue.limit)
        let asked = queue
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in try asked.write(reader, into: &json) }
    }

    /// Runs of evals with their scores by name: what `fusebox eval runs --format json` prints.
    func evalRuns(_ query: QueryString) async throws -> Response {
        let dataset = query["dataset"]
        return try await report(query, fallbackNanoseconds: .max) { reader, window throws(ReportReader.Failure) in
            try EvalRunReport(reader).runs(window, dataset: dataset)
        }
    }

    /// Two runs case by case: what `fusebox eval compare A B --format json` prints.
    func compareEvalRuns(_ query: QueryString) async throws -> Response {
        guard let first = query["a"], let second = query["b"] else {
            throw QueryError.invalid("which runs? give their ids: a= and b=")
        }
        var settings = EvalRunReport.Settings()
        settings.name = query["name"]
        settings.lowerIsBetter = Set(query.all("lower_is_better").prefix(Self.wordsMax))
        settings.casesMax = try query.integer("limit", 0...Self.casesMax, fallback: 500)
        let asked = settings
        return try await report(query, fallbackNanoseconds: .max) { reader, window throws(ReportReader.Failure) in
            try EvalRunReport(reader).compare(first, second, asked, window)
        }
    }

    static let evalBytesMax = 1 << 20
    /// How long a judgement waits for the writer.
    private static let secondsMax = 10
    private static let pauseMicroseconds: UInt32 = 20_000

    func judge(_ asked: RouteRequest) async throws -> Response {
        guard context.engine == nil else { throw QueryError.notHere("judgements are kept by nodes: send it to one of them") }
        // A page of another site cannot send these types without asking first.
        guard ["application/json", "application/x-ndjson"].contains(RequestContent.mediaType(asked.request)) else {
            throw StatusTable.wrongType("Content-Type must be application/json or application/x-ndjson")
        }
        let file = EvalFile(Array(buffer: asked.request.body), reader: EvalReader(scoreColumns: []))
        var rows = file.rows
        // Who was signed in need not say who they are.
        if let user = visitor.user {
            for index in rows.indices where rows[index].annotator == nil { rows[index].annotator = user }
        }
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
                    .evals(taken), name: name, nowUnixNano: now, secondsMax: Self.secondsMax,
                    pause: { usleep(Self.pauseMicroseconds) })
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
