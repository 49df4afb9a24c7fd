import SQLite
import SegmentFormat
import SpanStore
import TelemetryModel

/// A log segment as rows of `logs`: contents are read when a body or attributes are first asked for.
final class LogRows {
    /// A value on its way to SQLite.
    enum Value {
        case null
        case integer(Int64)
        case text([UInt8])
    }

    /// The segment of a row of `logs`, and which of its records it is.
    static func place(ofRowID rowID: Int64) -> (segment: Int64, record: Int) { (rowID >> 24, Int(rowID & (1 << 24 - 1))) }

    let id: Int64
    let facts: LogFacts
    private unowned let connection: Connection
    private var contents: [UInt8]?
    private var resourceTexts: [[UInt8]?]

    init(_ id: Int64, _ connection: Connection) throws {
        self.id = id
        self.connection = connection
        facts = try LogTables.facts(of: id, connection)
        resourceTexts = Array(repeating: nil, count: facts.resources.count)
    }

    /// The rows that a scan's conditions let through, in the order of arrival.
    func rows(_ conditions: LogsConditions) -> [Int32] {
        var trace: Int?
        if let wanted = conditions.trace {
            guard let index = facts.traces.firstIndex(of: wanted) else { return [] }
            trace = index + 1
        }
        let services = conditions.service.map { name in facts.resources.map { $0.serviceName.isExactly(name) } }
        if let services, !services.contains(true) { return [] }
        var event: Int?
        if let wanted = conditions.eventName {
            guard let index = facts.texts.firstIndex(of: wanted) else { return [] }
            event = index + 1
        }
        var selected: [Int32] = []
        for (index, row) in facts.rows.enumerated() {
            guard conditions.times.contains(row.shownTimeUnixNano), conditions.severities.contains(Int64(row.severityNumber)),
                trace == nil || row.trace == trace, event == nil || row.eventName == event,
                conditions.span == nil || row.span == conditions.span?.value,
                services.map({ $0[row.resource] }) ?? true
            else { continue }
            selected.append(Int32(truncatingIfNeeded: index))
        }
        return selected
    }

    /// Those of the rows that are of a project.
    func rows(_ rows: [Int32], of scope: ProjectScope) -> [Int32] {
        var isIn: [Bool] = []
        for (number, resource) in facts.resources.enumerated() {
            isIn.append(scope.holds(service: resource.serviceName, json: resourceText(number)))
        }
        return rows.filter { isIn[facts.rows[Int($0)].resource] }
    }

    func value(_ index: Int, _ column: LogsColumn) throws -> Value {
        let row = facts.rows[index]
        switch column {
        case .time_unix_nano: return .integer(row.shownTimeUnixNano)
        case .observed_time_unix_nano: return row.observedTimeUnixNano == 0 ? .null : .integer(row.observedTimeUnixNano)
        case .received_time_unix_nano: return .integer(row.receivedTimeUnixNano)
        case .trace_id: return row.trace == 0 ? .null : .text(Array(facts.traces[row.trace - 1].hexadecimal.utf8))
        case .span_id: return row.span == 0 ? .null : .text(Array(SpanID(row.span).hexadecimal.utf8))
        case .severity_number: return .integer(Int64(row.severityNumber))
        case .severity_text: return text(row.severityText)
        case .event_name: return text(row.eventName)
        case .body: return try withContent(index) { content, bytes in content.bodyText(bytes).map(Value.text) ?? .null }
        case .service_name: return .text(Array(facts.resources[row.resource].serviceName.utf8))
        case .scope_name:
            let name = facts.scopes[row.scope].name
            return name.isEmpty ? .null : .text(Array(name.utf8))
        case .flags: return .integer(Int64(row.flags))
        case .dropped_attributes_count: return .integer(Int64(row.droppedAttributesCount))
        case .attributes: return .text(try withContent(index) { content, bytes in content.attributesText(bytes) })
        case .resource_attributes: return .text(resourceText(row.resource))
        }
    }

    private func text(_ number: Int) -> Value { number == 0 ? .null : .text(facts.texts[number - 1]) }

    private func withContent<Result>(_ index: Int, _ body: (LogContent, [UInt8]) -> Result) throws -> Result {
        let bytes = try loadedContents()
        return body(try LogContent(bytes, facts.offsets[index]..<facts.offsets[index + 1]), bytes)
    }

    private func loadedContents() throws -> [UInt8] {
        if let contents { return contents }
        let loaded = try LogTables.contents(of: id, connection)
        contents = loaded
        return loaded
    }

    private func resourceText(_ number: Int) -> [UInt8] {
        if let text = resourceTexts[number] { return text }
        let encoded = facts.resources[number].encoded
        var json = JSONWriter()
        WireJSON.attributes(encoded, WireRange(offset: 0, count: encoded.count), field: 1, into: &json)
        resourceTexts[number] = json.bytes
        return json.bytes
    }
}
