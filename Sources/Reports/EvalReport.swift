import SQLite
package import TelemetryModel

/// What is known of evals: how many joined spans, scores by name, and the newest ones.
package struct EvalReport: Sendable {
    /// How imported rows fared.
    package struct Joining: Equatable, Sendable {
        package var matched = 0
        /// Their spans are not stored, or not yet.
        package var unmatched = 0
        /// Matched, but spans of several traces carry the eval id.
        package var ambiguous = 0

        package init() {}
    }

    /// What an import would change.
    package enum Change: Sendable {
        case new, changed, same
    }

    private let reader: ReportReader

    package init(_ reader: ReportReader) {
        self.reader = reader
    }

    /// What importing the row would do to the table as it stands.
    package func changes(of rows: [EvalRow]) throws(ReportReader.Failure) -> (new: Int, changed: Int, same: Int) {
        do throws(SQLiteError) {
            let statement = try reader.connection.prepare(
                "SELECT score, label, explanation FROM evaluation WHERE row_key = ?1", persistent: true)
            var result = (new: 0, changed: 0, same: 0)
            for row in rows {
                try statement.bind(1, row.key)
                defer { statement.reset() }
                guard try statement.step() else {
                    result.new += 1
                    continue
                }
                let score = statement.isNull(0) ? nil : statement.double(0)
                let isSame = score == row.score && statement.text(1) == row.label && statement.text(2) == row.explanation
                if isSame { result.same += 1 } else { result.changed += 1 }
            }
            return result
        } catch {
            throw .database(error)
        }
    }

    /// How the stored rows with these keys join to spans.
    package func joining(of keys: Set<String>) throws(ReportReader.Failure) -> Joining {
        var matched: [Int64: Bool] = [:]
        try reader.each("SELECT evaluation_id, is_ambiguous FROM span_evals") { matched[$0.integer(0)] = $0.integer(1) == 1 }
        var joining = Joining()
        try reader.each("SELECT id, row_key FROM evaluation") { statement in
            guard keys.contains(statement.text(1) ?? "") else { return }
            guard let isAmbiguous = matched[statement.integer(0)] else {
                joining.unmatched += 1
                return
            }
            joining.matched += 1
            if isAmbiguous { joining.ambiguous += 1 }
        }
        return joining
    }

    /// Scores by name, and the newest evals.
    ///
    /// - Parameter name: only evals of this name.
    package func list(window: ReportWindow, name: String?, unmatchedOnly: Bool, limit: Int) throws(ReportReader.Failure)
        -> ReportDocument
    {
        var document = ReportDocument(name: "evals", window: window)
        document.sections = [try names(name), try newest(name, unmatchedOnly: unmatchedOnly, limit: limit)]
        return document
    }

    static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

    /// Whether the row of `evaluation` says by its label that the case failed, in SQL: 0 or 1.
    package static let hasFailed = "lower(coalesce(evaluation.label, '')) IN ('fail', 'false', 'incorrect')"

    package func names(_ name: String? = nil) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "names", title: "Evals by name",
            columns: ["name", "evals", "matched", "mean_score", "min_score", "max_score", "pass", "fail", "errors"])
        let sql = """
            SELECT evaluation.name, count(*), count(span_evals.evaluation_id), avg(evaluation.score), min(evaluation.score),
                max(evaluation.score), sum(lower(coalesce(evaluation.label, '')) IN ('pass', 'true', 'correct')),
                sum(\(Self.hasFailed)), count(evaluation.error)
            FROM evaluation LEFT JOIN span_evals ON span_evals.evaluation_id = evaluation.id
            \(name.map { "WHERE evaluation.name = \(Self.quoted($0))" } ?? "")
            GROUP BY evaluation.name ORDER BY evaluation.name
            """
        section.rows = try reader.rows(sql) { row in
            [
                .text(row.text(0) ?? ""), .count(row.integer(1)), .count(row.integer(2)), Self.score(row, 3), Self.score(row, 4),
                Self.score(row, 5), .count(row.integer(6)), .count(row.integer(7)), .count(row.integer(8)),
            ]
        }
        section.queries = [ReportQuery("evals by name", sql)]
        return section
    }

    static func score(_ row: Statement, _ column: Int32) -> ReportValue {
        row.isNull(column) ? .none : .number(row.double(column), digits: 4)
    }

    private func newest(_ name: String?, unmatchedOnly: Bool, limit: Int) throws(ReportReader.Failure) -> ReportSection {
        var section = ReportSection(
            key: "evals", title: unmatchedOnly ? "Evals without a span" : "Newest evals",
            columns: ["eval_id", "name", "score", "label", "annotator", "matched_by", "span_name", "trace_id"])
        var terms: [String] = []
        if let name { terms.append("evaluation.name = \(Self.quoted(name))") }
        if unmatchedOnly { terms.append("span_evals.evaluation_id IS NULL") }
        let sql = """
            SELECT coalesce(evaluation.eval_id, evaluation.example_id), evaluation.name, evaluation.score, evaluation.label,
                evaluation.annotator, span_evals.matched_by, span_evals.span_name, span_evals.trace_id
            FROM evaluation LEFT JOIN span_evals ON span_evals.evaluation_id = evaluation.id
            \(terms.isEmpty ? "" : "WHERE " + terms.joined(separator: " AND "))
            ORDER BY evaluation.updated_unix_nano DESC, evaluation.id DESC LIMIT \(max(0, limit))
            """
        section.rows = try reader.rows(sql) { row in
            [
                .optional(row.text(0)), .text(row.text(1) ?? ""), Self.score(row, 2), .optional(row.text(3)),
                .optional(row.text(4)), .optional(row.text(5)), .optional(row.text(6)), .optional(row.text(7)),
            ]
        }
        section.queries = [ReportQuery("the newest evals", sql)]
        return section
    }
}
