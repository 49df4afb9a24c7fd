import TelemetryModel

/// Writes a state row's value: one flat JSON object of strings, whole numbers and booleans. As bytes: a busy server writes the states of its
/// breakers once a second.
struct StateWriter {
    /// Most states have fewer.
    private static let bytesUsually = 768

    private var bytes: [UInt8] = []

    init() {
        bytes.reserveCapacity(Self.bytesUsually)
        bytes.append(UInt8(ascii: "{"))
    }

    mutating func add(_ name: String, _ value: Int64) {
        begin(name)
        append(value)
    }

    mutating func add(_ name: String, _ value: Bool) {
        begin(name)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    /// A list of whole numbers as `StateReader.integers` reads it.
    mutating func add(_ name: String, _ numbers: StateNumbers) {
        begin(name)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: numbers.bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Strings have no controls: they were cleaned as label values, or are made here.
    mutating func add(_ name: String, _ value: String) {
        begin(name)
        append(quoted: value)
    }

    /// The same under a name with a number behind it.
    mutating func add(_ name: String, _ number: Int, _ value: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: name.utf8)
        append(Int64(number))
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        append(quoted: value)
    }

    private mutating func append(quoted value: String) {
        bytes.append(UInt8(ascii: "\""))
        // Names of services and hosts have neither.
        if value.utf8.contains(where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") }) {
            for byte in value.utf8 {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
                bytes.append(byte)
            }
        } else {
            bytes.append(contentsOf: value.utf8)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// An order key as `OrderKey(text:)` reads it.
    mutating func add(_ name: String, _ key: OrderKey) {
        begin(name)
        bytes.append(UInt8(ascii: "\""))
        append(key.time)
        bytes.append(UInt8(ascii: ":"))
        append(key.start)
        bytes.append(UInt8(ascii: ":"))
        append(hexadecimal: key.traceID.high)
        append(hexadecimal: key.traceID.low)
        bytes.append(UInt8(ascii: ":"))
        append(hexadecimal: key.spanID.value)
        bytes.append(UInt8(ascii: ":"))
        append(Int64(key.index))
        if key.epoch != 0 {
            bytes.append(UInt8(ascii: ":"))
            append(Int64(key.epoch))
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func begin(_ name: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
    }

    private mutating func append(_ number: Int64) { bytes.append(decimal: number) }

    private mutating func append(hexadecimal word: UInt64) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift) & 15)
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    consuming func finish() -> String {
        bytes.append(UInt8(ascii: "}"))
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Whole numbers as a state row holds them, written as they come.
struct StateNumbers: Sendable {
    fileprivate var bytes: [UInt8] = []

    mutating func append(_ number: Int64) {
        if !bytes.isEmpty { bytes.append(UInt8(ascii: ":")) }
        bytes.append(decimal: number)
    }
}

extension [UInt8] {
    /// Without texts in between: states of breakers and of loops are written all the time.
    fileprivate mutating func append(decimal number: Int64) {
        // 2^64 has twenty digits, and there may be a sign. They come from the last one on, and go in together.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 21) { digits in
            var place = 21
            var rest = number.magnitude
            let pairs = DecimalDigits.pairs
            // Two by two: a division takes longer than all else here.
            while rest >= 10 {
                let pair = Int(truncatingIfNeeded: rest % 100) &* 2
                rest /= 100
                place &-= 2
                digits[place] = pairs.utf8Start[pair]
                digits[place &+ 1] = pairs.utf8Start[pair &+ 1]
            }
            if rest > 0 || place == 21 {
                place &-= 1
                digits[place] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest)
            }
            if number < 0 {
                place &-= 1
                digits[place] = UInt8(ascii: "-")
            }
            append(contentsOf: UnsafeMutableBufferPointer(rebasing: digits[place..<21]))
        }
    }
}

private enum DecimalDigits {
    /// 00, 01 and so on up to 99.
    static let pairs: StaticString = """
        0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
        5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
        """
}

/// Reads what `StateWriter` wrote. Anything else is `nil`, which the caller takes for a state that is not there.
struct StateReader {
    private var strings: [String: String] = [:]
    private var scalars: [String: String] = [:]

    init?(_ text: String) {
        var cursor = Cursor(bytes: Array(text.utf8))
        guard cursor.take(UInt8(ascii: "{")) else { return nil }
        if cursor.take(UInt8(ascii: "}")), cursor.isAtEnd { return }
        repeat {
            guard let name = cursor.string(), cursor.take(UInt8(ascii: ":")) else { return nil }
            if let value = cursor.string() {
                strings[name] = value
            } else if let value = cursor.scalar() {
                scalars[name] = value
            } else {
                return nil
            }
        } while cursor.take(UInt8(ascii: ","))
        guard cursor.take(UInt8(ascii: "}")), cursor.isAtEnd else { return nil }
    }

    func string(_ name: String) -> String? { strings[name] }
    func integer(_ name: String) -> Int64? { scalars[name].flatMap { Int64($0) } }
    /// `nil` when one of the list is no whole number.
    func integers(_ name: String) -> [Int64]? {
        guard let text = strings[name] else { return nil }
        let words = text.split(separator: ":")
        let values = words.compactMap { Int64($0) }
        return values.count == words.count ? values : nil
    }

    func bool(_ name: String) -> Bool? { scalars[name].flatMap { Bool($0) } }

    private struct Cursor {
        let bytes: [UInt8]
        var position = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { position == bytes.count }

        mutating func take(_ byte: UInt8) -> Bool {
            guard position < bytes.count, bytes[position] == byte else { return false }
            position += 1
            return true
        }

        mutating func string() -> String? {
            guard take(UInt8(ascii: "\"")) else { return nil }
            var content: [UInt8] = []
            while position < bytes.count {
                var byte = bytes[position]
                position += 1
                if byte == UInt8(ascii: "\"") { return String(decoding: content, as: UTF8.self) }
                if byte == UInt8(ascii: "\\") {
                    guard position < bytes.count else { return nil }
                    byte = bytes[position]
                    position += 1
                }
                content.append(byte)
            }
            return nil
        }

        mutating func scalar() -> String? {
            let start = position
            while position < bytes.count, bytes[position] != UInt8(ascii: ","), bytes[position] != UInt8(ascii: "}") {
                position += 1
            }
            return start < position ? String(decoding: bytes[start..<position], as: UTF8.self) : nil
        }
    }
}
