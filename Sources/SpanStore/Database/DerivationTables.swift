import SQLite
package import TelemetryModel

/// What the derivations want kept, as one commit writes it and as a start reads it back.
package struct DerivationRows: Sendable {
    package var counters: [CounterRow] = []
    package var labels: [LabelRow] = []
    package var states: [StateRow] = []
    /// States to delete, by kind and key; their values are not read.
    package var removedStates: [StateRow] = []
    /// Edges of breakers since the last commit; never read back here.
    package var transitions: [BreakerTransitionRow] = []

    package init() {}

    package var isEmpty: Bool {
        counters.isEmpty && labels.isEmpty && states.isEmpty && removedStates.isEmpty && transitions.isEmpty
    }
}

/// The tables `counter`, `label_value`, `derivation_state` and `breaker_transition`.
final class DerivationTables {
    private let updateCounter: Statement
    private let insertCounter: Statement
    private let insertLabel: Statement
    private let upsertState: Statement
    private let deleteState: Statement
    private let insertTransition: Statement
    /// Counters with a lower id are in the table, so that an update by row id is enough.
    private var counterCount: Int64

    init(_ connection: Connection) throws(SQLiteError) {
        updateCounter = try connection.prepare("UPDATE counter SET value = ?2 WHERE id = ?1", persistent: true)
        insertCounter = try connection.prepare(
            """
            INSERT INTO counter (id, family, labels, value, created_unix_nano) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (id) DO UPDATE SET value = excluded.value
            """, persistent: true)
        insertLabel = try connection.prepare(
            "INSERT OR IGNORE INTO label_value (label, scope, value, first_seen_unix_nano) VALUES (?1, ?2, ?3, ?4)",
            persistent: true)
        upsertState = try connection.prepare(
            """
            INSERT INTO derivation_state (kind, key, value) VALUES (?1, ?2, ?3)
            ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value
            """, persistent: true)
        deleteState = try connection.prepare("DELETE FROM derivation_state WHERE kind = ?1 AND key = ?2", persistent: true)
        insertTransition = try connection.prepare(
            """
            INSERT INTO breaker_transition (time_unix_nano, service_name, scope, tool_name, machine, from_state, to_state,
                trace_id, span_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
            """, persistent: true)
        counterCount = try connection.integer("SELECT coalesce(max(id) + 1, 0) FROM counter") ?? 0
    }

    /// Writes rows inside the caller's transaction.
    func write(_ rows: DerivationRows) throws(SQLiteError) {
        var highest = counterCount
        for row in rows.counters {
            // A failed transaction leaves this count behind the table, never ahead: the insert then meets no row.
            if Int64(row.id) < counterCount {
                try updateCounter.bind(1, Int64(row.id))
                try updateCounter.bind(2, row.value)
                try updateCounter.run()
            } else {
                try insert(row)
                highest = max(highest, Int64(row.id) + 1)
            }
        }
        for row in rows.labels { try insert(row) }
        for row in rows.removedStates {
            try deleteState.bind(1, row.kind)
            try deleteState.bind(2, row.key)
            try deleteState.run()
        }
        for row in rows.states {
            try upsertState.bind(1, row.kind)
            try upsertState.bind(2, row.key)
            try upsertState.bind(3, row.value)
            try upsertState.run()
        }
        for row in rows.transitions { try insert(row) }
        pendingCounterCount = highest
    }

    /// What `counterCount` becomes once the transaction has committed.
    private var pendingCounterCount: Int64 = 0

    func didCommit() {
        counterCount = max(counterCount, pendingCounterCount)
    }

    private func insert(_ row: CounterRow) throws(SQLiteError) {
        try insertCounter.bind(1, Int64(row.id))
        try insertCounter.bind(2, row.family)
        try insertCounter.bind(3, row.labels)
        try insertCounter.bind(4, row.value)
        try insertCounter.bind(5, row.createdUnixNano)
        try insertCounter.run()
    }

    private func insert(_ row: LabelRow) throws(SQLiteError) {
        try insertLabel.bind(1, row.label)
        try insertLabel.bind(2, row.scope)
        try insertLabel.bind(3, row.value)
        try insertLabel.bind(4, row.firstSeenUnixNano)
        try insertLabel.run()
    }

    private func insert(_ row: BreakerTransitionRow) throws(SQLiteError) {
        try insertTransition.bind(1, row.timeUnixNano)
        try insertTransition.bind(2, row.serviceName)
        try insertTransition.bind(3, row.scope)
        try insertTransition.bind(4, row.toolName)
        try insertTransition.bind(5, row.isReported ? "reported" : "derived")
        try insertTransition.bind(6, row.fromState)
        try insertTransition.bind(7, row.toState)
        try insertTransition.bind(8, row.traceID.hexadecimal)
        try insertTransition.bind(9, row.spanID.hexadecimal)
        try insertTransition.run()
    }

    /// Everything but the transitions, in the order that it was written in.
    static func read(_ connection: Connection) throws(SQLiteError) -> DerivationRows {
        var rows = DerivationRows()
        let counters = try connection.prepare("SELECT id, family, labels, value, created_unix_nano FROM counter ORDER BY id")
        while try counters.step() {
            rows.counters.append(
                CounterRow(
                    id: Int(counters.integer(0)), family: counters.text(1) ?? "", labels: counters.text(2) ?? "",
                    value: counters.integer(3), createdUnixNano: counters.integer(4)))
        }
        let labels = try connection.prepare(
            "SELECT label, scope, value, first_seen_unix_nano FROM label_value ORDER BY first_seen_unix_nano, label, scope, value")
        while try labels.step() {
            rows.labels.append(
                LabelRow(
                    label: labels.text(0) ?? "", scope: labels.text(1) ?? "", value: labels.text(2) ?? "",
                    firstSeenUnixNano: labels.integer(3)))
        }
        let states = try connection.prepare("SELECT kind, key, value FROM derivation_state ORDER BY kind, key")
        while try states.step() {
            rows.states.append(
                StateRow(kind: states.text(0) ?? "", key: states.text(1) ?? "", value: states.text(2) ?? ""))
        }
        return rows
    }
}
