import TelemetryModel

/// Where the members of a JSON object lie in its text. What is inside of them is skipped, not read: a prompt of a megabyte costs one
/// pass over its bytes.
package struct JSONOutline: Sendable {
    /// A request has about twenty; past this many the object is refused.
    package static let membersMax = 256

    package struct Member: Equatable, Sendable {
        package var name: String
        /// Of its value in the text.
        package var value: Range<Int>
    }

    package private(set) var members: [Member] = []
    /// Where the object's closing brace stands.
    package private(set) var end = 0

    /// `nil` when the text is not one JSON object.
    package init?(_ text: [UInt8]) {
        var scanner = Scanner(text: text[...])
        guard scanner.step(over: UInt8(ascii: "{")) else { return nil }
        if !scanner.step(over: UInt8(ascii: "}")) {
            repeat {
                guard members.count < Self.membersMax, let name = scanner.string(), scanner.step(over: UInt8(ascii: ":")),
                    let value = scanner.value(), let text = try? JSONValue.parse(text[name]).text
                else { return nil }
                members.append(Member(name: text, value: value))
            } while scanner.step(over: UInt8(ascii: ","))
            guard scanner.step(over: UInt8(ascii: "}")) else { return nil }
        }
        end = scanner.position - 1
        guard scanner.isAtEnd else { return nil }
    }

    /// Where the value of a member lies; the last one of that name.
    package subscript(_ name: String) -> Range<Int>? { members.last { $0.name == name }?.value }

    private struct Scanner {
        let text: ArraySlice<UInt8>
        var position = 0

        private var next: UInt8? { position < text.count ? text[position] : nil }

        private mutating func skipSpace() {
            while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
        }

        var isAtEnd: Bool {
            mutating get {
                skipSpace()
                return next == nil
            }
        }

        mutating func step(over byte: UInt8) -> Bool {
            skipSpace()
            guard next == byte else { return false }
            position += 1
            return true
        }

        /// A string with its quotes.
        mutating func string() -> Range<Int>? {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { return nil }
            let start = position
            position += 1
            while let byte = next {
                position += byte == UInt8(ascii: "\\") ? 2 : 1
                if byte == UInt8(ascii: "\"") { return start..<position }
            }
            return nil
        }

        /// Any value; brackets are only counted, whoever reads it will see whether they match.
        mutating func value() -> Range<Int>? {
            skipSpace()
            let start = position
            var depth = 0
            while let byte = next {
                switch byte {
                case UInt8(ascii: "\""):
                    guard string() != nil else { return nil }
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    depth += 1
                    position += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if depth == 0 { return start < position ? start..<position : nil }
                    depth -= 1
                    position += 1
                case UInt8(ascii: ","):
                    if depth == 0 { return start < position ? start..<position : nil }
                    position += 1
                default: position += 1
                }
            }
            return nil
        }
    }
}
