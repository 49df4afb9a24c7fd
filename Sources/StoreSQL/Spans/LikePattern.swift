import CSQLite
import SegmentFormat

/// A pattern of LIKE.
struct LikePattern {
    /// What a parse calls LIKE with ESCAPE.
    static let escapedLike = "like escape"

    /// Bytes of a pattern in which parts are looked for.
    private static let partedBytesMax = 4096

    private let bytes: [UInt8]
    /// What makes the character behind it stand for itself; 0 for none.
    private let escape: UInt8
    /// As SQLite's function takes it, which reads up to a NUL as LIKE itself does.
    private let ended: [CChar]

    init(_ bytes: [UInt8], escape: UInt8 = 0) {
        self.bytes = bytes
        self.escape = escape
        ended = (bytes + [0]).map { CChar(bitPattern: $0) }
    }

    /// - Throws: `NotByColumn` for what is no constant text.
    init(_ pattern: Vector, escape: Vector?) throws {
        guard case .constant(.text(let bytes)) = pattern.values else { throw NotByColumn() }
        guard let escape else {
            self.init(bytes)
            return
        }
        guard case .constant(.text(let text)) = escape.values, Self.isEscape(text) else { throw NotByColumn() }
        self.init(bytes, escape: text[0])
    }

    /// Whether a text is one that stands behind ESCAPE here: a character that means nothing else.
    static func isEscape(_ text: [UInt8]) -> Bool {
        text.count == 1 && (0x21..<0x7F).contains(text[0]) && text[0] != UInt8(ascii: "%") && text[0] != UInt8(ascii: "_")
    }

    func matches(_ text: ArraySlice<UInt8>) -> Bool {
        let ended = [CChar](unsafeUninitializedCapacity: text.count + 1) { buffer, count in
            for (place, byte) in text.enumerated() { buffer[place] = CChar(bitPattern: byte) }
            buffer[text.count] = 0
            count = text.count + 1
        }
        return sqlite3_strlike(self.ended, ended, UInt32(escape)) == 0
    }

    /// What every text that matches has in it; `nil` where nothing can be said.
    var search: FoldedSearch? { literals { _ in false }.max { $0.count < $1.count }.flatMap(FoldedSearch.init) }

    /// What stands between wildcards, and between characters of which `isMark` says that nothing reaches over them.
    func literals(_ isMark: (UInt8) -> Bool) -> [[UInt8]] {
        // SQLite reads a pattern up to its first NUL, and bytes that are no UTF-8 as replacement characters.
        let read = bytes.prefix { $0 != 0 }
        guard read.count <= Self.partedBytesMax, String(validating: read, as: UTF8.self) != nil else { return [] }
        var literals: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in read {
            if !isEscaped, escape != 0, byte == escape {
                isEscaped = true
                continue
            }
            let isWildcard = !isEscaped && (byte == UInt8(ascii: "%") || byte == UInt8(ascii: "_"))
            isEscaped = false
            if isWildcard || isMark(byte) { literals.append([]) } else { literals[literals.count - 1].append(byte) }
        }
        return literals.filter { !$0.isEmpty }
    }
}
