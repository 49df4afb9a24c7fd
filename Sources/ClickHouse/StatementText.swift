/// Statements in ClickHouse's dialect, as far as it takes to tell them apart: where one ends, and which word it begins with.
///
/// Not a parser: the engine, which is told to write nothing, has the word.
package enum StatementText {
    /// Words that a statement which reads begins with.
    private static let reading: Set<String> = ["SELECT", "WITH", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "EXISTS", "FROM"]

    /// The statements of a text, without the semicolons between them. Those of space and comments alone are left out.
    package static func parts(_ text: String) -> [String] {
        var parts: [String] = []
        var scan = Scan(text)
        var start = 0
        while let piece = scan.next() {
            guard piece == .semicolon else { continue }
            parts.append(scan.text(start..<scan.position - 1))
            start = scan.position
        }
        parts.append(scan.text(start..<scan.position))
        return parts.filter { firstWord($0) != nil }
    }

    /// A text as a statement writes it.
    package static func quoted(_ text: String) -> String {
        "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }

    /// Why a statement is not asked; `nil` when it reads.
    package static func objection(_ statement: String) -> String? {
        guard let word = firstWord(statement) else { return "there is no query in the text" }
        guard reading.contains(word) else {
            return "\(word) is not asked: queries only read, and begin with SELECT, WITH, SHOW, DESCRIBE or EXPLAIN"
        }
        return nil
    }

    /// The first word in capitals, behind space, comments and opening brackets; a sign as itself; `nil` without any.
    private static func firstWord(_ statement: String) -> String? {
        var scan = Scan(statement)
        var word = ""
        while let piece = scan.next() {
            switch piece {
            case .letter(let byte): word.unicodeScalars.append(Unicode.Scalar(byte))
            case .space, .bracket: if !word.isEmpty { return word.uppercased() }
            case .semicolon, .quoted, .other: return word.isEmpty ? ";" : word.uppercased()
            }
        }
        return word.isEmpty ? nil : word.uppercased()
    }

    private enum Piece: Equatable {
        case letter(UInt8)
        /// Or a comment.
        case space
        /// That opens.
        case bracket
        case semicolon
        /// A text or a name in quotes.
        case quoted
        case other
    }

    /// Goes over a text piece by piece; each takes a byte at least.
    private struct Scan {
        private let bytes: [UInt8]
        private(set) var position = 0

        init(_ text: String) {
            bytes = Array(text.utf8)
        }

        func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

        mutating func next() -> Piece? {
            guard position < bytes.count else { return nil }
            let byte = bytes[position]
            position += 1
            switch byte {
            case 0x09...0x0D, 0x20: return .space
            case UInt8(ascii: "("): return .bracket
            case UInt8(ascii: ";"): return .semicolon
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                skipQuoted(byte)
                return .quoted
            case UInt8(ascii: "#") where next(is: "!") || next(is: " "):
                skipLine()
                return .space
            case UInt8(ascii: "-") where next(is: "-"):
                skipLine()
                return .space
            case UInt8(ascii: "/") where next(is: "*"):
                skipComment()
                return .space
            case 0x41...0x5A, 0x61...0x7A: return .letter(byte)
            default: return .other
            }
        }

        private func next(is character: Unicode.Scalar) -> Bool {
            position < bytes.count && bytes[position] == UInt8(ascii: character)
        }

        /// A quote that is doubled ends one text and begins another, which is the same here.
        private mutating func skipQuoted(_ quote: UInt8) {
            while position < bytes.count, bytes[position] != quote { position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1 }
            position = min(position + 1, bytes.count)
        }

        private mutating func skipLine() {
            while position < bytes.count, bytes[position] != 0x0A { position += 1 }
        }

        /// They nest.
        private mutating func skipComment() {
            var depth = 1
            position += 1
            while position < bytes.count, depth > 0 {
                if bytes[position] == UInt8(ascii: "*"), position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "/") {
                    depth -= 1
                    position += 1
                } else if bytes[position] == UInt8(ascii: "/"), position + 1 < bytes.count,
                    bytes[position + 1] == UInt8(ascii: "*")
                {
                    depth += 1
                    position += 1
                }
                position += 1
            }
        }
    }
}
