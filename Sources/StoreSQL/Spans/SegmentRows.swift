import SegmentFormat
import TelemetryModel

/// A segment as rows of `spans`: values by SQL column, read when first asked for.
final class SegmentRows {
    enum Value {
        case null
        case integer(Int64)
        case double(Double)
        case text(ArraySlice<UInt8>)
        case string(String)
    }

    let reader: SegmentReader
    private let attributeColumnsAsked: [AttributeColumn]
    /// By SQL column, how its values are got at.
    let shown: ShownColumns
    private var traces: [TraceID]?
    private var services: [String]?
    private var resourceJSON: [[UInt8]]?
    private var scopeJSON: [[UInt8]]?
    private var storedScopes: [StoredScope]?
    private var attributeColumns: [(name: String, column: DecodedColumn)]?
    /// The columns behind an `attribute` source, by SQL column.
    private var attributeLookups: [[DecodedColumn]?]
    private var json = JSONWriter()

    /// Whether so few of the rows are asked for that what is put together is put together row by row.
    var isSparse = false
    /// Whether a span may show what other spans of its trace say, which may be of another project.
    private let showsTraces: Bool
    /// Says what counts of calls; without it endings are as they are stored.
    private let storedCalls: StoredCalls?
    /// What that says of this segment.
    private(set) lazy var foundCalls = Result { try storedCalls?.segment(reader.id) }
    private lazy var shownEndings = Result { try findShownEndings() }
    /// Rows that are runs; `nil` for none.
    private(set) lazy var foundRuns = Result { try findRuns() }

    /// - Parameter attributes: calls that are columns behind those of `SpansColumn.all`.
    init(_ reader: SegmentReader, attributes: [AttributeColumn], calls: StoredCalls? = nil, scope: ProjectScope? = nil) {
        self.reader = reader
        showsTraces = scope?.isLimit != true
        storedCalls = calls
        attributeColumnsAsked = attributes
        attributeLookups = Array(repeating: nil, count: SpansColumn.all.count + attributes.count)
        shown = ShownColumns(count: SpansColumn.all.count + attributes.count)
    }

    /// What a column of `spans` shows; `nil` past the last.
    func source(_ index: Int) -> SpansColumn.Source? {
        if SpansColumn.all.indices.contains(index) { return SpansColumn.all[index].source }
        let position = index - SpansColumn.all.count
        return attributeColumnsAsked.indices.contains(position) ? attributeColumnsAsked[position].source : nil
    }

    private func fixed(_ name: String) throws -> DecodedColumn? {
        try reader.column(.fixed, name)
    }

    /// Columns that almost every row asks for, looked up once; the look-up by name costs more than the value.
    private(set) lazy var startColumn = Result { try reader.column(.fixed, FixedColumn.start) }
    private(set) lazy var durationColumn = Result { try reader.column(.fixed, FixedColumn.duration) }
    private lazy var resourceColumn = Result { try reader.column(.fixed, FixedColumn.resource) }
    private lazy var overflowColumn = Result { try reader.column(.fixed, FixedColumn.overflow) }

    private func column(_ index: Int, _ space: ColumnSpace, _ name: String) throws -> DecodedColumn? {
        try reader.column(space, name)
    }

    /// Finds out how a column's values are got at, once.
    func prepare(column index: Int) throws {
        switch source(index) {
        case .integer(let space, let name): try prepare(index, .integers, space, name)
        case .startTime: try prepare(index, .integers, .fixed, FixedColumn.start)
        case .duration:
            guard allAreTimed else { return shown.set(index, .other) }
            try prepare(index, .durations, .fixed, FixedColumn.duration)
        case .text(let space, let name): try prepare(index, .texts, space, name)
        case .ending(let name):
            guard try changedEndings() != nil else { return try prepare(index, .texts, .derived, name) }
            guard !isSparse, let numbered = try numbered(index, allRows) else { return shown.set(index, .other) }
            shown.set(index, numbers: numbered.numbers, of: numbered.texts)
        case .spanID: try prepare(index, .identifiers, .fixed, FixedColumn.spanID)
        case .parentSpanID: try prepare(index, .identifiers, .fixed, FixedColumn.parentSpanID)
        case .endTime: try prepareEnds(index)
        case .latestKnownTime where allAreTimed: try prepareEnds(index)
        case .traceID, .serviceName, .callName, .callWorkflow:
            guard !isSparse, let numbered = try numbered(index, allRows) else { return shown.set(index, .other) }
            shown.set(index, numbers: numbered.numbers, of: numbered.texts)
        case .countsTokens, .isRun:
            guard !isSparse else { return shown.set(index, .other) }
            let bits = if case .isRun = source(index) { try runRows() } else { try tokenRows() }
            shown.set(index, integers: (0..<reader.spanCount).map { row in bits?.contains(row) == true ? 1 : 0 })
        case nil: shown.set(index, .null)
        default: shown.set(index, .other)
        }
    }

    private func prepare(_ index: Int, _ kind: ShownColumn.Kind, _ space: ColumnSpace, _ name: String) throws {
        guard let column = try reader.column(space, name) else { return shown.set(index, .null) }
        shown.set(index, kind, column)
    }

    /// Ends are not stored, but starts and durations are.
    private func prepareEnds(_ index: Int) throws {
        guard !isSparse, let start = try startColumn.get(), let duration = try durationColumn.get(), start.presence == nil,
            duration.presence == nil, case .integers(let starts) = start.values, case .integers(let durations) = duration.values
        else { return shown.set(index, .other) }
        shown.set(index, integers: zip(starts, durations).map { $0 &+ $1 })
    }

    /// Whether the directory says that no span of the segment is without a start or an end, which is 0 then.
    var allAreTimed: Bool {
        guard let start = reader.directory.column(.fixed, FixedColumn.start),
            let duration = reader.directory.column(.fixed, FixedColumn.duration)
        else { return false }
        let (end, overflow) = start.minimum.addingReportingOverflow(duration.minimum)
        return !overflow && start.minimum > 0 && end > 0
    }

    /// Gives a span's value in a column to `result`.
    func withValue(_ row: Int, column index: Int, _ result: (borrowing Shown) -> Void) throws {
        switch try value(row, column: index) {
        case .null: result(.null)
        case .integer(let integer): result(.integer(integer))
        case .double(let double): result(.double(double))
        case .text(let bytes): bytes.withUnsafeBufferPointer { result(.text($0)) }
        case .string(var text): text.withUTF8 { result(.text($0)) }
        }
    }

    /// A value on its way to SQLite; the text is valid for the call only.
    enum Shown {
        case null
        case integer(Int64)
        case double(Double)
        case text(UnsafeBufferPointer<UInt8>)
    }

    /// Rows whose tokens count; `nil` for none.
    func tokenRows() throws -> RowBits? { try foundCalls.get()?.tokens }

    /// Workflows of the segment's traces.
    func workflowNames() throws -> StoredWorkflows.Names? { showsTraces ? try storedCalls?.workflows.names(reader.id) : nil }

    private func traceNumber(_ row: Int) throws -> Int? {
        guard let number = try fixed(FixedColumn.traceIndex)?.integer(row), try traceIDs().indices.contains(Int(number)) else { return nil }
        return Int(number)
    }

    /// Rows that are shown with another ending than the stored one; `nil` for none.
    func changedEndings() throws -> [Int32: SegmentCalls.Ending]? {
        try shownEndings.get()
    }

    // MARK: Values

    func value(_ row: Int, column index: Int) throws -> Value {
        switch source(index) {
        case .traceID:
            guard let position = try column(index, .fixed, FixedColumn.traceIndex)?.integer(row) else { return .null }
            return .string(try traceID(Int(position)).hexadecimal)
        case .spanID: return try identity(column(index, .fixed, FixedColumn.spanID), row)
        case .parentSpanID: return try identity(column(index, .fixed, FixedColumn.parentSpanID), row)
        case .startTime: return try integer(column(index, .fixed, FixedColumn.start), row)
        case .endTime:
            guard let start = try startColumn.get()?.integer(row), let duration = try durationColumn.get()?.integer(row)
            else { return .null }
            return .integer(start &+ duration)
        case .duration:
            guard let start = try startColumn.get()?.integer(row), let duration = try durationColumn.get()?.integer(row),
                SpanTimes.isTimed(start: start, end: start &+ duration)
            else { return .null }
            return .integer(max(0, duration))
        case .latestKnownTime: return .integer(try latestKnown(row))
        case .serviceName: return .string(try serviceNames()[Int(try resource(row))])
        case .scopeName: return text(try scope(row).name)
        case .scopeVersion: return text(try scope(row).version)
        case .integer(let space, let name): return try integer(column(index, space, name), row)
        case .text(let space, let name): return try text(space, name, row)
        case .ending(let name):
            guard let changed = try changedEndings()?[Int32(truncatingIfNeeded: row)] else { return try text(.derived, name, row) }
            return changed.text(name).map { Value.text($0[...]) } ?? .null
        case .callName:
            let tool = try text(.derived, "tool_name", row)
            if case .null = tool { return try text(.derived, "stage", row) }
            return tool
        case .callWorkflow:
            let own = try text(.derived, "workflow_name", row)
            guard case .null = own, let names = try workflowNames(), let trace = try traceNumber(row) else { return own }
            let number = names.ofTraces[trace]
            return number < 0 ? .null : .text(names.texts[Int(number)][...])
        case .countsTokens:
            return .integer(try tokenRows()?.contains(row) == true ? 1 : 0)
        case .isRun: return .integer(try runRows()?.contains(row) == true ? 1 : 0)
        case .flag(let key): return try flag(key, row).map { .integer($0 ? 1 : 0) } ?? .null
        case .attributes: return .text(try attributes(row))
        case .resourceAttributes: return .text(try resourceAttributes()[Int(try resource(row))][...])
        case .scopeAttributes: return .text(try scopeAttributes()[try scopeNumber(row)][...])
        case .firstAttribute(let keys): return try firstAttribute(keys, row, column: index)
        case .storedOrAttribute(let name, let keys):
            if let stored = try reader.column(.derived, name)?.integer(row) { return .integer(stored) }
            return PassedSegment.cast(try firstAttribute(keys, row, column: index))
        case .events: return try list(fixed(FixedColumn.events), row, WireJSON.event)
        case .links: return try list(fixed(FixedColumn.links), row, WireJSON.link)
        case .attribute(let key): return try stored(key, row, column: index).map { shown($0.value, $0.bytes) } ?? .null
        case .attributeType(let key): return try stored(key, row, column: index).map { typeName($0.value, $0.bytes) } ?? .null
        case nil: return .null
        }
    }

    /// An attribute as `attr` gives it.
    func attribute(_ key: String, _ row: Int) throws -> Value {
        try stored(key, row, try reader.column(.attribute, key)).map { shown($0.value, $0.bytes) } ?? .null
    }

    /// An attribute as it is stored, for the column of `spans` that asks for it.
    private func stored(_ key: String, _ row: Int, column index: Int) throws -> (value: DecodedValue, bytes: [UInt8])? {
        let column: DecodedColumn?
        if let known = attributeLookups[index] {
            column = known.first
        } else {
            column = try reader.column(.attribute, key)
            attributeLookups[index] = column.map { [$0] } ?? []
        }
        return try stored(key, row, column)
    }

    /// The same; `nil` when the span has none.
    func stored(_ key: String, _ row: Int, _ column: DecodedColumn?) throws -> (value: DecodedValue, bytes: [UInt8])? {
        if let column {
            let value = column.value(row)
            if case .absent = value {} else { return (value, column.bytes) }
        }
        guard let overflow = try overflowColumn.get(),
            let found = try overflowing(overflow, row).first(where: { $0.name.isExactly(key) })
        else { return nil }
        return (found.value, overflow.bytes)
    }

    /// The kind of a value as `attr_type` gives it.
    private func typeName(_ value: DecodedValue, _ bytes: [UInt8]) -> Value {
        switch value {
        case .absent: return .null
        case .empty: return .string("null")
        case .integer: return .string("integer")
        case .bool(let bool): return .string(bool ? "true" : "false")
        case .text: return .string("text")
        case .double, .encoded: return rendered(value, bytes).map { .string($0.typeName(in: json.bytes)) } ?? .null
        }
    }

    private func shown(_ value: DecodedValue, _ bytes: [UInt8]) -> Value {
        switch value {
        case .absent, .empty: return .null
        case .integer(let integer): return .integer(integer)
        // Infinities and NaN are texts in JSON.
        case .double(let double): return double.isFinite ? .double(double) : renderedText(value, bytes)
        case .bool(let bool): return .integer(bool ? 1 : 0)
        case .text(let range): return .text(bytes[range])
        case .encoded: return renderedText(value, bytes)
        }
    }

    /// A value as it is read from the JSON that `json` then holds.
    private func rendered(_ value: DecodedValue, _ bytes: [UInt8]) -> JSONText.Value? {
        json.clear()
        json.raw("{")
        var isFirst = true
        member("", value, bytes, &isFirst)
        json.raw("}")
        return JSONText.member("", in: json.bytes[...])
    }

    /// A value that JSON has no number for, as its text in JSON.
    private func renderedText(_ value: DecodedValue, _ bytes: [UInt8]) -> Value {
        switch rendered(value, bytes) {
        case .text(let text): return .string(text)
        case .container(let range): return .text(json.bytes[range])
        default: return .null
        }
    }

    private func integer(_ column: DecodedColumn?, _ row: Int) -> Value {
        column?.integer(row).map(Value.integer) ?? .null
    }

    private func identity(_ column: DecodedColumn?, _ row: Int) -> Value {
        column?.integer(row).map { .string(SpanID(UInt64(bitPattern: $0)).hexadecimal) } ?? .null
    }

    private func text(_ space: ColumnSpace, _ name: String, _ row: Int) throws -> Value {
        guard let column = try reader.column(space, name), case .text(let range) = column.value(row) else { return .null }
        return .text(column.bytes[range])
    }

    private func text(_ text: String) -> Value { text.isEmpty ? .null : .string(text) }

    func traceIDs() throws -> [TraceID] {
        if let traces { return traces }
        let loaded = try reader.traceIDs()
        traces = loaded
        return loaded
    }

    private func traceID(_ index: Int) throws -> TraceID {
        let traces = try traceIDs()
        guard traces.indices.contains(index) else { throw SegmentError.damaged("a span of no trace") }
        return traces[index]
    }

    func resource(_ row: Int) throws -> Int64 {
        guard let number = try resourceColumn.get()?.integer(row), number >= 0, number < (try serviceNames().count)
        else { throw SegmentError.damaged("a span of no resource") }
        return number
    }

    func serviceNames() throws -> [String] {
        if let services { return services }
        let loaded = try reader.resources().map(\.serviceName)
        services = loaded
        return loaded
    }

    func resourceAttributes() throws -> [[UInt8]] {
        if let resourceJSON { return resourceJSON }
        let rendered = try reader.resources().map { resource in
            var json = JSONWriter()
            WireJSON.attributes(resource.encoded, WireRange(offset: 0, count: resource.encoded.count), field: 1, into: &json)
            return json.bytes
        }
        resourceJSON = rendered
        return rendered
    }

    private func scopeAttributes() throws -> [[UInt8]] {
        if let scopeJSON { return scopeJSON }
        let rendered = try scopes().map { scope in
            var json = JSONWriter()
            WireJSON.attributes(scope.encoded, WireRange(offset: 0, count: scope.encoded.count), field: 3, into: &json)
            return json.bytes
        }
        scopeJSON = rendered
        return rendered
    }

    func scopes() throws -> [StoredScope] {
        if let storedScopes { return storedScopes }
        let loaded = try reader.scopes()
        storedScopes = loaded
        return loaded
    }

    private func scope(_ row: Int) throws -> StoredScope { try scopes()[scopeNumber(row)] }

    private func scopeNumber(_ row: Int) throws -> Int {
        guard let number = try fixed(FixedColumn.scope)?.integer(row), number >= 0, number < (try scopes().count) else {
            throw SegmentError.damaged("a span of no scope")
        }
        return Int(number)
    }

    private func list(
        _ column: DecodedColumn?, _ row: Int, _ render: ([UInt8], WireRange, inout JSONWriter) -> Void
    ) throws -> Value {
        json.clear()
        json.raw("[")
        if let column, case .encoded(_, let range) = column.value(row) {
            var cursor = try ByteCursor(column.bytes, range: range)
            var isFirst = true
            while cursor.position < cursor.end {
                let item = try cursor.prefixedRange()
                if !isFirst { json.raw(",") }
                isFirst = false
                render(column.bytes, WireRange(offset: item.lowerBound, count: item.count), &json)
            }
        }
        json.raw("]")
        return .text(json.bytes[...])
    }

    /// The first of the attributes that the span has; segments without them cost nothing.
    private func firstAttribute(_ keys: [String], _ row: Int, column index: Int) throws -> Value {
        if attributeLookups[index] == nil {
            attributeLookups[index] = try keys.compactMap { try reader.column(.attribute, $0) }
        }
        for column in attributeLookups[index] ?? [] {
            switch column.value(row) {
            case .absent, .empty: break
            case .integer(let integer): return .integer(integer)
            case .bool(let flag): return .integer(flag ? 1 : 0)
            case .text(let range): return .text(column.bytes[range])
            case .double(let double): return .string(JSONValue.double(double).line)
            case .encoded(let kind, let range):
                json.clear()
                WireJSON.value(kind, column.bytes, WireRange(offset: range.lowerBound, count: range.count), into: &json)
                return .text(json.bytes[...])
            }
        }
        guard try overflowColumn.get() != nil else { return .null }
        let all = try attributes(row)
        guard let value = keys.lazy.compactMap({ JSONText.member($0, in: all) }).first else { return .null }
        switch value {
        case .text(let text): return .string(text)
        case .number(let digits): return Int64(digits).map(Value.integer) ?? .string(digits)
        case .bool(let flag): return .integer(flag ? 1 : 0)
        case .null: return .null
        case .container(let range): return .text(json.bytes[range])
        }
    }

    /// The attributes as one JSON object, in the order of their keys: a row reads the same whatever segment it lies in.
    private func attributes(_ row: Int) throws -> ArraySlice<UInt8> {
        let columns = try loadedAttributeColumns()
        let overflow = try overflowColumn.get()
        let rest = try overflow.map { try overflowing($0, row).sorted { $0.name < $1.name } } ?? []
        let restBytes = overflow?.bytes ?? []
        var next = 0
        json.clear()
        json.raw("{")
        var isFirst = true
        for (name, column) in columns {
            while next < rest.count, rest[next].name < name {
                member(rest[next].name, rest[next].value, restBytes, &isFirst)
                next += 1
            }
            member(name, column.value(row), column.bytes, &isFirst)
        }
        for (name, value) in rest[next...] { member(name, value, restBytes, &isFirst) }
        json.raw("}")
        return json.bytes[...]
    }

    /// A span's attributes without a column of their own, in the order in which they are stored.
    private func overflowing(_ overflow: DecodedColumn, _ row: Int) throws -> [(name: String, value: DecodedValue)] {
        guard case .encoded(_, let range) = overflow.value(row) else { return [] }
        var found: [(name: String, value: DecodedValue)] = []
        var cursor = try ByteCursor(overflow.bytes, range: range)
        while cursor.position < cursor.end { found.append((try cursor.prefixedText(), try DecodedColumn.mixed(&cursor))) }
        return found
    }

    /// The attributes that have no column of their own; `nil` when there are none.
    func overflow() throws -> DecodedColumn? { try overflowColumn.get() }

    /// The columns of attributes, by key.
    func loadedAttributeColumns() throws -> [(name: String, column: DecodedColumn)] {
        if let attributeColumns { return attributeColumns }
        var loaded: [(name: String, column: DecodedColumn)] = []
        for entry in reader.directory.columns where entry.space == .attribute {
            if let column = try reader.column(.attribute, entry.name) { loaded.append((entry.name, column)) }
        }
        loaded.sort { $0.name < $1.name }
        attributeColumns = loaded
        return loaded
    }

    private func member(_ name: String, _ value: DecodedValue, _ bytes: [UInt8], _ isFirst: inout Bool) {
        if case .absent = value { return }
        if !isFirst { json.raw(",") }
        isFirst = false
        json.string(name)
        json.raw(":")
        switch value {
        case .absent, .empty: json.raw("null")
        case .integer(let integer): json.integer(integer)
        case .double(let double): json.double(double)
        case .bool(let bool): json.bool(bool)
        case .text(let range): json.string(bytes[range])
        case .encoded(let kind, let range):
            WireJSON.value(kind, bytes, WireRange(offset: range.lowerBound, count: range.count), into: &json)
        }
    }
}
