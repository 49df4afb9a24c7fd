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
    case assertion(PatternAssertion)
    case sequence([PatternNode])
    case alternatives([PatternNode])
    /// Without a maximum: as often as it comes.
    case repeated(PatternNode, minimum: Int, maximum: Int?)
}

/// What must hold between two bytes.
enum PatternAssertion: Sendable {
    case wordBoundary, noWordBoundary
    case textStart, textEnd
    case lineStart, lineEnd
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

/// Reads patterns: the part of RE2's expressions that a machine without memory can match. Alternatives, groups, sets with POSIX' classes,
/// `* + ? {n,m}`, `. \d \w \s \b` and their opposites, `\x41 \x{e9} \101 \Q…\E`, the flags `i`, `m`, `s` and `U`, and against whole texts
/// `^ $ \A \z`. Back references, look-around, named groups, `\p{…}` and sets beyond ASCII are refused.
struct PatternParser {
    private static let groupDepthMax = 32
    static let repetitionMax = 256

    /// What `(?ims)` switches on, up to the end of its group.
    struct Flags {
        var ignoresCase = false
        /// `^` and `$` stand at the ends of lines.
        var isByLine = false
        /// `.` is a line end too.
        var isDotAll = false
    }

    let text: [UInt8]
    var position = 0
    private var flags = Flags()
    let isOfWholeText: Bool

    private init(_ text: [UInt8], isOfWholeText: Bool) {
        self.text = text
        self.isOfWholeText = isOfWholeText
    }

    /// - Parameter isOfWholeText: it may have anchors then, and what is no set of ASCII is a character.
    static func parse(_ text: String, isOfWholeText: Bool = false) throws(PatternError) -> PatternNode {
        var parser = PatternParser(Array(text.utf8), isOfWholeText: isOfWholeText)
        let node = try parser.alternatives(depth: 0)
        guard parser.next == nil else { throw parser.error("a ) without its (") }
        return node
    }

    var next: UInt8? { position < text.count ? text[position] : nil }

    func error(_ what: String) -> PatternError {
        PatternError(message: "\(what) at byte \(position + 1)")
    }

    mutating func take(_ byte: UInt8) -> Bool {
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
            if try takeFlags() { continue }
            if takeWord("\\Q") {
                items += try quoted()
            } else {
                items.append(try repetition(of: atom(depth: depth)))
            }
        }
        return .sequence(items)
    }

    /// Takes flags that hold up to the end of the group, such as `(?i)`.
    private mutating func takeFlags() throws(PatternError) -> Bool {
        let start = position
        guard takeWord("(?"), let flags = readFlags(), take(UInt8(ascii: ")")) else {
            position = start
            return false
        }
        self.flags = flags
        return true
    }

    /// The flags behind `(?`; `nil` when it goes on with something else.
    private mutating func readFlags() -> Flags? {
        var flags = flags
        var isOn = true
        let start = position
        while let byte = next {
            switch byte {
            case UInt8(ascii: "i"): flags.ignoresCase = isOn
            case UInt8(ascii: "m"): flags.isByLine = isOn
            case UInt8(ascii: "s"): flags.isDotAll = isOn
            // Which of several matches is meant, where only whether there is one is asked.
            case UInt8(ascii: "U"): break
            case UInt8(ascii: "-") where isOn: isOn = false
            case UInt8(ascii: ")"), UInt8(ascii: ":"): return position > start || byte == UInt8(ascii: ":") ? flags : nil
            default: return nil
            }
            position += 1
        }
        return nil
    }

    mutating func takeWord(_ word: String) -> Bool {
        guard text[position...].starts(with: word.utf8) else { return false }
        position += word.utf8.count
        return true
    }

    /// The characters up to `\E`, or to the end, each as it is. What repeats behind them repeats the last one.
    private mutating func quoted() throws(PatternError) -> [PatternNode] {
        var items: [PatternNode] = []
        while next != nil {
            if takeWord("\\E") {
                if let last = items.popLast() { items.append(try repetition(of: last)) }
                return items
            }
            items.append(literal(try character()))
        }
        return items
    }

    private mutating func repetition(of atom: PatternNode) throws(PatternError) -> PatternNode {
        guard let bounds = try takeRepetition() else { return atom }
        // Whether it takes much or little changes nothing about whether there is a match.
        _ = take(UInt8(ascii: "?"))
        guard try takeRepetition() == nil else { throw error("a repetition of a repetition") }
        return .repeated(atom, minimum: bounds.minimum, maximum: bounds.maximum)
    }

    /// `*`, `+`, `?` or `{n,m}`; `nil` for anything else, such as a brace that holds no numbers and stands for itself.
    private mutating func takeRepetition() throws(PatternError) -> (minimum: Int, maximum: Int?)? {
        if take(UInt8(ascii: "*")) { return (0, nil) }
        if take(UInt8(ascii: "+")) { return (1, nil) }
        if take(UInt8(ascii: "?")) { return (0, 1) }
        let start = position
        guard take(UInt8(ascii: "{")) else { return nil }
        let minimum = try number()
        var maximum = minimum
        if minimum != nil, take(UInt8(ascii: ",")) { maximum = try number() }
        guard let minimum, take(UInt8(ascii: "}")) else {
            // Who writes rules for what is redacted is told of a slip; a query's brace is as RE2 has it.
            guard isOfWholeText else { throw error("a repetition that does not end") }
            position = start
            return nil
        }
        guard maximum ?? minimum >= minimum else { throw error("a repetition whose end is before its beginning") }
        return (minimum, maximum)
    }

    private mutating func number() throws(PatternError) -> Int? {
        var value = 0
        let start = position
        while let byte = next, ByteSet.digits.contains(byte) {
            value = value * 10 + Int(byte - 0x30)
            guard value <= Self.repetitionMax else { throw error("a repetition of more than \(Self.repetitionMax)") }
            position += 1
        }
        return position > start ? value : nil
    }

    private mutating func atom(depth: Int) throws(PatternError) -> PatternNode {
        let start = position
        guard try takeRepetition() == nil else {
            position = start
            throw error("nothing to repeat")
        }
        switch next {
        case UInt8(ascii: "("):
            position += 1
            return try group(depth: depth)
        case UInt8(ascii: "["):
            position += 1
            return character(of: try set())
        case UInt8(ascii: "."):
            position += 1
            return character(of: flags.isDotAll ? ByteSet().inverted : ByteSet([0x0A]).inverted)
        case UInt8(ascii: "^"):
            position += 1
            return try anchor(flags.isByLine ? .lineStart : .textStart)
        case UInt8(ascii: "$"):
            position += 1
            return try anchor(flags.isByLine ? .lineEnd : .textEnd)
        case UInt8(ascii: "\\"):
            position += 1
            return try escaped()
        default: return literal(try character())
        }
    }

    private mutating func group(depth: Int) throws(PatternError) -> PatternNode {
        guard depth < Self.groupDepthMax else { throw error("groups nested too deep") }
        let outer = flags
        if take(UInt8(ascii: "?")) {
            guard let flags = readFlags(), take(UInt8(ascii: ":")) else {
                throw error("look-around and named groups are not known; only (?: and the flags i, m, s and U")
            }
            self.flags = flags
        }
        let node = try alternatives(depth: depth + 1)
        guard take(UInt8(ascii: ")")) else { throw error("a ( without its )") }
        flags = outer
        return node
    }

    private func anchor(_ assertion: PatternAssertion) throws(PatternError) -> PatternNode {
        guard isOfWholeText else { throw error("anchors are not known; a secret may stand anywhere") }
        return .assertion(assertion)
    }

    private mutating func escaped() throws(PatternError) -> PatternNode {
        if take(UInt8(ascii: "b")) { return .assertion(.wordBoundary) }
        if take(UInt8(ascii: "B")) { return .assertion(.noWordBoundary) }
        if take(UInt8(ascii: "A")) { return try anchor(.textStart) }
        if take(UInt8(ascii: "z")) { return try anchor(.textEnd) }
        switch try escape() {
        case .set(let set): return character(of: set)
        case .character(let scalar): return literal(scalar)
        }
    }

    /// A character, with the other cases of a letter if case does not matter.
    private func literal(_ scalar: Unicode.Scalar) -> PatternNode {
        func bytes(_ scalar: Unicode.Scalar) -> PatternNode {
            let bytes = Array(UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            return bytes.count == 1 ? .bytes(ByteSet(bytes)) : .sequence(bytes.map { .bytes(ByteSet([$0])) })
        }
        guard flags.ignoresCase else { return bytes(scalar) }
        // In what is redacted an ASCII letter has no cases beyond ASCII.
        if scalar.isASCII, !isOfWholeText { return .bytes(cased(ByteSet([UInt8(ascii: scalar)]))) }
        let cases = CaseFolding.cases(of: scalar)
        return cases.count == 1 ? bytes(cases[0]) : .alternatives(cases.map(bytes))
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

    private mutating func set() throws(PatternError) -> ByteSet {
        let isInverted = take(UInt8(ascii: "^"))
        var set = ByteSet()
        var isFirst = true
        while let byte = next, isFirst || byte != UInt8(ascii: "]") {
            isFirst = false
            if let named = try takeNamedSet() {
                set.formUnion(named)
                continue
            }
            guard let first = try takeMember(of: &set) else { continue }
            guard next == UInt8(ascii: "-"), position + 1 < text.count, text[position + 1] != UInt8(ascii: "]") else {
                set.insert(first)
                continue
            }
            position += 1
            var others = ByteSet()
            guard let last = try takeMember(of: &others), first <= last else { throw error("a range that is none") }
            set.formUnion(ByteSet(first...last))
        }
        guard take(UInt8(ascii: "]")) else { throw error("a [ without its ]") }
        let whole = cased(set)
        return isInverted ? whole.inverted : whole
    }

    /// A byte of a set; `nil` for an escape that is a set of its own, which goes into `set`.
    private mutating func takeMember(of set: inout ByteSet) throws(PatternError) -> UInt8? {
        guard take(UInt8(ascii: "\\")) else { return try ascii(character()) }
        switch try escape() {
        case .set(let more):
            set.formUnion(more)
            return nil
        case .character(let scalar): return try ascii(scalar)
        }
    }

    private func ascii(_ scalar: Unicode.Scalar) throws(PatternError) -> UInt8 {
        guard scalar.isASCII else { throw error("a set of more than ASCII") }
        return UInt8(ascii: scalar)
    }

    /// With the other case of its letters, if case does not matter.
    private func cased(_ set: ByteSet) -> ByteSet {
        guard flags.ignoresCase else { return set }
        var both = set
        for letter in UInt8(ascii: "a")...UInt8(ascii: "z") {
            if set.contains(letter) { both.insert(letter & ~0x20) }
            if set.contains(letter & ~0x20) { both.insert(letter) }
        }
        return both
    }
}
