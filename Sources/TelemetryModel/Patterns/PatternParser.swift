/// Why a text is no pattern.
package struct PatternError: Error, Equatable, Sendable {
    package var message: String

    package init(message: String) {
        self.message = message
    }

    package var isRetryable: Bool { false }
}

/// A pattern as a tree, before it becomes states.
indirect enum PatternNode {
    case bytes(ByteSet)
    case wordBoundary
    case sequence([PatternNode])
    case alternatives([PatternNode])
    /// Without a maximum: as often as it comes.
    case repeated(PatternNode, minimum: Int, maximum: Int?)
}

/// Which of the 256 bytes.
struct ByteSet: Equatable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    init() {}

    init(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { insert(byte) }
    }

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let bit = UInt64(1) << UInt64(byte & 63)
        return switch byte >> 6 {
        case 0: words.0 & bit != 0
        case 1: words.1 & bit != 0
        case 2: words.2 & bit != 0
        default: words.3 & bit != 0
        }
    }

    mutating func insert(_ byte: UInt8) {
        let bit = UInt64(1) << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    mutating func formUnion(_ other: ByteSet) {
        words = (words.0 | other.words.0, words.1 | other.words.1, words.2 | other.words.2, words.3 | other.words.3)
    }

    var inverted: ByteSet {
        var set = ByteSet()
        set.words = (~words.0, ~words.1, ~words.2, ~words.3)
        return set
    }

    static func == (left: ByteSet, right: ByteSet) -> Bool { left.words == right.words }

    static let digits = ByteSet(UInt8(ascii: "0")...UInt8(ascii: "9"))
    static let space = ByteSet([0x20, 0x09, 0x0A, 0x0B, 0x0C, 0x0D])
    static let word: ByteSet = {
        var set = digits
        set.formUnion(ByteSet(UInt8(ascii: "a")...UInt8(ascii: "z")))
        set.formUnion(ByteSet(UInt8(ascii: "A")...UInt8(ascii: "Z")))
        set.insert(UInt8(ascii: "_"))
        return set
    }()
}

/// Reads patterns: the part of common regular expressions that a machine without memory can match. Alternatives, groups, sets,
/// `* + ? {n,m}`, `. \d \w \s \b` and their opposites, `(?i)` at the start. Back references and look-around are refused.
struct PatternParser {
    private static let groupDepthMax = 32
    static let repetitionMax = 256

    private let text: [UInt8]
    private var position = 0
    private var ignoresCase = false
    private let isOfWholeText: Bool

    private init(_ text: [UInt8], isOfWholeText: Bool) {
        self.text = text
        self.isOfWholeText = isOfWholeText
    }

    /// - Parameter isOfWholeText: `^` at the beginning and `$` at the end say nothing then, and what is no set of ASCII is a character.
    static func parse(_ text: String, isOfWholeText: Bool = false) throws(PatternError) -> PatternNode {
        var bytes = Array(text.utf8)
        if isOfWholeText {
            if bytes.first == UInt8(ascii: "^") { bytes.removeFirst() }
            let backslashes = bytes.dropLast().reversed().prefix { $0 == UInt8(ascii: "\\") }.count
            if bytes.last == UInt8(ascii: "$"), backslashes % 2 == 0 { bytes.removeLast() }
        }
        var parser = PatternParser(bytes, isOfWholeText: isOfWholeText)
        if bytes.starts(with: "(?i)".utf8) {
            parser.ignoresCase = true
            parser.position = 4
        }
        let node = try parser.alternatives(depth: 0)
        guard parser.next == nil else { throw parser.error("a ) without its (") }
        return node
    }

    private var next: UInt8? { position < text.count ? text[position] : nil }

    private func error(_ what: String) -> PatternError {
        PatternError(message: "\(what) at byte \(position + 1)")
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func alternatives(depth: Int) throws(PatternError) -> PatternNode {
        var branches = [try sequence(depth: depth)]
        while take(UInt8(ascii: "|")) { branches.append(try sequence(depth: depth)) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence(depth: Int) throws(PatternError) -> PatternNode {
        var items: [PatternNode] = []
        while let byte = next, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
            items.append(try repetition(of: atom(depth: depth)))
        }
        return .sequence(items)
    }

    private mutating func repetition(of atom: PatternNode) throws(PatternError) -> PatternNode {
        var node = atom
        while let byte = next {
            switch byte {
            case UInt8(ascii: "*"): node = .repeated(node, minimum: 0, maximum: nil)
            case UInt8(ascii: "+"): node = .repeated(node, minimum: 1, maximum: nil)
            case UInt8(ascii: "?"): node = .repeated(node, minimum: 0, maximum: 1)
            case UInt8(ascii: "{"):
                position += 1
                let minimum = try number()
                var maximum: Int? = minimum
                if take(UInt8(ascii: ",")) { maximum = next == UInt8(ascii: "}") ? nil : try number() }
                guard next == UInt8(ascii: "}"), maximum ?? minimum >= minimum else {
                    throw error("a repetition that does not end")
                }
                node = .repeated(node, minimum: minimum, maximum: maximum)
            default: return node
            }
            position += 1
        }
        return node
    }

    private mutating func number() throws(PatternError) -> Int {
        var value = 0
        let start = position
        while let byte = next, ByteSet.digits.contains(byte) {
            value = value * 10 + Int(byte - 0x30)
            guard value <= Self.repetitionMax else { throw error("a repetition of more than \(Self.repetitionMax)") }
            position += 1
        }
        guard position > start else { throw error("a number is missing") }
        return value
    }

    private mutating func atom(depth: Int) throws(PatternError) -> PatternNode {
        guard let byte = next else { throw error("the pattern ends") }
        position += 1
        switch byte {
        case UInt8(ascii: "("):
            guard depth < Self.groupDepthMax else { throw error("groups nested too deep") }
            if take(UInt8(ascii: "?")) {
                guard take(UInt8(ascii: ":")) else { throw error("look-around and named groups are not known; only (?:") }
            }
            let node = try alternatives(depth: depth + 1)
            guard take(UInt8(ascii: ")")) else { throw error("a ( without its )") }
            return node
        case UInt8(ascii: "["): return character(of: try set())
        case UInt8(ascii: "."): return character(of: ByteSet([0x0A]).inverted)
        case UInt8(ascii: "\\"):
            if take(UInt8(ascii: "b")) { return .wordBoundary }
            return character(of: try escape())
        case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"), UInt8(ascii: "{"): throw error("nothing to repeat")
        case UInt8(ascii: "^"), UInt8(ascii: "$"): throw error("anchors are not known; a secret may stand anywhere")
        default: return .bytes(cased(ByteSet([byte])))
        }
    }

    /// A set of ASCII as it is; one that has bytes beyond it, where characters count, as its ASCII or any character of more bytes.
    private func character(of set: ByteSet) -> PatternNode {
        guard isOfWholeText, set.contains(0x80) else { return .bytes(set) }
        var ascii = ByteSet()
        for byte in UInt8(0)..<0x80 where set.contains(byte) { ascii.insert(byte) }
        let rest = PatternNode.bytes(ByteSet(0x80...0xBF))
        return .alternatives([
            .bytes(ascii), .sequence([.bytes(ByteSet(0xC2...0xDF)), rest]), .sequence([.bytes(ByteSet(0xE0...0xEF)), rest, rest]),
            .sequence([.bytes(ByteSet(0xF0...0xF4)), rest, rest, rest]),
        ])
    }

    private mutating func escape() throws(PatternError) -> ByteSet {
        guard let byte = next else { throw error("the pattern ends in a \\") }
        position += 1
        switch byte {
        case UInt8(ascii: "d"): return .digits
        case UInt8(ascii: "D"): return ByteSet.digits.inverted
        case UInt8(ascii: "w"): return .word
        case UInt8(ascii: "W"): return ByteSet.word.inverted
        case UInt8(ascii: "s"): return .space
        case UInt8(ascii: "S"): return ByteSet.space.inverted
        case UInt8(ascii: "n"): return ByteSet([0x0A])
        case UInt8(ascii: "r"): return ByteSet([0x0D])
        case UInt8(ascii: "t"): return ByteSet([0x09])
        default:
            guard !ByteSet.word.contains(byte) else { throw error("an unknown escape") }
            return ByteSet([byte])
        }
    }

    private mutating func set() throws(PatternError) -> ByteSet {
        let isInverted = take(UInt8(ascii: "^"))
        var set = ByteSet()
        var isFirst = true
        while let byte = next, isFirst || byte != UInt8(ascii: "]") {
            isFirst = false
            position += 1
            if byte == UInt8(ascii: "\\") {
                set.formUnion(try escape())
            } else if next == UInt8(ascii: "-"), position + 1 < text.count, text[position + 1] != UInt8(ascii: "]") {
                let last = text[position + 1]
                guard byte < 0x80, last < 0x80, byte <= last else { throw error("a range that is none") }
                position += 2
                set.formUnion(ByteSet(byte...last))
            } else {
                guard byte < 0x80 else { throw error("a set of more than ASCII") }
                set.insert(byte)
            }
        }
        guard take(UInt8(ascii: "]")) else { throw error("a [ without its ]") }
        let whole = cased(set)
        return isInverted ? whole.inverted : whole
    }

    /// With the other case of its letters, if case does not matter.
    private func cased(_ set: ByteSet) -> ByteSet {
        guard ignoresCase else { return set }
        var both = set
        for letter in UInt8(ascii: "a")...UInt8(ascii: "z") {
            if set.contains(letter) { both.insert(letter & ~0x20) }
            if set.contains(letter & ~0x20) { both.insert(letter) }
        }
        return both
    }
}
