/// How far a long command is, on one line of standard error, for whoever watches; nothing when nobody does.
struct ProgressLine {
    private static let width = 24
    private let verb: String
    private let isShown = Terminal.isTerminal(.standardError)
    private var shown = ""

    init(_ verb: String) {
        self.verb = verb
    }

    /// Shows `done` of `total`, with a bar.
    mutating func show(_ done: Int64, of total: Int64, _ unit: String) {
        guard total > 0 else { return }
        let share = Double(min(done, total)) / Double(total)
        let filled = Int(share * Double(Self.width))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: Self.width - filled)
        show("\(bar) \(Int(share * 100)) %, \(done) of \(total) \(unit)")
    }

    /// Shows a text, when it is another one than before.
    mutating func show(_ text: String) {
        guard isShown, text != shown else { return }
        shown = text
        Terminal.write("\r\u{1B}[K\(verb) \(text)", to: .standardError)
    }

    /// Wipes the line away.
    mutating func end() {
        guard isShown, !shown.isEmpty else { return }
        shown = ""
        Terminal.write("\r\u{1B}[K", to: .standardError)
    }
}
