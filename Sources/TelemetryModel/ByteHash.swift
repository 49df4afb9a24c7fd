/// A fast 64-bit hash of bytes: with numbers that everybody may know for what is stored, such as the 32-bit content hash beside a span, and
/// with a `HashSeed` for tables that live in one process.
///
/// Eight bytes at a time are folded with a 64x64 to 128-bit multiplication (the mixing step of the wyhash family). It is not
/// cryptographic. A product with 0 is 0: who knows what a word is changed by before it is multiplied can make any number of texts with one
/// hash. So tables that hold what clients send take a seed, bound their probes (`ByteStringTable`), and compare the bytes.
public enum ByteHash {
    @usableFromInline static let first: UInt64 = 0x9E37_79B9_7F4A_7C15
    @usableFromInline static let second: UInt64 = 0xD6E8_FEB8_6659_FD93

    @inlinable
    @inline(__always)
    public static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// The hash of `range` of `bytes`, which must lie inside, for what is stored: the same in all processes and versions. Not for tables.
    @inlinable
    public static func hash(_ bytes: RawSpan, _ range: WireRange, seed: UInt64 = 0) -> UInt64 {
        fold(bytes, range, seed ^ first, second)
    }

    @inlinable
    @inline(__always)
    static func fold(_ bytes: RawSpan, _ range: WireRange, _ start: UInt64, _ second: UInt64) -> UInt64 {
        precondition(range.offset >= 0 && range.count >= 0 && range.end <= bytes.byteCount)
        var position = range.offset
        var remaining = range.count
        var state = start ^ UInt64(truncatingIfNeeded: range.count)
        while remaining >= 16 {
            let low = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
            let high = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position &+ 8, as: UInt64.self)
            state = mix(low ^ state, high ^ second)
            position &+= 16
            remaining &-= 16
        }
        var low: UInt64 = 0
        var high: UInt64 = 0
        if remaining >= 8 {
            low = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt64.self)
            high = bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position &+ remaining &- 8, as: UInt64.self)
        } else if remaining >= 4 {
            low = UInt64(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position, as: UInt32.self))
            high = UInt64(bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: position &+ remaining &- 4, as: UInt32.self))
        } else {
            while remaining > 0 {
                low = low << 8 | UInt64(bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self))
                position &+= 1
                remaining &-= 1
            }
        }
        return mix(low ^ state, high ^ second) ^ mix(state, first)
    }
}
