import Queries
import TelemetryModel

/// A trace drawn with characters: the tree at the left, bars over time, durations at the right.
struct WaterfallText {
    struct Span {
        var id: String
        var parent: String?
        var name: String
        var start: Int64
        var end: Int64
        /// `nil` when the span did not end.
        var duration: Int64?
        var stage: String
        var outcome: String
        var isError: Bool
        var tokens: Int64?
        var service: String

        /// From a row of the query in `Trace`.
        init(_ row: [QueryValue]) {
            id = row[0].text ?? ""
            parent = row[1].text
            name = row[2].text ?? ""
            start = row[3].integer ?? 0
            duration = row[5].integer
            end = max(row[4].integer ?? 0, start)
            stage = row[6].text ?? "other"
            outcome = row[7].text ?? ""
            isError = row[8].integer == 2
            tokens = row[9].integer
            service = row[10].text ?? ""
            if let tool = row[11].text, stage == "other", !tool.isEmpty { stage = "http_tool" }
        }

        var mark: String {
            if outcome == "timeout" || outcome == "rejected" { return outcome }
            return isError || outcome == "error" ? "error" : ""
        }
    }

    private struct Line {
        var prefix: String
        var span: Span
    }

    private let lines: [Line]
    private let start: Int64
    private let length: Int64
    private let width: Int
    private let hasColours: Bool

    /// Levels that are drawn indented; deeper spans stand at the last.
    private static let levelsMax = 20

    init(_ spans: [Span], width: Int, hasColours: Bool) {
        self.width = width
        self.hasColours = hasColours
        start = spans.map(\.start).min() ?? 0
        let end = spans.map(\.end).max() ?? 0
        length = max(1, end.subtractingReportingOverflow(start).partialValue)
        lines = Self.tree(spans)
    }

    /// Depth first, children by start. Spans without a stored parent, or in a ring of parents, are roots.
    private static func tree(_ spans: [Span]) -> [Line] {
        let known = Set(spans.map(\.id))
        var children: [String: [Int]] = [:]
        var roots: [Int] = []
        for (index, span) in spans.enumerated() {
            if let parent = span.parent, parent != span.id, known.contains(parent) {
                children[parent, default: []].append(index)
            } else {
                roots.append(index)
            }
        }
        var lines: [Line] = []
        var seen = Set<Int>()
        func walk(_ root: Int) {
            var stack: [(index: Int, own: String, below: String, depth: Int)] = [(root, "", "", 0)]
            while let top = stack.popLast() {
                guard seen.insert(top.index).inserted else { continue }
                lines.append(Line(prefix: top.own, span: spans[top.index]))
                let below = children[spans[top.index].id] ?? []
                for (place, child) in below.enumerated().reversed() {
                    let isLast = place == below.count - 1
                    let isDeep = top.depth >= levelsMax
                    stack.append(
                        (
                            child, isDeep ? top.own : top.below + (isLast ? "└ " : "├ "),
                            isDeep ? top.below : top.below + (isLast ? "  " : "│ "), top.depth + 1
                        ))
                }
            }
        }
        roots.forEach(walk)
        for index in spans.indices where !seen.contains(index) { walk(index) }
        return lines
    }

    func text(traceID: String) -> String {
        let marks = lines.map { DurationText.short($0.span.duration ?? 0) + ($0.span.mark.isEmpty ? "" : " " + $0.span.mark) }
        let right = min(20, marks.map(\.count).max() ?? 0)
        let longest = lines.map { $0.prefix.count + Terminal.escaped($0.span.name).count }.max() ?? 0
        let left = min(longest, max(8, (width - right - 4) * 2 / 5))
        let bars = max(8, width - left - right - 4)
        var text = header(traceID) + "\n"
        for (line, mark) in zip(lines, marks) {
            let name = Self.fitted(line.prefix + Terminal.escaped(line.span.name), left)
            let bar = coloured(bar(line.span, bars), line.span)
            text += "\(name)  \(bar)  \(coloured(Self.padded(mark, right), line.span, onlyMarks: true))".trimmedEnd + "\n"
        }
        return text
    }

    private func header(_ traceID: String) -> String {
        let errors = lines.count { $0.span.isError }
        let timeouts = lines.count { $0.span.outcome == "timeout" }
        let services = Set(lines.map(\.span.service)).sorted().prefix(3).map(Terminal.escaped).joined(separator: ", ")
        var parts = [traceID, TimeText.iso8601(unixNano: start), DurationText.short(length), "\(lines.count) spans"]
        if timeouts > 0 { parts.append("\(timeouts) timeout\(timeouts == 1 ? "" : "s")") }
        if errors > 0 { parts.append("\(errors) error\(errors == 1 ? "" : "s")") }
        parts.append(services)
        return parts.joined(separator: "  ")
    }

    /// A bar in eighths of a column, `columns` wide with the space around it.
    private func bar(_ span: Span, _ columns: Int) -> String {
        let eighths = columns * 8
        let scale = Double(eighths) / Double(length)
        let from = min(eighths - 1, max(0, Int(Double(span.start - start) * scale)))
        let to = min(eighths, max(from + 1, Int((Double(span.start - start + (span.duration ?? 0)) * scale).rounded(.up))))
        let first = from / 8
        var text = String(repeating: " ", count: first)
        let whole = max(1, (to + 7) / 8 - first)
        text += String(repeating: "█", count: whole - 1)
        // The last column shows its part; the first cannot, since blocks grow from the left.
        let blocks = Array("▏▎▍▌▋▊▉█")
        let rest = to - (first + whole - 1) * 8
        text.append(blocks[max(0, min(7, rest - 1))])
        return Self.padded(text, columns)
    }

    // MARK: Colours and widths

    private func coloured(_ text: String, _ span: Span, onlyMarks: Bool = false) -> String {
        guard hasColours else { return text }
        let code: String
        switch (span.mark, span.stage) {
        case ("timeout", _), ("error", _): code = "31"
        case ("rejected", _): code = "33"
        case _ where onlyMarks: code = "2"
        case (_, "llm"): code = "35"
        case (_, "http_tool"): code = "34"
        case (_, "vector"): code = "36"
        case (_, "subprocess"): code = "33"
        default: code = "37"
        }
        return "\u{1B}[\(code)m\(text)\u{1B}[0m"
    }

    private static func fitted(_ text: String, _ count: Int) -> String {
        text.count > count ? text.prefix(max(0, count - 1)) + "…" : padded(text, count)
    }

    private static func padded(_ text: String, _ count: Int) -> String {
        text + String(repeating: " ", count: max(0, count - text.count))
    }
}

extension String {
    fileprivate var trimmedEnd: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
