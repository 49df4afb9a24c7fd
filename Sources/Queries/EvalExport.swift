import Evals
import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// The evals themselves, whatever they joined, in a form that an import takes again.
package struct EvalExport: Sendable {
    package enum Form: String, CaseIterable, Sendable {
        /// An object a line.
        case jsonl
        /// A table with a header line.
        case csv
    }

    package var form = Form.jsonl
    /// Only evals of this name.
    package var name: String?
    /// Only evals of this run.
    package var run: String?
    /// When they were judged, or stored where nobody said when.
    package var window = TimeWindow()

    package init() {}

    /// Gives the lines, each with its end, in the order in which evals were first stored.
    ///
    /// - Parameter rowsMax: evals that are written; that there are more is noted.
    /// - Returns: how many evals were written.
    @discardableResult
    package func write(_ reader: QueryReader, rowsMax: Int = .max, _ line: (String) throws -> Void) throws -> Int {
        // Which evals are of a project, only the spans that they judge could say, and some judge none.
        if let scope = reader.reader.scope {
            guard !scope.isLimit else {
                throw QueryError.forbidden("this token may read one project alone, and an export has the evals of all")
            }
            throw QueryError.invalid("an export has the evals of all projects, so it takes no project")
        }
        var count = 0
        var failure: (any Error)?
        if form == .csv { try line(EvalForm.header + "\r\n") }
        try reader.each(Self.sql, [.optional(name), .optional(run)] + window.values) { statement in
            guard count < rowsMax else {
                reader.noteTruncated("evals", after: rowsMax)
                return false
            }
            count += 1
            let row = Self.row(statement)
            do {
                try line(form == .csv ? EvalForm.line(row) + "\r\n" : EvalForm.json(row).line + "\n")
            } catch {
                failure = error
                return false
            }
            return true
        }
        if let failure { throw failure }
        return count
    }

    private static let sql = """
        SELECT eval_id, run_id, example_id, name, score, label, explanation, annotator, annotator_kind, trace_id, span_id, session_id,
            response_id, error, dataset, git_revision, metadata, created_unix_nano, source
        FROM evals
        WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR run_id = ?2)
            AND coalesce(created_unix_nano, updated_unix_nano) >= ?3 AND coalesce(created_unix_nano, updated_unix_nano) <= ?4
        """

    private static func row(_ statement: Statement) -> EvalRow {
        var row = EvalRow(name: statement.text(3) ?? "")
        row.evalID = statement.text(0)
        row.runID = statement.text(1)
        row.exampleID = statement.text(2)
        row.score = statement.isNull(4) ? nil : statement.double(4)
        row.label = statement.text(5)
        row.explanation = statement.text(6)
        row.annotator = statement.text(7)
        row.annotatorKind = statement.text(8)
        row.traceID = statement.text(9).flatMap { TraceID(hexadecimal: $0) }
        row.spanID = statement.text(10).flatMap { SpanID(hexadecimal: $0) }
        row.sessionID = statement.text(11)
        row.responseID = statement.text(12)
        row.error = statement.text(13)
        row.dataset = statement.text(14)
        row.gitRevision = statement.text(15)
        row.metadata = statement.text(16)
        row.timeUnixNano = statement.isNull(17) ? nil : statement.integer(17)
        row.source = statement.text(18).flatMap(EvalRow.Source.init(rawValue:)) ?? .file
        return row
    }
}
