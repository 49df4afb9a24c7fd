/// How a table of text fits a terminal: which columns are left out and how wide the others are.
struct TableWidths {
    /// What a table may do to fit.
    struct Fit: Sendable {
        /// Columns of the terminal.
        var width: Int
        /// Columns that may go, the first first.
        var optional: [String] = []
        /// Columns that are cut no shorter: ids and the like, which somebody copies.
        var whole: Set<String> = []

        /// What fits the terminal that standard output is; `nil` when it is none.
        static func terminal(optional: [String] = [], whole: Set<String> = []) -> Fit? {
            Terminal.columns.map { Fit(width: $0, optional: optional, whole: whole) }
        }
    }

    /// Between columns.
    static let gap = 2
    /// Text is cut no shorter than this.
    private static let textMin = 10

    /// By position; `nil` for a column that is left out.
    private(set) var widths: [Int?]

    /// - Parameters:
    ///   - natural: the width of each column's longest cell or its name.
    ///   - isText: which columns may be cut.
    init(names: [String], natural: [Int], isText: [Bool], fit: Fit?) {
        widths = natural
        guard let fit else { return }
        let floor = names.indices.map { index in
            isText[index] && !fit.whole.contains(names[index]) ? min(natural[index], Self.textMin) : natural[index]
        }
        var shown = Set(names.indices)
        for name in fit.optional where Self.total(shown.map { floor[$0] }) > fit.width {
            if let index = names.firstIndex(of: name) { shown.remove(index) }
        }
        for index in names.indices where !shown.contains(index) { widths[index] = nil }
        // The widest gives first.
        while Self.total(widths.compactMap(\.self)) > fit.width {
            let next = names.indices.filter { (widths[$0] ?? 0) > floor[$0] }.max { (widths[$0] ?? 0) < (widths[$1] ?? 0) }
            guard let next, let width = widths[next] else { break }
            widths[next] = width - 1
        }
    }

    private static func total(_ widths: [Int]) -> Int { widths.reduce(0, +) + gap * max(0, widths.count - 1) }
}
