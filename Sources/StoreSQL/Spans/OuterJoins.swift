import SQLite

/// Says of the statement that is being prepared whether it may contain an outer join.
///
/// SQLite 3.40 hands `x IS NOT NULL` and `x LIKE y` down to a virtual table even when they stand in the ON clause of an outer join on
/// its right, and does not say so. A scan that leaves rows out for them would lose rows of the join. So they are taken only from statements
/// that have no outer join, neither in their own text nor in a view that they may read: docs/adr/0063.
final class OuterJoins {
    /// One of these words stands in every outer join; as a word of SQL it cannot be written in another way.
    private static let words = ["left", "right", "full"].map { Array($0.utf8) }

    /// The words that were found.
    private struct Found: OptionSet {
        let rawValue: Int

        static let left = Found(rawValue: 1)
        /// RIGHT and FULL: joins that show rows of the right table that nothing was joined with.
        static let right = Found(rawValue: 2)
        /// What may be an IN over several columns.
        static let rowList = Found(rawValue: 4)
    }

    private unowned let connection: Connection
    private var last: (preparation: Connection.Preparation, found: Found)?

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// Whether it may; `true` when its text is not known: another program prepares it, or SQLite does once more.
    func mayOccur() -> Bool { !found().isDisjoint(with: [.left, .right]) }

    /// Whether it may contain `(a, b) IN (…)` beside a RIGHT or FULL join. When SQLite 3.40 looks for the rows that nothing was joined with, it
    /// has used the list up, and hands down values that are none, as those of an equality.
    func mayUseRowListTwice() -> Bool { found().isSuperset(of: [.right, .rowList]) }

    private func found() -> Found {
        guard let preparation = connection.preparation else { return [.left, .right, .rowList] }
        if let last, last.preparation === preparation { return last.found }
        let found = found(in: preparation.text)
        last = (preparation, found)
        return found
    }

    private func found(in text: String) -> Found {
        guard var views = try? views() else { return [.left, .right, .rowList] }
        var found: Found = []
        var waiting = [Self.folded(text)]
        var seen: [[UInt8]] = []
        while let text = waiting.popLast() {
            for (word, joins) in zip(Self.words, [Found.left, .right, .right]) where Self.contains(text, word, isWord: true) {
                found.insert(joins)
            }
            seen.append(text)
            for (index, view) in views.enumerated().reversed() where Self.mayName(text, view.name) {
                waiting.append(view.text)
                views.remove(at: index)
            }
        }
        if found.contains(.right), seen.contains(where: Self.mayHaveRowList) { found.insert(.rowList) }
        return found
    }

    /// Whether IN may stand behind a bracket.
    private static func mayHaveRowList(_ text: [UInt8]) -> Bool {
        guard let tokens = SQLText.tokens(text) else { return true }
        return tokens.indices.dropLast().contains { index in
            guard tokens[index].isSymbol(")") else { return false }
            return tokens[index + 1].isWord("in") || tokens[index + 1].isWord("not")
        }
    }

    private func views() throws(SQLiteError) -> [(name: [UInt8], text: [UInt8])] {
        let statement = try connection.prepare(
            """
            SELECT name, sql FROM temp.sqlite_schema WHERE type = 'view'
            UNION ALL SELECT name, sql FROM main.sqlite_schema WHERE type = 'view'
            """)
        var views: [(name: [UInt8], text: [UInt8])] = []
        while try statement.step() {
            views.append((Self.folded(statement.text(0) ?? ""), Self.folded(statement.text(1) ?? "")))
        }
        return views
    }

    /// Whether a text may name a view. One with a quote in its name can be written in more than one way.
    private static func mayName(_ text: [UInt8], _ name: [UInt8]) -> Bool {
        name.contains { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "'") || $0 == UInt8(ascii: "`") }
            || contains(text, name, isWord: false)
    }

    /// The bytes, with ASCII letters in lower case.
    private static func folded(_ text: String) -> [UInt8] {
        text.utf8.map { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 ? $0 | 0x20 : $0 }
    }

    /// Whether `part` stands in `text` somewhere, be it in a comment.
    ///
    /// - Parameter isWord: only where no letter or digit stands beside it.
    private static func contains(_ text: [UInt8], _ part: [UInt8], isWord: Bool) -> Bool {
        guard let first = part.first, text.count >= part.count else { return part.isEmpty }
        for start in 0...(text.count - part.count) where text[start] == first {
            guard text[start..<start + part.count].elementsEqual(part) else { continue }
            let isInWord =
                start > 0 && isLetterOrDigit(text[start - 1])
                || start + part.count < text.count && isLetterOrDigit(text[start + part.count])
            if !isWord || !isInWord { return true }
        }
        return false
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"),
            0x80...0xFF:
            true
        default: false
        }
    }
}
