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

    /// Reads 16 hexadecimal digits in either case; `nil` for anything else.
    public init?(hexadecimal text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 16, let value = Hexadecimal.read(digits[...]) else { return nil }
        self.init(value)
    }
}

/// Hexadecimal text of 64-bit halves.
enum Hexadecimal {
    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + (value - 10)
    }

    /// Writes 16 digits, most significant first.
    static func write(_ value: UInt64, into buffer: UnsafeMutableBufferPointer<UInt8>, at offset: Int) {
        for index in 0..<16 {
            buffer[offset + index] = digit(UInt8(truncatingIfNeeded: value >> UInt64(60 - 4 * index)) & 0xF)
        }
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
