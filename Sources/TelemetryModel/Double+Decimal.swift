extension Double {
    /// A number in decimal digits, with a fraction and an exponent or without, as JSON and people write it; `nil` for anything else.
    ///
    /// Swift's own reading takes C's hexadecimal, `nan` and `inf` too: a text such as `0x10` in telemetry is no 16.
    package init?(decimal text: some StringProtocol) {
        let isDecimal = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "e"), UInt8(ascii: "E"): true
            default: false
            }
        }
        guard isDecimal, let value = Double(text) else { return nil }
        self = value
    }
}
