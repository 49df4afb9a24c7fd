package import TelemetryModel

extension ReportDocument {
    /// The report in JSON: `sections` is an object of lists of objects, one a row.
    package func json(explains: Bool) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("report", .string(name)), .init("window", window.json),
        ]
        if let verdict {
            members.append(.init("verdict", .string(verdict.word)))
            members.append(.init("exit_code", .integer(Int64(verdict.rawValue))))
        }
        if !summary.isEmpty { members.append(.init("summary", .string(summary))) }
        members.append(
            .init("sections", .object(sections.map { section in JSONValue.Member(section.key, section.json(explains: explains)) })))
        return .object(members)
    }

    /// The report for a terminal. `escaped` makes text harmless for it.
    package func text(explains: Bool, escaped: (String) -> String = { $0 }) -> String {
        var lines = ["\(name) of \(window.text)"]
        if !summary.isEmpty { lines.append(summary) }
        for section in sections {
            lines.append("")
            lines += section.textLines(escaped)
            if explains { lines += section.queries.flatMap { ["", "  -- \($0.title)"] + $0.sql.split(separator: "\n").map { "  " + $0 } } }
        }
        if let verdict { lines += ["", "verdict: \(verdict.word) (exit code \(verdict.rawValue))"] }
        return lines.map { escaped($0) }.joined(separator: "\n") + "\n"
    }

    /// The report in Markdown.
    package func markdown(explains: Bool, escaped: (String) -> String = { $0 }) -> String {
        var lines = ["# Fusebox \(name) report", "", escaped(window.text)]
        if let verdict { lines += ["", "**Verdict: \(verdict.word)** (exit code \(verdict.rawValue))"] }
        if !summary.isEmpty { lines += ["", escaped(summary)] }
        for section in sections {
            lines += ["", "## \(section.title)", ""]
            lines += section.markdownLines(escaped)
            if explains { lines += section.queries.flatMap { ["", "\($0.title):", "", "```sql", $0.sql, "```"] } }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ReportSection {
    func json(explains: Bool) -> JSONValue {
        let objects = rows.map { row in
            JSONValue.object(zip(columns, row).map { JSONValue.Member($0, $1.json) })
        }
        var members: [JSONValue.Member] = [.init("rows", .array(objects))]
        if !notes.isEmpty { members.append(.init("notes", .array(notes.map { .string($0) }))) }
        if explains {
            members.append(
                .init("queries", .array(queries.map { ["title": .string($0.title), "sql": .string($0.sql)] })))
        }
        return .object(members)
    }

    /// Columns whose values are all numbers stand to the right.
    private var isRightAligned: [Bool] {
        columns.indices.map { index in
            !rows.isEmpty && rows.allSatisfy { index >= $0.count || $0[index].isNumber }
        }
    }

    private func cells(_ escaped: (String) -> String) -> [[String]] { rows.map { row in row.map { escaped($0.text) } } }

    func textLines(_ escaped: (String) -> String) -> [String] {
        var lines = [title]
        if rows.isEmpty { lines.append("  nothing") }
        if !rows.isEmpty {
            // Columns without a value would only make the lines long.
            let shown = columns.indices.filter { index in rows.contains { index < $0.count && $0[index] != .none } }
            let headings = shown.map { columns[$0] }
            let cells = cells(escaped).map { row in shown.map { $0 < row.count ? row[$0] : "" } }
            let widths = headings.indices.map { index in cells.reduce(headings[index].count) { max($0, $1[index].count) } }
            let alignment = isRightAligned
            let right = shown.map { alignment[$0] }
            for row in [headings] + cells {
                var line = " "
                for (index, text) in row.enumerated() {
                    let space = String(repeating: " ", count: max(0, widths[index] - text.count))
                    line += " " + (right[index] ? space + text : text + space) + (index + 1 < row.count ? " " : "")
                }
                while line.last == " " { line.removeLast() }
                lines.append(line)
            }
        }
        return lines + notes.map { "  \($0)" }
    }

    func markdownLines(_ escaped: (String) -> String) -> [String] {
        var lines: [String] = []
        if rows.isEmpty {
            lines.append("Nothing.")
        } else {
            let right = isRightAligned
            lines.append("| " + columns.joined(separator: " | ") + " |")
            lines.append("|" + right.map { $0 ? "---:" : "---" }.joined(separator: "|") + "|")
            for row in cells(escaped) { lines.append("| " + row.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |") }
        }
        for note in notes { lines += ["", escaped(note)] }
        return lines
    }
}
