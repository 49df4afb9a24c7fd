import TelemetryModel

/// A value of a result.
enum SQLValue {
    case null
    case integer(Int64)
    case double(Double)
    case text(String)
    case blob([UInt8])
}

/// Writes the rows of one result in a format.
struct SQLRowWriter {
    /// Rows that a table's widths are taken from; later ones may stick out.
    private static let measuredRowsMax = 1000
    /// A wider table cell is cut on a terminal.
    private static let cellWidthMax = 80

    private let format: SQLFormat
    private let escapes: Bool
    private let columns: [String]
    /// Names of members in JSON.
    private let members: [String]
    private var measured: [[String]] = []
    private var isRightAligned: [Bool]
    /// By column; `nil` until they are known, and for columns that are left out.
    private var widths: [Int?]?
    private let fit: TableWidths.Fit?
    private var count = 0

    /// - Parameter fit: what a table does to fit a terminal; nothing without it.
    init(format: SQLFormat, escapes: Bool, columns: [String], fit: TableWidths.Fit? = nil) {
        self.format = format
        self.fit = format == .table ? fit : nil
        self.escapes = escapes
        self.columns = columns
        members = Self.members(columns)
        isRightAligned = Array(repeating: true, count: columns.count)
        if format == .csv { emit(columns.map(Self.csvField).joined(separator: ",") + "\r\n") }
        if format == .json { emit("[") }
    }

    private func emit(_ text: String) { Terminal.write(text) }

    mutating func write(_ row: [SQLValue]) {
        defer { count += 1 }
        switch format {
        case .csv:
            emit(
                row.map { Self.csvField(escapes ? Terminal.escaped(Self.plain($0)) : Self.plain($0)) }.joined(separator: ",")
                    + "\r\n")
        case .json: emit((count > 0 ? ",\n" : "\n") + object(row))
        case .jsonl: emit(object(row) + "\n")
        case .table, .markdown:
            for (index, value) in row.enumerated() {
                switch value {
                case .null, .integer, .double: break
                case .text, .blob: isRightAligned[index] = false
                }
            }
            let cells = row.map(cell)
            if widths != nil { emitRow(cells) } else { measured.append(cells) }
            if measured.count == Self.measuredRowsMax { emitMeasured() }
        }
    }

    mutating func finish() {
        switch format {
        case .csv, .jsonl: break
        case .json: emit(count > 0 ? "\n]\n" : "]\n")
        case .table, .markdown: if widths == nil && !columns.isEmpty { emitMeasured() }
        }
    }

    // MARK: CSV and JSON

    private static func csvField(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }

    private static func plain(_ value: SQLValue) -> String {
        switch value {
        case .null: ""
        case .integer(let integer): "\(integer)"
        case .double(let double): "\(double)"
        case .text(let text): text
        case .blob(let bytes): "x'" + bytes.map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined() + "'"
        }
    }

    /// An object has each name once: of columns with one name, those behind the first get `:1`, `:2`, as SQLite names them in a subquery.
    private static func members(_ columns: [String]) -> [String] {
        let given = Set(columns)
        var taken: Set<String> = []
        return columns.map { column in
            var name = column
            var number = 0
            while taken.contains(name) || number > 0 && given.contains(name) {
                number += 1
                name = "\(column):\(number)"
            }
            taken.insert(name)
            return name
        }
    }

    private func object(_ row: [SQLValue]) -> String {
        var json = JSONWriter()
        json.raw("{")
        for (index, value) in row.enumerated() {
            if index > 0 { json.raw(",") }
            json.string(members[index])
            json.raw(":")
            switch value {
            case .null: json.raw("null")
            case .integer(let integer): json.integer(integer)
            case .double(let double): json.double(double)
            case .text(let text): json.string(text)
            case .blob: json.string(Self.plain(value))
            }
        }
        json.raw("}")
        let text = String(decoding: json.bytes, as: UTF8.self)
        return escapes ? Terminal.escapedJSON(text) : text
    }

    // MARK: Tables

    private func cell(_ value: SQLValue) -> String {
        var text = Self.plain(value)
        if case .null = value { text = format == .table ? "∅" : "" }
        if format == .markdown { return Terminal.escaped(text).replacing("|", with: "\\|") }
        text = Terminal.escaped(text)
        guard escapes, text.count > Self.cellWidthMax else { return text }
        return text.prefix(Self.cellWidthMax - 1) + "…"
    }

    private func heading(_ name: String) -> String {
        let text = Terminal.escaped(name)
        return format == .markdown ? text.replacing("|", with: "\\|") : text
    }

    private mutating func emitMeasured() {
        let natural = columns.indices.map { index in
            measured.reduce(max(3, heading(columns[index]).count)) { max($0, $1[index].count) }
        }
        let widths = TableWidths(names: columns, natural: natural, isText: isRightAligned.map { !$0 }, fit: fit).widths
        self.widths = widths
        emitRow(columns.map(heading))
        if format == .markdown {
            emit(
                "|"
                    + natural.enumerated().map {
                        isRightAligned[$0.offset] && count > 0
                            ? String(repeating: "-", count: $0.element + 1) + ":"
                            : String(repeating: "-", count: $0.element + 2)
                    }.joined(separator: "|") + "|\n")
        } else {
            emit(widths.compactMap { $0.map { String(repeating: "─", count: $0) } }.joined(separator: "  ") + "\n")
        }
        for row in measured { emitRow(row) }
        measured = []
    }

    private func emitRow(_ cells: [String]) {
        let padded = cells.enumerated().compactMap { index, whole -> String? in
            guard let width = widths?[index] else { return nil }
            // Only a table that has to fit cuts; rows behind the measured ones may stick out of others.
            let text = fit != nil && whole.count > width ? whole.prefix(width - 1) + "…" : whole
            let space = String(repeating: " ", count: max(0, width - text.count))
            return isRightAligned[index] ? space + text : text + space
        }
        if format == .markdown {
            emit("| " + padded.joined(separator: " | ") + " |\n")
        } else {
            var line = padded.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            emit(line + "\n")
        }
    }
}
