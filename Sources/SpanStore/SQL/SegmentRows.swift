import TelemetryModel

/// A segment as rows of `spans`: values by SQL column, read when first asked for.
final class SegmentRows {
    enum Value {
        case null
        case integer(Int64)
        case text(ArraySlice<UInt8>)
        case string(String)
    }

    let reader: SegmentReader
    private var columns: [DecodedColumn??]
    private var traces: [TraceID]?
    private var services: [String]?
    private var resourceJSON: [[UInt8]]?
    private var storedScopes: [StoredScope]?
    private var attributeColumns: [(name: String, column: DecodedColumn)]?
    /// The columns behind an `attribute` source, by SQL column.
    private var attributeLookups: [[DecodedColumn]?]
    private var json = JSONWriter()

    init(_ reader: SegmentReader) {
        self.reader = reader
        columns = Array(repeating: nil, count: SpansColumn.all.count)
        attributeLookups = Array(repeating: nil, count: SpansColumn.all.count)
    }

    private func fixed(_ name: String) throws -> DecodedColumn? {
        try reader.column(.fixed, name)
    }

    /// Columns that almost every row asks for, looked up once; the look-up by name costs more than the value.
    private lazy var startColumn = Result { try reader.column(.fixed, FixedColumn.start) }
    private lazy var durationColumn = Result { try reader.column(.fixed, FixedColumn.duration) }
    private lazy var resourceColumn = Result { try reader.column(.fixed, FixedColumn.resource) }
    private lazy var overflowColumn = Result { try reader.column(.fixed, FixedColumn.overflow) }

    /// The column behind the SQL column, decoded once.
    private func column(_ index: Int, _ space: ColumnSpace, _ name: String) throws -> DecodedColumn? {
        if let known = columns[index] { return known }
        let decoded = try reader.column(space, name)
        columns[index] = .some(decoded)
        return decoded
    }

    // MARK: Filters

    func rows(of trace: TraceID) throws -> [Int32] {
        guard let wanted = try traceIDs().firstIndex(of: trace), let index = try fixed(FixedColumn.traceIndex) else { return [] }
        return (0..<reader.spanCount).compactMap { index.integer($0) == Int64(wanted) ? Int32($0) : nil }
    }

    /// The rows whose text is `text`; `nil` when the column cannot say.
    func rows(column index: Int, equalTo text: [UInt8]) throws -> [Int32]? {
        switch SpansColumn.all[index].source {
        case .text(let space, let name):
            guard var entry = reader.directory.column(space, name) else { return [] }
            if entry.encoding == .alias, let source = reader.directory.column(.attribute, entry.aliasName) { entry = source }
            let bit = ByteHash.hash(text.span.bytes, WireRange(offset: 0, count: text.count)) & 63
            if entry.valueMask & 1 << bit == 0 { return [] }
            return try column(index, space, name)?.rows(equalTo: text, spanCount: reader.spanCount)
        case .serviceName:
            let wanted = String(decoding: text, as: UTF8.self)
            let matching = Set(try serviceNames().enumerated().filter { $0.element == wanted }.map { Int64($0.offset) })
            if matching.isEmpty { return [] }
            guard let resource = try fixed(FixedColumn.resource) else { return [] }
            return (0..<reader.spanCount).compactMap { matching.contains(resource.integer($0) ?? -1) ? Int32($0) : nil }
        default: return nil
        }
    }

    // MARK: Values

    func value(_ row: Int, column index: Int) throws -> Value {
        switch SpansColumn.all[index].source {
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
                start &+ duration != 0
            else { return .null }
            return .integer(max(0, duration))
        case .serviceName: return .string(try serviceNames()[Int(try resource(row))])
        case .scopeName: return text(try scope(row).name)
        case .scopeVersion: return text(try scope(row).version)
        case .integer(let space, let name): return try integer(column(index, space, name), row)
        case .text(let space, let name):
            guard let column = try column(index, space, name), case .text(let range) = column.value(row) else { return .null }
            return .text(column.bytes[range])
        case .attributes: return .text(try attributes(row))
        case .resourceAttributes: return .text(try resourceAttributes()[Int(try resource(row))][...])
        case .attribute(let keys): return try attribute(keys, row, column: index)
        case .events: return try list(fixed(FixedColumn.events), row, WireJSON.event)
        case .links: return try list(fixed(FixedColumn.links), row, WireJSON.link)
        }
    }

    private func integer(_ column: DecodedColumn?, _ row: Int) -> Value {
        column?.integer(row).map(Value.integer) ?? .null
    }

    private func identity(_ column: DecodedColumn?, _ row: Int) -> Value {
        column?.integer(row).map { .string(SpanID(UInt64(bitPattern: $0)).hexadecimal) } ?? .null
    }

    private func text(_ text: String) -> Value { text.isEmpty ? .null : .string(text) }

    private func traceIDs() throws -> [TraceID] {
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

    private func resource(_ row: Int) throws -> Int64 {
        guard let number = try resourceColumn.get()?.integer(row), number >= 0, number < (try serviceNames().count)
        else { throw SegmentError.damaged("a span of no resource") }
        return number
    }

    private func serviceNames() throws -> [String] {
        if let services { return services }
        let loaded = try reader.resources().map(\.serviceName)
        services = loaded
        return loaded
    }

    private func resourceAttributes() throws -> [[UInt8]] {
        if let resourceJSON { return resourceJSON }
        let rendered = try reader.resources().map { resource in
            var json = JSONWriter()
            WireJSON.attributes(resource.encoded, WireRange(offset: 0, count: resource.encoded.count), field: 1, into: &json)
            return json.bytes
        }
        resourceJSON = rendered
        return rendered
    }

    private func scope(_ row: Int) throws -> StoredScope {
        let scopes = try storedScopes ?? reader.scopes()
        storedScopes = scopes
        guard let number = try fixed(FixedColumn.scope)?.integer(row), number >= 0, number < scopes.count else {
            throw SegmentError.damaged("a span of no scope")
        }
        return scopes[Int(number)]
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
    private func attribute(_ keys: [String], _ row: Int, column index: Int) throws -> Value {
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

    private func attributes(_ row: Int) throws -> ArraySlice<UInt8> {
        let columns = try attributeColumns ?? loadAttributeColumns()
        json.clear()
        json.raw("{")
        var isFirst = true
        for (name, column) in columns { member(name, column.value(row), column.bytes, &isFirst) }
        if let overflow = try overflowColumn.get(), case .encoded(_, let range) = overflow.value(row) {
            var cursor = try ByteCursor(overflow.bytes, range: range)
            while cursor.position < cursor.end {
                let name = try cursor.prefixedText()
                member(name, try DecodedColumn.mixed(&cursor), overflow.bytes, &isFirst)
            }
        }
        json.raw("}")
        return json.bytes[...]
    }

    private func loadAttributeColumns() throws -> [(name: String, column: DecodedColumn)] {
        var loaded: [(String, DecodedColumn)] = []
        for entry in reader.directory.columns where entry.space == .attribute {
            if let column = try reader.column(.attribute, entry.name) { loaded.append((entry.name, column)) }
        }
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
