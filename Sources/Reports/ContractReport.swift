import SQLite
import SpanStore
package import StoreSQL
import TelemetryModel

/// What agents' loops did in a window, beside what they may: docs/metrics.md 2.14, by the query of the view `contract`.
package struct ContractReport {
    /// A figure of one process or host, and what it is held against.
    package struct Mark: Sendable {
        package var value: Int64
        package var limit: Int64?

        /// Further beyond its limit; of two without one, the larger. One with a limit comes first.
        fileprivate func isWorse(than other: Mark) -> Bool {
            switch (limit, other.limit) {
            case (let limit?, let otherLimit?):
                value.subtractingSaturated(limit) > other.value.subtractingSaturated(otherLimit)
            case (.some, .none): true
            case (.none, .some): false
            case (.none, .none): value > other.value
            }
        }
    }

    /// The figures that gates judge: of each the process that is worst.
    package struct Figures: Sendable {
        package var concurrency: Mark?
        package var retrievalBatch: Mark?
        package var embedBatch: Mark?
        /// The least part of a host's memory that was free; `nil` without readings.
        package var headroom: Double?

        package init() {}
    }

    /// The least part of a host's memory that is to stay free where nothing else is set.
    package static let headroomUsual = 0.15

    private let reader: ReportReader

    package init(_ reader: ReportReader) {
        self.reader = reader
    }

    package func section(
        _ window: ReportWindow, _ limits: GateLimits
    ) throws(ReportReader.Failure) -> (section: ReportSection, figures: Figures) {
        var section = ReportSection(
            key: "contract", title: "Loop contract",
            columns: [
                "service", "process", "host", "runs", "at_once", "on_host", "run_limit", "breaches", "retrieval_max", "retrieval_limit",
                "embed_max", "embed_limit", "overlap_s", "peak_memory", "host_peak", "host_total", "headroom", "asyncio", "executor",
            ])
        let sql = ContractQuery.sql(where: try reader.spansCondition(window), limits: limits.contract)
        var figures = Figures()
        try reader.each("SELECT \(Self.columns) FROM (\(sql))") { row throws(SQLiteError) in
            func count(_ column: Int32) -> Int64? { row.isNull(column) ? nil : row.integer(column) }
            func shown(_ column: Int32) -> ReportValue { count(column).map { .count($0) } ?? .none }
            func bytes(_ column: Int32) -> ReportValue { count(column).map { .bytes($0) } ?? .none }
            Self.note(count(5), count(6), in: &figures.concurrency)
            Self.note(count(8), count(9), in: &figures.retrievalBatch)
            Self.note(count(10), count(11), in: &figures.embedBatch)
            let headroom = row.isNull(16) ? nil : row.double(16)
            if let headroom { figures.headroom = min(headroom, figures.headroom ?? headroom) }
            section.rows.append([
                .text(row.text(0) ?? ""), .text(row.text(1) ?? ""), .optional(row.text(2)), shown(3), shown(4), shown(5), shown(6), shown(7),
                shown(8), shown(9), shown(10), shown(11), .seconds(Double(row.integer(12)) / 1e9), bytes(13), bytes(14), bytes(15),
                headroom.map { .number($0, digits: 3) } ?? .none, .optional(row.text(17)), .optional(row.text(18)),
            ])
        }
        section.notes = [
            "at_once and on_host: the most runs under way together; overlap_s: seconds in which embeddings and model calls of the host ran together"
        ]
        section.queries = [ReportQuery("the loop contract", sql)]
        return (section, figures)
    }

    private static let columns = """
        service_name, instance_id, host_name, runs, workflows_at_once, host_workflows_at_once, workflow_limit,
        workflow_breaches + host_workflow_breaches, retrieval_batch_max, retrieval_limit, embed_batch_max, embed_limit, host_overlap_ns,
        process_memory_bytes, host_memory_bytes, host_memory_total_bytes, host_memory_headroom, asyncio_policy, executor
        """

    private static func note(_ value: Int64?, _ limit: Int64?, in worst: inout Mark?) {
        guard let value else { return }
        let mark = Mark(value: value, limit: limit)
        if worst.map(mark.isWorse) ?? true { worst = mark }
    }

    // MARK: Gates

    /// The gates of the contract. A limit of the configuration holds; without one, what each agent declares.
    package static func gates(_ figures: Figures, _ limits: GateLimits) -> [GateReport.Gate] {
        [
            most("workflow_concurrency", figures.concurrency, limits.workflowConcurrency, "runs were under way at once on one host"),
            most("retrieval_batch", figures.retrievalBatch, limits.retrievalBatch, "items came of one retrieval"),
            most("embed_batch", figures.embedBatch, limits.embedBatch, "texts went into one embedding call"),
            headroom(figures.headroom, limits.memoryHeadroom),
        ]
    }

    private static func most(_ name: String, _ worst: Mark?, _ configured: Int64?, _ what: String) -> GateReport.Gate {
        let limit = worst?.limit ?? configured
        let value = worst?.value ?? 0
        var gate = GateReport.Gate(name: name, value: .count(value), limit: limit.map { .count($0) } ?? .none, outcome: .reported)
        guard let limit else { return gate }
        gate.outcome = value <= limit ? .pass : .fail
        if value > limit { gate.message = "\(value) \(what), \(value.subtractingSaturated(limit)) over the limit of \(limit)" }
        return gate
    }

    /// Without a limit of its own it judges what there is; with one, a window without readings is no data.
    private static func headroom(_ value: Double?, _ configured: Double?) -> GateReport.Gate {
        let limit = configured ?? headroomUsual
        var gate = GateReport.Gate(
            name: headroomName, value: value.map { .number($0, digits: 3) } ?? .none,
            limit: value == nil && configured == nil ? .none : .number(limit, digits: 3), outcome: .reported)
        guard let value else {
            if configured != nil {
                gate.outcome = .insufficient
                gate.message = "no span told of its host's memory and of how much of it was in use"
            }
            return gate
        }
        gate.outcome = value >= limit ? .pass : .fail
        if value < limit {
            gate.message =
                "\(DecimalText.rounded(value, digits: 3)) of a host's memory was free, less than \(DecimalText.rounded(limit, digits: 3))"
        }
        return gate
    }

    /// The gate whose limit is the least.
    static let headroomName = "memory_headroom"
}

extension GateLimits {
    /// The limits of the loop contract, as its query takes them.
    package var contract: ContractQuery.Limits {
        ContractQuery.Limits(workflows: workflowConcurrency, retrievalBatch: retrievalBatch, embedBatch: embedBatch)
    }
}
