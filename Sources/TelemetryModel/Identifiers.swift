/// A trace's identity: 16 bytes, kept as two big-endian halves so that comparing the integers compares the bytes.
public struct TraceID: Hashable, Comparable, Sendable {
    public var high: UInt64
    public var low: UInt64

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The W3C trace context calls the all-zero id invalid.
    @inlinable
    public var isValid: Bool { high | low != 0 }

    @inlinable
    public static func < (left: TraceID, right: TraceID) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }

    /// 32 lower-case hexadecimal digits.
    public var hexadecimal: String {
        String(unsafeUninitializedCapacity: 32) { buffer in
            Hexadecimal.write(high, into: buffer, at: 0)
            Hexadecimal.write(low, into: buffer, at: 16)
            return 32
        }
    }

    /// Reads 32 hexadecimal digits in either case; `nil` for anything else.
    public init?(hexadecimal text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 32,
            let high = Hexadecimal.read(digits[0..<16]),
            let low = Hexadecimal.read(digits[16..<32])
        else { return nil }
        self.init(high: high, low: low)
    }
}

/// A span's identity within its trace: 8 bytes as one big-endian integer. Zero is no span.
public struct SpanID: Hashable, Comparable, Sendable {
    public var value: UInt64

    @inlinable
    public init(_ value: UInt64) {
        self.value = value
    }

    @inlinable
    public var isValid: Bool { value != 0 }

    @inlinable
    public static func < (left: SpanID, right: SpanID) -> Bool { left.value < right.value }

    /// 16 lower-case hexadecimal digits.
    public var hexadecimal: String {
        String(unsafeUninitializedCapacity: 16) { buffer in
            Hexadecimal.write(value, into: buffer, at: 0)
            return 16
        }
    }

    /// The same digits, as they lie in memory.
    package var hexadecimalDigits: (high: UInt64, low: UInt64) { Hexadecimal.digits(value) }

    /// Reads 16 hexadecimal digits in either case; `nil` for anything else.
    public init?(hexadecimal text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 16, let value = Hexadecimal.read(digits[...]) else { return nil }
        self.init(value)
    }
}

/// Hexadecimal text of 64-bit halves.
enum Hexadecimal {
    /// Writes 16 digits, most significant first.
    static func write(_ value: UInt64, into buffer: UnsafeMutableBufferPointer<UInt8>, at offset: Int) {
        let (high, low) = digits(value)
        let target = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[offset..<offset + 16])
        target.storeBytes(of: high, as: UInt64.self)
        target.storeBytes(of: low, toByteOffset: 8, as: UInt64.self)
    }

    /// The 16 digits, most significant first, as they lie in memory.
    static func digits(_ value: UInt64) -> (high: UInt64, low: UInt64) {
        (digits(UInt32(truncatingIfNeeded: value >> 32)), digits(UInt32(truncatingIfNeeded: value)))
    }

    /// All eight at once: a query over millions of spans writes two ids of each.
    private static func digits(_ value: UInt32) -> UInt64 {
        // One nibble in each byte.
        var nibbles = UInt64(value)
        nibbles = (nibbles | nibbles << 16) & 0x0000_FFFF_0000_FFFF
        nibbles = (nibbles | nibbles << 8) & 0x00FF_00FF_00FF_00FF
        nibbles = (nibbles | nibbles << 4) & 0x0F0F_0F0F_0F0F_0F0F
        // 1 in the bytes of ten and above, whose digits are letters.
        let letters = (nibbles &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        let offset = UInt64(UInt8(ascii: "a") - 10 - UInt8(ascii: "0"))
        return (nibbles &+ 0x3030_3030_3030_3030 &+ letters &* offset).bigEndian
    }

    /// Reads exactly the digits given, at most 16; `nil` when one is not a hexadecimal digit.
    static func read(_ digits: ArraySlice<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        for digit in digits {
            let nibble: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): nibble = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): nibble = digit - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): nibble = digit - UInt8(ascii: "A") + 10
            default: return nil
            }
            value = value << 4 | UInt64(nibble)
        }
        return value
    }
}
