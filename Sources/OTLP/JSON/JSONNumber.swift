import TelemetryModel

/// Numbers as JSON and proto3's JSON mapping write them, exactly: no integer goes through a floating-point number.
enum JSONNumber {
    /// An integer of up to 64 bits and its sign.
    struct Integer: Equatable {
        var isNegative: Bool
        var magnitude: UInt64

        /// `nil` out of range.
        var signed: Int64? {
            if !isNegative { return Int64(exactly: magnitude) }
            if magnitude == 1 << 63 { return .min }
            return Int64(exactly: magnitude).map { -$0 }
        }

        /// `nil` when negative.
        var unsigned: UInt64? { isNegative && magnitude != 0 ? nil : magnitude }
    }

    /// How many bytes at the start of `range` are a number by RFC 8259; `nil` when it does not start with one.
    static func length(_ bytes: RawSpan, _ range: WireRange) -> Int? {
        var offset = range.offset
        func next() -> UInt8? { offset < range.end ? bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self) : nil }
        func digits() -> Int {
            let start = offset
            while let byte = next(), isDigit(byte) { offset += 1 }
            return offset - start
        }
        if next() == UInt8(ascii: "-") { offset += 1 }
        let leadsWithZero = next() == UInt8(ascii: "0")
        let whole = digits()
        guard whole > 0, !leadsWithZero || whole == 1 else { return nil }
        if next() == UInt8(ascii: ".") {
            offset += 1
            guard digits() > 0 else { return nil }
        }
        if let byte = next(), byte | 0x20 == UInt8(ascii: "e") {
            offset += 1
            if let sign = next(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { offset += 1 }
            guard digits() > 0 else { return nil }
        }
        return offset - range.offset
    }

    @inline(__always)
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// The integer that a whole `range` writes, with a fraction or an exponent too as long as the value is whole.
    static func integer(_ bytes: RawSpan, _ range: WireRange) -> Integer? {
        guard length(bytes, range) == range.count, range.count > 0 else { return nil }
        var magnitude: UInt64 = 0
        // Zeros that count only when another digit follows.
        var zeros = 0
        var fractionDigits = 0
        var isFraction = false
        var exponent = 0
        var offset = range.offset
        scan: while offset < range.end {
            let byte = bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            offset += 1
            switch byte {
            case UInt8(ascii: "-"), UInt8(ascii: "+"): continue
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "e"), UInt8(ascii: "E"):
                exponent = Self.exponent(bytes, WireRange(offset: offset, count: range.end - offset))
                break scan
            default:
                if isFraction { fractionDigits += 1 }
                if byte == UInt8(ascii: "0") {
                    zeros += 1
                } else {
                    guard let scaled = shifted(magnitude, by: zeros + 1) else { return nil }
                    let (sum, overflow) = scaled.addingReportingOverflow(UInt64(byte &- 0x30))
                    if overflow { return nil }
                    magnitude = sum
                    zeros = 0
                }
            }
        }
        let isNegative = bytes.unsafeLoad(fromByteOffset: range.offset, as: UInt8.self) == UInt8(ascii: "-")
        let places = exponent - fractionDigits + zeros
        if magnitude == 0 { return Integer(isNegative: isNegative, magnitude: 0) }
        guard places >= 0, let whole = shifted(magnitude, by: places) else { return nil }
        return Integer(isNegative: isNegative, magnitude: whole)
    }

    /// The value times a power of ten; `nil` past 64 bits.
    private static func shifted(_ value: UInt64, by places: Int) -> UInt64? {
        if value == 0 { return 0 }
        var value = value
        // No more than 20 rounds: then 64 bits have overflowed.
        for _ in 0..<places {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product
        }
        return value
    }

    /// An exponent with its sign, cut at a size that no number survives.
    private static func exponent(_ bytes: RawSpan, _ range: WireRange) -> Int {
        var value = 0
        for offset in range.offset..<range.end {
            let byte = bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
            if isDigit(byte) { value = min(value * 10 + Int(byte &- 0x30), 1 << 30) }
        }
        return bytes.unsafeLoad(fromByteOffset: range.offset, as: UInt8.self) == UInt8(ascii: "-") ? -value : value
    }

    /// The floating-point number that a whole `range` writes; infinite when it is too large for one.
    static func double(_ bytes: RawSpan, _ range: WireRange) -> Double? {
        guard range.count > 0, length(bytes, range) == range.count else { return nil }
        return Double(bytes.text(range))
    }
}

/// Hexadecimal digits.
enum Hexadecimal {
    @inline(__always)
    static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte &- 0x30
        case 0x41...0x46: byte &- 0x41 &+ 10
        case 0x61...0x66: byte &- 0x61 &+ 10
        default: nil
        }
    }
}

extension RawSpan {
    /// The text of a range; malformed bytes are mended.
    func text(_ range: WireRange) -> String {
        extracting(range.offset..<range.end).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
