/// A value of SQL, but for BLOBs, which `spans` never shows.
enum SQLScalar: Hashable, Sendable {
    case null
    case integer(Int64)
    case double(Double)
    case text([UInt8])

    var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// As Swift makes it, but for texts: those of traces and sessions are hashed by the hundred thousand, and an array goes byte by byte.
    func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .integer(let integer): hasher.combine(integer)
        case .double(let double): hasher.combine(double)
        case .text(let text): text.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
    }

    /// Below 0 when the left value comes first, above 0 when the right one does, 0 when SQL takes them for equal. NULL comes first.
    static func order(_ left: SQLScalar, _ right: SQLScalar) -> Int {
        switch (left, right) {
        case (.integer(let left), .integer(let right)): left < right ? -1 : left > right ? 1 : 0
        case (.double(let left), .double(let right)): left < right ? -1 : left > right ? 1 : 0
        case (.integer(let left), .double(let right)): order(left, right)
        case (.double(let left), .integer(let right)): -order(right, left)
        case (.text(let left), .text(let right)): left == right ? 0 : left.lexicographicallyPrecedes(right) ? -1 : 1
        default: left.rank - right.rank
        }
    }

    private var rank: Int {
        switch self {
        case .null: 0
        case .integer, .double: 1
        case .text: 2
        }
    }

    /// By their worth, though a double cannot hold every integer.
    private static func order(_ integer: Int64, _ double: Double) -> Int {
        let whole = double.rounded(.down)
        guard let below = Int64(exactly: whole) else { return double > 0 ? -1 : 1 }
        if integer != below { return integer < below ? -1 : 1 }
        return double > whole ? -1 : 0
    }
}
