import SQLite
import SegmentFormat
import SpanStore
import TelemetryModel

/// What the rows of a scan of `logs` are asked, as far as the scan can tell.
struct LogsConditions {
    /// A value on the right of a condition.
    enum Argument {
        case null
        case integer(Int64)
        case text([UInt8])
        /// A value that cannot be compared with here; SQLite decides for each row.
        case other
    }

    private(set) var times = Int64.min...Int64.max
    private(set) var severities = Int64.min...Int64.max
    private(set) var trace: TraceID?
    private(set) var span: SpanID?
    private(set) var service: String?
    private(set) var eventName: [UInt8]?
    /// No row fulfils them.
    private(set) var areImpossible = false

    init(_ terms: [LogsPlan.Term], _ arguments: [Argument]) {
        for (term, argument) in zip(terms, arguments) { add(term, argument) }
    }

    private mutating func add(_ term: LogsPlan.Term, _ argument: Argument) {
        switch (term.column, argument) {
        // Nothing compares with NULL.
        case (_, .null): areImpossible = true
        case (.time_unix_nano, .integer(let bound)): narrow(\.times, term.comparison, bound)
        case (.severity_number, .integer(let bound)): narrow(\.severities, term.comparison, bound)
        case (.trace_id, .text(let text)):
            let id = TraceID(hexadecimal: String(decoding: text, as: UTF8.self))
            guard let id, id.hexadecimal.utf8.elementsEqual(text), trace == nil || trace == id else {
                return areImpossible = true
            }
            trace = id
        case (.span_id, .text(let text)):
            let id = SpanID(hexadecimal: String(decoding: text, as: UTF8.self))
            guard let id, id.hexadecimal.utf8.elementsEqual(text), span == nil || span == id else { return areImpossible = true }
            span = id
        case (.service_name, .text(let text)): service = String(decoding: text, as: UTF8.self)
        case (.event_name, .text(let text)) where !text.isEmpty: eventName = text
        default: break
        }
    }

    private mutating func narrow(
        _ range: WritableKeyPath<LogsConditions, ClosedRange<Int64>>, _ comparison: LogsPlan.Comparison, _ bound: Int64
    ) {
        let wanted: ClosedRange<Int64>
        switch comparison {
        case .equal: wanted = bound...bound
        case .less:
            guard bound > .min else { return areImpossible = true }
            wanted = Int64.min...bound - 1
        case .lessOrEqual: wanted = Int64.min...bound
        case .greater:
            guard bound < .max else { return areImpossible = true }
            wanted = bound + 1...Int64.max
        case .greaterOrEqual: wanted = bound...Int64.max
        }
        guard self[keyPath: range].overlaps(wanted) else { return areImpossible = true }
        self[keyPath: range] = self[keyPath: range].clamped(to: wanted)
    }
}

/// What one connection knows of the log segments without reading them: enough to skip most.
final class LogCatalog {
    struct Entry {
        var id: Int64
        var recordCount: Int64
        var timeMinimum: Int64
        var timeMaximum: Int64
        var severityMinimum: Int64
        var severityMaximum: Int64
    }

    let connection: Connection?
    private unowned let reader: Connection
    let outerJoins: OuterJoins
    /// The only records that are shown; `nil` for all.
    var scope: ProjectScope?
    private var dataVersion: Int64?
    private(set) var entries: [Entry] = []
    private(set) var recordCount: Int64 = 0
    /// Scans that are there now: one for each `logs` in the FROM of a statement that runs.
    private(set) var liveScans = 0

    func scanBegan() { liveScans += 1 }

    func scanEnded() { liveScans -= 1 }

    /// - Parameter isKept: of a connection that nobody else holds: for a handle that another program owns.
    init(_ connection: Connection, isKept: Bool = false) {
        reader = connection
        outerJoins = OuterJoins(connection)
        self.connection = isKept ? connection : nil
    }

    /// Learns of segments that were committed, merged or deleted since the last call.
    func refresh() throws(SQLiteError) {
        let version = try reader.integer("PRAGMA data_version")
        if version == dataVersion && dataVersion != nil { return }
        var current: [Entry] = []
        if try LogTables.exist(reader) {
            let statement = try reader.prepare(
                "SELECT id, record_count, time_min, time_max, severity_min, severity_max FROM main.log_segment ORDER BY id")
            while try statement.step() {
                current.append(
                    Entry(
                        id: statement.integer(0), recordCount: statement.integer(1), timeMinimum: statement.integer(2),
                        timeMaximum: statement.integer(3), severityMinimum: statement.integer(4),
                        severityMaximum: statement.integer(5)))
            }
        }
        entries = current
        recordCount = current.reduce(0) { $0 + $1.recordCount }
        dataVersion = version
    }

    /// The segments that may hold rows that fulfil the conditions.
    func candidates(_ conditions: LogsConditions) throws(SQLiteError) -> [Entry] {
        if conditions.areImpossible { return [] }
        let (times, severities) = (conditions.times, conditions.severities)
        let found = entries.filter {
            $0.timeMaximum >= times.lowerBound && $0.timeMinimum <= times.upperBound
                && $0.severityMaximum >= severities.lowerBound && $0.severityMinimum <= severities.upperBound
        }
        guard let trace = conditions.trace, !found.isEmpty else { return found }
        let hash = TraceFilter.hash(trace)
        let statement = try reader.prepare("SELECT trace_filter FROM main.log_segment WHERE id = ?1")
        var holding: [Entry] = []
        for entry in found {
            try statement.bind(1, entry.id)
            if try statement.step(), TraceFilter(bytes: statement.blob(0)).mayContain(hash: hash) { holding.append(entry) }
            statement.reset()
        }
        return holding
    }

    func open(_ id: Int64) throws -> LogRows { try LogRows(id, reader) }
}
