package import SQLite
package import TelemetryModel

/// Writes `AnnexRows` inside the caller's transaction. Statements are made when they are first needed: most commits need none.
final class AnnexTables {
    /// Rows of `eval_call`; past them a new eval id counts as `__overflow__`.
    private static let evalCallsMax: Int64 = 1_000_000
    /// Rows of `stall`; past them the oldest go.
    private static let stallsMax: Int64 = 200_000
    /// Rows of `eval_call` are counted again after so many writes.
    private static let writesPerCount = 256

    private let connection: Connection
    private var statements: [String: Statement] = [:]
    private var evalCallWrites = 0
    private var evalCallsAreFull = false

    init(_ connection: Connection) {
        self.connection = connection
    }

    private func statement(_ sql: String) throws(SQLiteError) -> Statement {
        if let known = statements[sql] { return known }
        let made = try connection.prepare(sql, persistent: true)
        statements[sql] = made
        return made
    }

    func write(_ rows: AnnexRows, nowUnixNano: Int64) throws(SQLiteError) {
        for row in rows.evals { try write(row, nowUnixNano) }
        if let prices = rows.prices { try replace(prices) }
        if !rows.evalCalls.isEmpty { try write(rows.evalCalls) }
        if !rows.stalls.isEmpty { try write(rows.stalls) }
        if let watermark = rows.stallWatermarkUnixNano {
            let statement = try statement(
                """
                INSERT INTO meta (key, value) VALUES ('stall_watermark_unix_nano', ?1)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value
                """)
            try statement.bind(1, "\(watermark)")
            try statement.run()
        }
        if let heartbeat = rows.heartbeat { try write(heartbeat) }
        for order in rows.forwardOrders { try ForwardTables.apply(order, connection) }
        for order in rows.forgetOrders { try ForgetTables.insert(order, nowUnixNano: nowUnixNano, connection) }
    }

    /// Whether an eval says something else than the stored one: the same once more is no newer than it was.
    private static let evalDiffers = [
        "score", "label", "explanation", "annotator_kind", "example_id", "trace_id", "span_id", "session_id", "response_id", "error",
        "dataset", "git_revision", "metadata", "source", "created_unix_nano",
    ].map { "evaluation.\($0) IS NOT excluded.\($0)" }.joined(separator: " OR ")

    private func write(_ row: EvalRow, _ now: Int64) throws(SQLiteError) {
        let statement = try statement(
            """
            INSERT INTO evaluation (row_key, eval_id, name, score, label, explanation, annotator, annotator_kind, run_id, example_id,
                trace_id, span_id, session_id, response_id, error, dataset, git_revision, metadata, source, created_unix_nano,
                updated_unix_nano)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)
            ON CONFLICT (row_key) DO UPDATE SET score = excluded.score, label = excluded.label, explanation = excluded.explanation,
                annotator_kind = excluded.annotator_kind, example_id = excluded.example_id, trace_id = excluded.trace_id,
                span_id = excluded.span_id, session_id = excluded.session_id, response_id = excluded.response_id,
                error = excluded.error, dataset = excluded.dataset, git_revision = excluded.git_revision,
                metadata = excluded.metadata, source = excluded.source, created_unix_nano = excluded.created_unix_nano,
                updated_unix_nano = excluded.updated_unix_nano
            WHERE \(Self.evalDiffers)
            """)
        try statement.bind(1, row.key)
        try statement.bind(2, optional: row.evalID)
        try statement.bind(3, row.name)
        if let score = row.score { try statement.bind(4, score) } else { try statement.bindNull(4) }
        for (index, text) in [
            row.label, row.explanation, row.annotator, row.annotatorKind, row.runID, row.exampleID, row.traceID?.hexadecimal,
            row.spanID?.hexadecimal, row.sessionID, row.responseID, row.error, row.dataset, row.gitRevision, row.metadata,
        ].enumerated() {
            try statement.bind(Int32(5 + index), optional: text)
        }
        try statement.bind(19, row.source.rawValue)
        try statement.bind(20, optional: row.timeUnixNano)
        try statement.bind(21, now)
        try statement.run()
    }

    private func replace(_ prices: PriceTable) throws(SQLiteError) {
        try connection.execute("DELETE FROM model_price; DELETE FROM host_rent; DELETE FROM egress_price")
        for price in prices.models {
            let statement = try statement("INSERT OR REPLACE INTO model_price VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
            try statement.bind(1, price.model)
            try statement.bind(2, price.effectiveFromUnixNano)
            try statement.bind(3, price.kind.rawValue)
            try statement.bind(4, price.input)
            try statement.bind(5, price.cacheRead)
            try statement.bind(6, price.cacheWrite)
            try statement.bind(7, price.output)
            try statement.bind(8, optional: price.source)
            try statement.run()
        }
        for host in prices.hosts {
            let statement = try statement("INSERT OR REPLACE INTO host_rent VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            try statement.bind(1, host.host)
            try statement.bind(2, host.dollarsPerHour)
            try statement.bind(3, host.gpus)
            try statement.bind(4, host.granularitySeconds)
            try statement.bind(5, optional: host.billedFromUnixNano)
            try statement.bind(6, optional: host.billedUntilUnixNano)
            try statement.run()
        }
        for link in prices.links {
            let statement = try statement("INSERT OR REPLACE INTO egress_price VALUES (?1, ?2, ?3, ?4)")
            try statement.bind(1, link.link)
            try statement.bind(2, link.dollarsPerUnit)
            try statement.bind(3, link.freeUnits)
            try statement.bind(4, link.unitBytes)
            try statement.run()
        }
    }

    private func write(_ rows: [EvalCallRow]) throws(SQLiteError) {
        if evalCallWrites % Self.writesPerCount == 0 {
            evalCallsAreFull = try connection.integer("SELECT count(*) FROM eval_call") ?? 0 >= Self.evalCallsMax
        }
        evalCallWrites += 1
        let statement = try statement(
            """
            INSERT INTO eval_call (eval_id, service_name, workflow_name, outcome, value, last_seen_unix_nano)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT DO UPDATE SET value = value + excluded.value, last_seen_unix_nano = excluded.last_seen_unix_nano
            """)
        for row in rows {
            try statement.bind(1, evalCallsAreFull ? "__overflow__" : row.key.evalID)
            try statement.bind(2, row.key.serviceName)
            try statement.bind(3, row.key.workflowName)
            try statement.bind(4, row.key.outcome)
            try statement.bind(5, row.increment)
            try statement.bind(6, row.lastSeenUnixNano)
            try statement.run()
        }
    }

    private func write(_ rows: [StallRow]) throws(SQLiteError) {
        let count = try statement(
            """
            INSERT INTO stall_count (service_name, workflow_name, kind, value) VALUES (?1, ?2, ?3, 1)
            ON CONFLICT DO UPDATE SET value = value + 1
            """)
        for row in rows where try write(row) {
            try count.bind(1, row.serviceName)
            try count.bind(2, row.workflowName)
            try count.bind(3, row.kind.rawValue)
            try count.run()
        }
        try connection.execute("DELETE FROM stall WHERE id <= (SELECT max(id) FROM stall) - \(Self.stallsMax)")
    }

    /// Whether the row is new.
    private func write(_ row: StallRow) throws(SQLiteError) -> Bool {
        let statement = try statement(
            """
            INSERT OR IGNORE INTO stall (time_unix_nano, kind, service_name, workflow_name, trace_id, span_id, span_name,
                duration_ns, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id
            """)
        try statement.bind(1, row.timeUnixNano)
        try statement.bind(2, row.kind.rawValue)
        try statement.bind(3, row.serviceName)
        try statement.bind(4, row.workflowName)
        try statement.bind(5, row.traceID)
        try statement.bind(6, optional: row.spanID)
        try statement.bind(7, optional: row.spanName)
        try statement.bind(8, optional: row.durationNanoseconds)
        try statement.bind(9, row.detail)
        let isNew = try statement.step()
        statement.reset()
        return isNew
    }

    private func write(_ row: HeartbeatRow) throws(SQLiteError) {
        let statement = try statement(
            """
            INSERT INTO heartbeat (minute, accepted, rejected, dropped) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (minute) DO UPDATE SET accepted = accepted + excluded.accepted, rejected = rejected + excluded.rejected,
                dropped = dropped + excluded.dropped
            """)
        try statement.bind(1, row.minute)
        try statement.bind(2, row.accepted)
        try statement.bind(3, row.rejected)
        try statement.bind(4, row.dropped)
        try statement.run()
    }
}

/// Reads what `AnnexTables` wrote.
package enum AnnexReading {
    /// The price table as it stands.
    package static func prices(_ connection: Connection) throws(SQLiteError) -> PriceTable {
        var table = PriceTable()
        let models = try connection.prepare(
            """
            SELECT model, effective_from_unix_nano, kind, input, cache_read, cache_write, output, source FROM model_price
            ORDER BY model, effective_from_unix_nano
            """)
        while try models.step() {
            table.models.append(
                ModelPrice(
                    model: models.text(0) ?? "", effectiveFromUnixNano: models.integer(1),
                    kind: ModelPrice.Kind(rawValue: models.text(2) ?? "") ?? .api, input: models.double(3),
                    cacheRead: models.double(4), cacheWrite: models.double(5), output: models.double(6), source: models.text(7)))
        }
        let hosts = try connection.prepare(
            """
            SELECT host, dollars_per_hour, gpus, granularity_s, billed_from_unix_nano, billed_until_unix_nano FROM host_rent
            ORDER BY host
            """)
        while try hosts.step() {
            var host = HostRent(host: hosts.text(0) ?? "", dollarsPerHour: hosts.double(1))
            host.gpus = hosts.integer(2)
            host.granularitySeconds = max(1, hosts.integer(3))
            host.billedFromUnixNano = hosts.isNull(4) ? nil : hosts.integer(4)
            host.billedUntilUnixNano = hosts.isNull(5) ? nil : hosts.integer(5)
            table.hosts.append(host)
        }
        let links = try connection.prepare(
            "SELECT link, dollars_per_unit, free_units, unit_bytes FROM egress_price ORDER BY link")
        while try links.step() {
            var link = EgressPrice(link: links.text(0) ?? "", dollarsPerUnit: links.double(1))
            link.freeUnits = links.double(2)
            link.unitBytes = max(1, links.integer(3))
            table.links.append(link)
        }
        return table
    }
}
