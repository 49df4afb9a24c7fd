import TelemetryModel

/// Finds the latest entry of a queue with a key, by one of several links; each entry says how far back the one before it in its chain lies.
///
/// A link's chains are told apart by some bits of a key's hash, so that keys may share one: whoever follows it compares keys. There are as many
/// chains as entries were, up to a bound, so that few keys share one and a search rarely reads an entry that it does not want.
struct CallChains: Sendable {
    private static let bitsFirst: UInt64 = 12
    /// 262,144 chains a link, one MiB: more than entries there may be.
    private static let bitsMax: UInt64 = 18

    private let linkCount: Int
    /// One link's after the other's: the lowest 32 bits of the number after that of each chain's latest entry; at first of the oldest entry's, since that before it is gone.
    /// A chain that nobody touched for four billion entries seems to begin elsewhere, where whoever follows it finds no key of its own.
    private var heads: [UInt32] = []
    private var bits = Self.bitsFirst

    init(links: Int) { linkCount = links }

    /// Whether so many entries deserve more chains. Then all entries are to be linked anew, after `makeRoom`.
    func needsRoom(for count: Int) -> Bool { bits < Self.bitsMax && count > 1 << Int(bits) }

    /// Forgets all chains, and makes enough of them for so many entries.
    mutating func makeRoom(for count: Int) {
        while needsRoom(for: count) { bits += 1 }
        heads.removeAll()
    }

    /// Puts the entry `number` at the front of the chain of a hash. Gives how many entries before it the one before it came, 0 for none.
    ///
    /// - Parameter oldest: the number of the oldest entry that is still there.
    @inline(__always)
    mutating func add(_ number: Int, to link: Int, _ hash: UInt64, oldest: Int) -> UInt32 {
        if heads.isEmpty { heads = Array(repeating: UInt32(truncatingIfNeeded: oldest), count: linkCount << Int(bits)) }
        let place = place(link, hash)
        let following = UInt32(truncatingIfNeeded: number) &+ 1
        let distance = following &- heads[place]
        heads[place] = following
        return Int(distance) > number - oldest ? 0 : distance
    }

    /// The number of the latest entry of the chain of a hash, which may be gone, or negative, for none.
    ///
    /// - Parameter next: the number that the next entry gets.
    @inline(__always)
    func latest(_ link: Int, _ hash: UInt64, next: Int) -> Int {
        guard !heads.isEmpty else { return -1 }
        let head = heads[place(link, hash)]
        return next - Int(UInt32(truncatingIfNeeded: next) &- head) - 1
    }

    @inline(__always)
    private func place(_ link: Int, _ hash: UInt64) -> Int { link << Int(bits) | Int(truncatingIfNeeded: hash >> (64 - bits)) }
}
