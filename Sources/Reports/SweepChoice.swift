import TelemetryModel

/// Which cell of a sweep to run: green cells pass the gates with enough runs; of them, those that no other beats in cost, p95 and
/// memory at once; of them the cheapest.
struct SweepChoice {
    struct JudgedCell {
        var cell: SweepReport.Cell
        var result: String
        var isGreen: Bool
    }

    struct Judgement {
        var cells: [JudgedCell]
        var notes: [String]
        var hasGreen: Bool
        /// Nothing failed a gate; there are only too few runs.
        var isInsufficient: Bool
    }

    let limits: GateLimits

    func judge(_ cells: [SweepReport.Cell]) -> Judgement {
        var judged = cells.map { cell in
            let (result, isGreen) = judge(cell)
            return JudgedCell(cell: cell, result: result, isGreen: isGreen)
        }
        let green = judged.indices.filter { judged[$0].isGreen }
        var notes: [String] = []
        if let last = green.last {
            notes.append("last green: \(Self.name(judged[last].cell)), \(reason(judged[last].cell))")
            let front = green.filter { index in !green.contains { Self.dominates(judged[$0].cell, judged[index].cell) } }
            for index in green where !front.contains(index) { judged[index].result = "green, beaten" }
            if let winner = front.min(by: { Self.isBetter(judged[$0].cell, judged[$1].cell) }) {
                judged[winner].result = "chosen"
                notes.append("chosen: \(Self.name(judged[winner].cell)), \(choice(judged[winner].cell, front.count))")
            }
        } else {
            notes.append(judged.isEmpty ? "there is no cell: no run in the window has these attributes" : "no cell is green: \(judged.map { "\(Self.name($0.cell)): \($0.result)" }.prefix(5).joined(separator: "; "))")
        }
        if limits.p95LatencyNanoseconds == nil { notes.append("no p95 gate is set (P95_LATENCY_MS_MAX): every cell passes it") }
        return Judgement(
            cells: judged, notes: notes, hasGreen: !green.isEmpty,
            isInsufficient: judged.isEmpty || judged.contains { $0.result.hasPrefix("n < ") })
    }

    private func judge(_ cell: SweepReport.Cell) -> (result: String, isGreen: Bool) {
        let p95 = cell.p95
        if let limit = limits.p95LatencyNanoseconds, let value = p95.value, value > limit {
            return ("p95 over by \(ReportValue.milliseconds(value.subtractingSaturated(limit)).text) ms", false)
        }
        if let limit = limits.peakResidentBytes, let bytes = cell.peakResidentBytes, Double(bytes) > limit {
            return ("memory over by \(ReportValue.bytes(bytes.subtractingSaturated(Int64(saturating: limit))).text)", false)
        }
        if let limit = limits.timeouts, Double(cell.timeouts) > limit { return ("timeouts over", false) }
        if let limit = limits.breakerOpens, Double(cell.opens) > limit { return ("opens over", false) }
        if let limit = limits.dollarsPerMillionTokens {
            guard let value = cell.dollarsPerMillionTokens else { return ("no price or tokens", false) }
            if value > limit { return ("cost over by \(ReportValue.dollars(value - limit).text)", false) }
        }
        if p95.count < OrderStatistics.p95CountMin { return ("n < \(OrderStatistics.p95CountMin)", false) }
        return ("green", true)
    }

    private static func name(_ cell: SweepReport.Cell) -> String { "(" + cell.values.joined(separator: ", ") + ")" }

    private func reason(_ cell: SweepReport.Cell) -> String {
        let p95 = ReportValue.optional(milliseconds: cell.p95.value).text
        let limit = limits.p95LatencyNanoseconds.map { " ≤ \(ReportValue.milliseconds($0).text) ms" } ?? ""
        return "the last tuple under the gates: p95 \(p95) ms\(limit) with n=\(cell.durations.count)"
    }

    private func choice(_ cell: SweepReport.Cell, _ frontCount: Int) -> String {
        let cost = cell.dollarsPerMillionTokens.map { "\(ReportValue.dollars($0).text) USD/Mtok" } ?? "no price"
        let p95 = ReportValue.optional(milliseconds: cell.p95.value).text
        let memory = cell.peakResidentBytes.map { ", peak \(ReportValue.bytes($0).text)" } ?? ""
        let others =
            switch frontCount {
            case ...1: "; no other is better in anything"
            case 2: "; 1 other is better in cost, p95 or memory"
            default: "; \(frontCount - 1) others are better in cost, p95 or memory"
            }
        return "\(cost), p95 \(p95) ms\(memory)\(others)"
    }

    /// What is not known counts as equal.
    private static func measures(_ left: SweepReport.Cell, _ right: SweepReport.Cell) -> [(Double, Double)] {
        var pairs: [(Double, Double)] = []
        if let a = left.dollarsPerMillionTokens, let b = right.dollarsPerMillionTokens { pairs.append((a, b)) }
        if let a = left.p95.value, let b = right.p95.value { pairs.append((Double(a), Double(b))) }
        if let a = left.peakResidentBytes, let b = right.peakResidentBytes { pairs.append((Double(a), Double(b))) }
        return pairs
    }

    /// At least as good in everything and better in something.
    static func dominates(_ left: SweepReport.Cell, _ right: SweepReport.Cell) -> Bool {
        let pairs = measures(left, right)
        return pairs.allSatisfy { $0.0 <= $0.1 } && pairs.contains { $0.0 < $0.1 }
    }

    /// Cheaper; then less memory; then faster; then the smaller tuple.
    static func isBetter(_ left: SweepReport.Cell, _ right: SweepReport.Cell) -> Bool {
        let costs = (left.dollarsPerMillionTokens ?? .infinity, right.dollarsPerMillionTokens ?? .infinity)
        if costs.0 != costs.1 { return costs.0 < costs.1 }
        let memory = (left.peakResidentBytes ?? .max, right.peakResidentBytes ?? .max)
        if memory.0 != memory.1 { return memory.0 < memory.1 }
        let p95 = (left.p95.value ?? .max, right.p95.value ?? .max)
        if p95.0 != p95.1 { return p95.0 < p95.1 }
        return SweepReport.isBefore(left.values, right.values)
    }
}
