/// What stands behind a backslash, and classes by their names.
extension PatternParser {
    /// What an escape stands for.
    enum Escape {
        case set(ByteSet)
        case character(Unicode.Scalar)
    }

    /// The next character, as it stands there.
    mutating func character() throws(PatternError) -> Unicode.Scalar {
        guard let byte = next else { throw error("the pattern ends") }
        // The text was a `String`: its bytes are well-formed.
        let count = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
        let bytes = text[position..<min(position + count, text.count)]
        guard let scalar = String(decoding: bytes, as: UTF8.self).unicodeScalars.first else { throw error("the pattern ends") }
        position += count
        return scalar
    }

    /// What the escape behind a backslash stands for.
    mutating func escape() throws(PatternError) -> Escape {
        guard let byte = next else { throw error("the pattern ends in a \\") }
        if byte >= 0x80 { return .character(try character()) }
        position += 1
        switch byte {
        case UInt8(ascii: "d"): return .set(.digits)
        case UInt8(ascii: "D"): return .set(ByteSet.digits.inverted)
        case UInt8(ascii: "w"): return .set(.word)
        case UInt8(ascii: "W"): return .set(ByteSet.word.inverted)
        case UInt8(ascii: "s"): return .set(.space)
        case UInt8(ascii: "S"): return .set(ByteSet.space.inverted)
        case UInt8(ascii: "n"): return .character("\n")
        case UInt8(ascii: "r"): return .character("\r")
        case UInt8(ascii: "t"): return .character("\t")
        case UInt8(ascii: "a"): return .character("\u{07}")
        case UInt8(ascii: "f"): return .character("\u{0C}")
        case UInt8(ascii: "v"): return .character("\u{0B}")
        case UInt8(ascii: "x"): return .character(try hexadecimal())
        case UInt8(ascii: "0")...UInt8(ascii: "7"): return .character(try octal(byte))
        default:
            guard !ByteSet.word.contains(byte) else { throw error("an unknown escape") }
            return .character(Unicode.Scalar(byte))
        }
    }

    /// `41` or `{e9}`.
    private mutating func hexadecimal() throws(PatternError) -> Unicode.Scalar {
        let isBraced = take(UInt8(ascii: "{"))
        var value: UInt32 = 0
        var count = 0
        while count < (isBraced ? 6 : 2), let digit = next.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) {
            value = value << 4 | UInt32(digit)
            count += 1
            position += 1
        }
        let isWhole = isBraced ? count > 0 && take(UInt8(ascii: "}")) : count == 2
        guard isWhole, let scalar = Unicode.Scalar(value) else { throw error("a \\x without its character, as in \\x41 or \\x{e9}") }
        return scalar
    }

    /// Two or three octal digits, or a zero; one other digit would be a reference to a group.
    private mutating func octal(_ first: UInt8) throws(PatternError) -> Unicode.Scalar {
        var value = UInt32(first - 0x30)
        var count = 1
        while count < 3, let byte = next, (0x30...0x37).contains(byte) {
            value = value << 3 | UInt32(byte - 0x30)
            count += 1
            position += 1
        }
        guard first == 0x30 || count > 1, let scalar = Unicode.Scalar(value) else { throw error("a reference to a group is not known") }
        return scalar
    }

    /// A class of POSIX' inside of a set, such as `[:alpha:]` or `[:^space:]`.
    mutating func takeNamedSet() throws(PatternError) -> ByteSet? {
        guard text[position...].starts(with: "[:".utf8), let end = text[position...].firstRange(of: Array(":]".utf8)) else { return nil }
        let isInverted = position + 2 < end.lowerBound && text[position + 2] == UInt8(ascii: "^")
        let name = String(decoding: text[(position + (isInverted ? 3 : 2))..<max(end.lowerBound, position + (isInverted ? 3 : 2))], as: UTF8.self)
        guard let set = Self.namedSet(name) else { throw error("the class [:\(name):] is not known") }
        position = end.upperBound
        return isInverted ? set.inverted : set
    }

    private static func namedSet(_ name: String) -> ByteSet? {
        switch name {
        case "alnum": ascii { $0.isLetter || $0.isNumber }
        case "alpha": ascii(\.isLetter)
        case "ascii": ByteSet(0...0x7F)
        case "blank": ByteSet([0x20, 0x09])
        case "cntrl": ByteSet(Array(0...0x1F) + [0x7F])
        case "digit": .digits
        case "graph": ByteSet(0x21...0x7E)
        case "lower": ascii(\.isLowercase)
        case "print": ByteSet(0x20...0x7E)
        case "punct": ByteSet((UInt8(0x21)...0x7E).filter { !ByteSet.word.contains($0) || $0 == UInt8(ascii: "_") })
        case "space": .space
        case "upper": ascii(\.isUppercase)
        case "word": .word
        case "xdigit": ascii(\.isHexDigit)
        default: nil
        }
    }

    private static func ascii(_ isIn: (Character) -> Bool) -> ByteSet {
        ByteSet((UInt8(0)...0x7F).filter { isIn(Character(Unicode.Scalar($0))) })
    }
}
