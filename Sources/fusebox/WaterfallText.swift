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
        var kind: Int64?

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
            kind = row[12].integer
            if let tool = row[11].text, stage == "other", !tool.isEmpty { stage = "http_tool" }
        }

        var key: TraceReading.Path.Key { TraceReading.Path.Key(spanID: id, kind: kind) }

        var node: TraceTree.Node { TraceTree.Node(spanID: id, parentSpanID: parent, service: service, kind: kind) }

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
    private let spanCount: Int64
    private let start: Int64
    private let duration: Int64
    /// What the bars are a part of.
    private let length: Int64
    private let width: Int
    private let hasColours: Bool
    private let path: TraceReading.Path
    private let shares: [TraceReading.Path.Key: Int64]

    /// Levels that are drawn indented; deeper spans stand at the last.
    private static let levelsMax = 20

    /// - Parameters:
    ///   - spanCount: spans of the whole trace.
    ///   - path: the critical path, whose shares stand behind the bars.
    init(_ spans: [Span], of spanCount: Int64, path: TraceReading.Path, width: Int, hasColours: Bool) {
        self.width = width
        self.path = path
        shares = path.shares
        self.spanCount = spanCount
        self.hasColours = hasColours
        start = spans.map(\.start).min() ?? 0
        let end = spans.map(\.end).max() ?? 0
        duration = max(0, end.subtractingSaturated(start))
        length = max(1, duration)
        lines = Self.tree(spans)
    }

    /// The spans in the order of reading, with the branches that lead to them.
    private static func tree(_ spans: [Span]) -> [Line] {
        var branches: [String] = []
        var deepest = ""
        return TraceTree.places(spans.map(\.node)).map { place in
            let span = spans[place.index]
            guard place.depth > 0 else {
                branches = [""]
                return Line(prefix: "", span: span)
            }
            guard place.depth <= levelsMax else { return Line(prefix: deepest, span: span) }
            let above = branches[place.depth - 1]
            branches.removeSubrange(place.depth...)
            branches.append(above + (place.isLast ? "  " : "│ "))
            deepest = above + (place.isLast ? "└ " : "├ ")
            return Line(prefix: deepest, span: span)
        }
    }

    func text(traceID: String) -> String {
        let marks = lines.map {
            ($0.span.duration.map(DurationText.short) ?? "not ended") + ($0.span.mark.isEmpty ? "" : " " + $0.span.mark)
        }
        let right = min(20, marks.map(\.count).max() ?? 0)
        let longest = lines.map { $0.prefix.count + Terminal.escaped($0.span.name).count }.max() ?? 0
        let left = min(longest, max(8, (width - right - 4) * 2 / 5))
        let bars = max(8, width - left - right - 4 - shareColumns)
        var text = header(traceID) + "\n"
        for (line, mark) in zip(lines, marks) {
            let name = Self.fitted(line.prefix + Terminal.escaped(line.span.name), left)
            let bar = coloured(bar(line.span, bars), line.span)
            let share = Self.leading(share(line.span), shareColumns)
            text += "\(name)  \(bar)\(share)  \(coloured(Self.padded(mark, right), line.span, onlyMarks: true))".trimmedEnd + "\n"
        }
        return text
    }

    /// A blank and `100%`, the longest share; none where there is little room.
    private var shareColumns: Int { width < 60 || shares.isEmpty ? 0 : 5 }

    /// How much of the trace's duration is the span's own, on the critical path; empty when it is not on it.
    private func share(_ span: Span) -> String {
        guard shareColumns > 0, let own = shares[span.key], path.whole.nanoseconds > 0 else { return "" }
        let percent = 100 * Double(own) / Double(path.whole.nanoseconds)
        return percent < 1 ? "<1%" : "\(Int(percent.rounded()))%"
    }

    private var spansText: String {
        spanCount > Int64(lines.count) ? "the first \(lines.count) of \(spanCount) spans" : "\(lines.count) spans"
    }

    private func header(_ traceID: String) -> String {
        let errors = lines.count { $0.span.isError }
        let timeouts = lines.count { $0.span.outcome == "timeout" }
        let services = Set(lines.map(\.span.service)).sorted().prefix(3).map(Terminal.escaped).joined(separator: ", ")
        var parts = [traceID, TimeText.iso8601(unixNano: start), DurationText.short(duration), spansText]
        if timeouts > 0 { parts.append("\(timeouts) timeout\(timeouts == 1 ? "" : "s")") }
        if errors > 0 { parts.append("\(errors) error\(errors == 1 ? "" : "s")") }
        parts.append(services)
        if shareColumns > 0 { parts.append("%: critical path") }
        return parts.joined(separator: "  ")
    }

    /// A bar in eighths of a column, `columns` wide with the space around it.
    private func bar(_ span: Span, _ columns: Int) -> String {
        let eighths = columns * 8
        let scale = Double(eighths) / Double(length)
        let offset = span.start.subtractingSaturated(start)
        let from = min(eighths - 1, max(0, Int(Double(offset) * scale)))
        let to = min(eighths, max(from + 1, Int((Double(offset.addingSaturated(span.duration ?? 0)) * scale).rounded(.up))))
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

    private static func leading(_ text: String, _ count: Int) -> String {
        String(repeating: " ", count: max(0, count - text.count)) + text
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
