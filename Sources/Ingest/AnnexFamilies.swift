import PrometheusText
import SQLite

/// The families that are made of stored rows: evals and stalls. Of eval ids the most recently seen are shown, since each is a label
/// value of its own; the others keep their counts in the file and show them again when they are seen.
enum AnnexFamilies {
    /// Eval ids that are shown; docs/metrics.md 2.11.
    static let evalIDsMax = 50
    /// Series of each family.
    static let seriesMax = 1000

    private static let evalCalls = MetricFamily(
        name: "agent_eval_calls_total", help: "Attempts and runs that carry an eval id, by how they ended.", kind: .counter)
    private static let evalScores = MetricFamily(
        name: "agent_eval_score", help: "Scores of evals, the newest of an eval id and name.", kind: .gauge)
    private static let evalRuns = MetricFamily(
        name: "agent_eval_run_info", help: "What an eval id was judged on.", kind: .info)
    private static let loopStalls = MetricFamily(
        name: "agent_loop_stalls_total", help: "Stalls of agents' loops, found when their runs had ended.", kind: .counter)
    private static let rentRates = MetricFamily(
        name: "agent_rent_rate_dollars_per_hour", help: "What a machine costs, as prices.yaml says.", kind: .gauge)

    /// Every family that `collect` may give.
    static let declared = [evalCalls, evalScores, evalRuns, loopStalls, rentRates]

    static func collect(_ connection: Connection) throws(SQLiteError) -> [MetricFamily] {
        [try calls(connection), try scores(connection), try runs(connection), try stalls(connection), try rents(connection)]
            .filter { !$0.samples.isEmpty }
    }

    private static func rows(
        _ connection: Connection, _ sql: String, _ read: (Statement) -> MetricFamily.Sample
    ) throws(SQLiteError) -> [MetricFamily.Sample] {
        let statement = try connection.prepare(sql)
        var rows: [MetricFamily.Sample] = []
        while try statement.step() { rows.append(read(statement)) }
        return rows
    }

    private static func text(_ row: Statement, _ column: Int32) -> String { row.text(column) ?? "" }

    private static func calls(_ connection: Connection) throws(SQLiteError) -> MetricFamily {
        evalCalls.with(
            try rows(
                connection,
                """
                WITH seen AS (
                    SELECT eval_id, max(last_seen_unix_nano) AS seen FROM (
                        SELECT eval_id, last_seen_unix_nano FROM eval_call ORDER BY last_seen_unix_nano DESC LIMIT 2000)
                    GROUP BY eval_id ORDER BY seen DESC, eval_id LIMIT \(evalIDsMax))
                SELECT service_name, workflow_name, eval_id, outcome, value FROM eval_call WHERE eval_id IN (SELECT eval_id FROM seen)
                LIMIT \(seriesMax)
                """
            ) { row in
                MetricFamily.Sample(
                    labels: LabelText.render([
                        ("service_name", text(row, 0)), ("workflow", text(row, 1)), ("eval_id", text(row, 2)),
                        ("outcome", text(row, 3)),
                    ]), value: .integer(row.integer(4)))
            }.sorted { $0.labels < $1.labels })
    }

    /// Eval ids of the table `evaluation`, most recently written first.
    private static let recentEvals = """
        WITH seen AS (
            SELECT eval_id, max(updated_unix_nano) AS seen FROM (
                SELECT eval_id, updated_unix_nano FROM evaluation WHERE eval_id IS NOT NULL
                ORDER BY updated_unix_nano DESC LIMIT 2000)
            GROUP BY eval_id ORDER BY seen DESC, eval_id LIMIT \(evalIDsMax))
        """

    /// The eval that was judged last comes first: by its own time, or where it has none by when it came or changed; of several at one
    /// time the one that was stored last.
    private static let newest = "coalesce(created_unix_nano, updated_unix_nano) DESC, id DESC"

    private static func scores(_ connection: Connection) throws(SQLiteError) -> MetricFamily {
        evalScores.with(
            try rows(
                connection,
                """
                \(recentEvals)
                SELECT eval_id, name, score FROM (
                    SELECT eval_id, name, score, row_number() OVER (PARTITION BY eval_id, name ORDER BY \(newest)) AS place FROM evaluation
                    WHERE eval_id IN (SELECT eval_id FROM seen) AND score IS NOT NULL)
                WHERE place = 1
                """
            ) { row in
                MetricFamily.Sample(
                    labels: LabelText.render([("eval_id", text(row, 0)), ("metric", text(row, 1))]), value: .double(row.double(2)))
            }.sorted { $0.labels < $1.labels })
    }

    private static func runs(_ connection: Connection) throws(SQLiteError) -> MetricFamily {
        evalRuns.with(
            try rows(
                connection,
                """
                \(recentEvals)
                SELECT eval_id, coalesce(dataset, ''), coalesce(git_revision, '') FROM (
                    SELECT eval_id, dataset, git_revision, row_number() OVER (PARTITION BY eval_id ORDER BY \(newest)) AS place
                    FROM evaluation WHERE eval_id IN (SELECT eval_id FROM seen) AND (dataset IS NOT NULL OR git_revision IS NOT NULL))
                WHERE place = 1
                """
            ) { row in
                MetricFamily.Sample(
                    labels: LabelText.render([
                        ("eval_id", text(row, 0)), ("dataset", text(row, 1)), ("git_revision", text(row, 2)),
                    ]), value: .integer(1))
            }.sorted { $0.labels < $1.labels })
    }

    private static func stalls(_ connection: Connection) throws(SQLiteError) -> MetricFamily {
        loopStalls.with(
            try rows(
                connection,
                "SELECT service_name, workflow_name, kind, value FROM stall_count ORDER BY value DESC, 1, 2, 3 LIMIT \(seriesMax)"
            ) { row in
                MetricFamily.Sample(
                    labels: LabelText.render([("service_name", text(row, 0)), ("workflow", text(row, 1)), ("kind", text(row, 2))]),
                    value: .integer(row.integer(3)))
            }.sorted { $0.labels < $1.labels })
    }

    private static func rents(_ connection: Connection) throws(SQLiteError) -> MetricFamily {
        rentRates.with(
            try rows(
                connection,
                "SELECT host, dollars_per_hour FROM host_rent ORDER BY host LIMIT 1000"
            ) { row in
                MetricFamily.Sample(labels: LabelText.render([("host", text(row, 0))]), value: .double(row.double(1)))
            })
    }
}
