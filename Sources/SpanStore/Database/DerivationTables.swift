import SQLite
import SegmentFormat
package import TelemetryModel

/// What the derivations want kept, as one commit writes it and as a start reads it back.
package struct DerivationRows: Sendable {
    package var counters: [CounterRow] = []
    /// New values of counters whose rows were committed before.
    package var counterValues: [CounterValue] = []
    package var labels: [LabelRow] = []
    package var states: [StateRow] = []
    /// States to delete, by kind and key; their values are not read.
    package var removedStates: [StateRow] = []
    /// Edges of breakers since the last commit; never read back here.
    package var transitions: [BreakerTransitionRow] = []
    /// Openings of breakers that began, went on or ended since the last commit; never read back here.
    package var openings: [BreakerOpening] = []

    package init() {}

    package var isEmpty: Bool {
        counters.isEmpty && counterValues.isEmpty && labels.isEmpty && states.isEmpty && removedStates.isEmpty && transitions.isEmpty
            && openings.isEmpty
    }
}

/// The tables `counter`, `label_value`, `derivation_state`, `breaker_transition`, `breaker_opening`, and the journal before them.
///
/// A commit under load changes a thousand counters and a few states, spread over many pages; writing them in place would cost more
/// than the spans. So a commit appends what changed as one row to `derivation_journal`, and about once a second the journal is
/// folded into the tables, in a commit's transaction too. What was committed is the tables and then the journal, in order.
final class DerivationTables {
    /// The journal is folded when the latest change is this much younger than the last fold,
    private static let foldNanoseconds: Int64 = 1_000_000_000
    /// or when it has this many bytes.
    private static let journalBytesMax = 4 << 20

    private let updateCounter: Statement
    private let insertCounter: Statement
    private let insertLabel: Statement
    private let upsertState: Statement
    private let deleteState: Statement
    private let insertTransition: Statement
    private let insertOpening: Statement
    private let insertJournal: Statement
    private let clearJournal: Statement
    /// Counters with a lower id are in the table.
    private var counterCount = 0
    /// What the journal holds, latest value each.
    private var unfolded = Unfolded()

    private struct Unfolded {
        /// By id, for those in `counterIDs`.
        var values: [Int64?] = []
        var counterIDs: [Int] = []
        /// `nil` for a state that was removed.
        var states: [StateKey: String?] = [:]
        var bytes = 0

        mutating func set(_ id: Int, _ value: Int64) {
            if id >= values.count { values += repeatElement(nil, count: id + 1 - values.count) }
            if values[id] == nil { counterIDs.append(id) }
            values[id] = value
        }

        mutating func removeAll() {
            for id in counterIDs { values[id] = nil }
            counterIDs.removeAll(keepingCapacity: true)
            states.removeAll()
            bytes = 0
        }
    }

    struct StateKey: Hashable {
        var kind: String
        @ByBytes var key: String
    }

    init(_ connection: Connection) throws(SQLiteError) {
        updateCounter = try connection.prepare(
            """
            UPDATE counter SET value = ?2, checksum = row_checksum(id, family, labels, ?2, created_unix_nano) WHERE id = ?1
            """, persistent: true)
        insertCounter = try connection.prepare(
            """
            INSERT INTO counter (id, family, labels, value, created_unix_nano, checksum)
            VALUES (?1, ?2, ?3, ?4, ?5, row_checksum(?1, ?2, ?3, ?4, ?5))
            """, persistent: true)
        insertLabel = try connection.prepare(
            """
            INSERT OR IGNORE INTO label_value (label, scope, value, first_seen_unix_nano, checksum)
            VALUES (?1, ?2, ?3, ?4, row_checksum(?1, ?2, ?3, ?4))
            """, persistent: true)
        upsertState = try connection.prepare(
            """
            INSERT INTO derivation_state (kind, key, value, checksum) VALUES (?1, ?2, ?3, row_checksum(?1, ?2, ?3))
            ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, checksum = excluded.checksum
            """, persistent: true)
        deleteState = try connection.prepare("DELETE FROM derivation_state WHERE kind = ?1 AND key = ?2", persistent: true)
        insertTransition = try connection.prepare(
            """
            INSERT INTO breaker_transition (time_unix_nano, service_name, scope, tool_name, machine, from_state, to_state,
                trace_id, span_id, checksum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, row_checksum(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))
            """, persistent: true)
        insertOpening = try connection.prepare(OpeningRows.insertion, persistent: true)
        insertJournal = try connection.prepare(
            "INSERT INTO derivation_journal (data, checksum) VALUES (?1, row_checksum(?1))", persistent: true)
        clearJournal = try connection.prepare("DELETE FROM derivation_journal", persistent: true)
        counterCount = Int(try connection.integer("SELECT coalesce(max(id) + 1, 0) FROM counter") ?? 0)
        for journal in try Self.journals(connection) { note(journal) }
    }

    // MARK: Writing

    /// What a transaction wrote, to be told to `didCommit` when it has committed.
    struct Written {
        fileprivate var journal: DerivationJournal
        fileprivate var counterCount: Int
        fileprivate var folded: Bool
    }

    /// Writes rows inside the caller's transaction.
    ///
    /// - Parameter folds: put the whole journal into the tables; the caller decides when, by `shouldFold`.
    func write(_ rows: DerivationRows, folds: Bool) throws(SQLiteError) -> Written {
        var journal = DerivationJournal()
        var count = counterCount
        journal.counters = rows.counterValues
        for row in rows.counters {
            if row.id < counterCount {
                journal.counters.append(CounterValue(id: row.id, value: row.value))
            } else {
                try insert(row)
                count = max(count, row.id + 1)
            }
        }
        for row in rows.labels { try insert(row) }
        for row in rows.transitions { try insert(row) }
        for row in rows.openings { try OpeningRows.write(row, with: insertOpening) }
        journal.states = rows.states
        journal.removedStates = rows.removedStates
        if folds {
            try fold(with: journal)
        } else if !journal.isEmpty {
            try insertJournal.bind(1, journal.encoded())
            try insertJournal.run()
        }
        return Written(journal: journal, counterCount: count, folded: folds)
    }

    /// Whether it is time for the journal, with `rows`, to go into the tables.
    func shouldFold(_ rows: DerivationRows, lastFoldUnixNano: Int64, nowUnixNano: Int64) -> Bool {
        if unfolded.bytes > Self.journalBytesMax { return true }
        // The clock may have been set back.
        let passed = nowUnixNano.subtractingReportingOverflow(lastFoldUnixNano)
        let isDue = passed.overflow || passed.partialValue.magnitude >= UInt64(Self.foldNanoseconds)
        return isDue && (unfolded.bytes > 0 || !rows.isEmpty)
    }

    func didCommit(_ written: Written) {
        counterCount = written.counterCount
        if written.folded { unfolded.removeAll() } else { note(written.journal) }
    }

    private func note(_ journal: DerivationJournal) {
        for counter in journal.counters { unfolded.set(counter.id, counter.value) }
        for row in journal.states { unfolded.states[StateKey(kind: row.kind, key: row.key)] = .some(row.value) }
        for row in journal.removedStates { unfolded.states[StateKey(kind: row.kind, key: row.key)] = .some(nil) }
        unfolded.bytes += journal.byteEstimate
    }

    private func fold(with journal: DerivationJournal) throws(SQLiteError) {
        var counters = unfolded
        for counter in journal.counters { counters.set(counter.id, counter.value) }
        // In order of rows, so that each page is touched once.
        for id in counters.counterIDs.sorted() {
            try updateCounter.bind(1, Int64(id))
            try updateCounter.bind(2, counters.values[id] ?? 0)
            try updateCounter.run()
        }
        var states = unfolded.states
        for row in journal.removedStates { states[StateKey(kind: row.kind, key: row.key)] = .some(nil) }
        for row in journal.states { states[StateKey(kind: row.kind, key: row.key)] = .some(row.value) }
        for (key, value) in states { try write(key, value) }
        try clearJournal.run()
    }

    private func write(_ key: StateKey, _ value: String?) throws(SQLiteError) {
        guard let value else {
            try deleteState.bind(1, key.kind)
            try deleteState.bind(2, key.key)
            return try deleteState.run()
        }
        try upsertState.bind(1, key.kind)
        try upsertState.bind(2, key.key)
        try upsertState.bind(3, value)
        try upsertState.run()
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

    // MARK: Reading

    private static func journals(_ connection: Connection) throws(SQLiteError) -> [DerivationJournal] {
        var journals: [DerivationJournal] = []
        let statement = try connection.prepare("SELECT data FROM derivation_journal ORDER BY id")
        while try statement.step() {
            do throws(SegmentError) {
                journals.append(try DerivationJournal(decoding: statement.blob(0)))
            } catch {
                throw SQLiteError(extendedCode: 11, message: error.message, operation: "read derivation_journal")
            }
        }
        return journals
    }

    /// Everything that was committed but the transitions, in the order that it was written in.
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
            "SELECT label, scope, value, first_seen_unix_nano FROM label_value ORDER BY first_seen_unix_nano, label, scope, value"
        )
        while try labels.step() {
            rows.labels.append(
                LabelRow(
                    label: labels.text(0) ?? "", scope: labels.text(1) ?? "", value: labels.text(2) ?? "",
                    firstSeenUnixNano: labels.integer(3)))
        }
        var states: [StateKey: String] = [:]
        let statement = try connection.prepare("SELECT kind, key, value FROM derivation_state")
        while try statement.step() {
            states[StateKey(kind: statement.text(0) ?? "", key: statement.text(1) ?? "")] = statement.text(2) ?? ""
        }
        let positions = Dictionary(rows.counters.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
        for journal in try journals(connection) {
            for counter in journal.counters {
                if let position = positions[counter.id] { rows.counters[position].value = counter.value }
            }
            for row in journal.removedStates { states[StateKey(kind: row.kind, key: row.key)] = nil }
            for row in journal.states { states[StateKey(kind: row.kind, key: row.key)] = row.value }
        }
        rows.states = states.map { StateRow(kind: $0.key.kind, key: $0.key.key, value: $0.value) }
            .sorted { ($0.kind, $0.key) < ($1.kind, $1.key) }
        return rows
    }
}
