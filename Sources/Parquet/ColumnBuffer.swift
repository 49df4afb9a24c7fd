/// The values of a column in a row group that is being gathered.
struct ColumnBuffer {
    /// A dictionary is worth it while it has fewer entries than this part of the values, and than this many.
    private static let dictionaryShare = 4
    private static let dictionaryEntriesMax = 1 << 16
    /// Longer texts are no bounds that a reader could use.
    private static let statisticsBytesMax = 64

    let kind: ParquetColumn.Kind
    /// For each row whether it has a value.
    private(set) var presence: [Bool] = []
    private var integers: [Int64] = []
    private var text: [UInt8] = []
    /// Where each text ends.
    private var ends: [Int] = []

    init(_ kind: ParquetColumn.Kind) {
        self.kind = kind
    }

    var byteCount: Int { presence.count + integers.count * 8 + text.count + ends.count * 8 }
    var valueCount: Int { kind == .text ? ends.count : integers.count }

    mutating func appendNull() { presence.append(false) }

    mutating func append(_ value: Int64) {
        presence.append(true)
        integers.append(value)
    }

    mutating func append(_ value: some Collection<UInt8>) {
        presence.append(true)
        text.append(contentsOf: value)
        ends.append(text.count)
    }

    mutating func removeAll() {
        presence.removeAll(keepingCapacity: true)
        integers.removeAll(keepingCapacity: true)
        text.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }

    private func slice(_ value: Int) -> ArraySlice<UInt8> { text[(value == 0 ? 0 : ends[value - 1])..<ends[value]] }

    /// How many bytes a value takes when it is written plainly.
    func plainCount(_ value: Int) -> Int { kind == .text ? 4 + slice(value).count : 8 }

    /// Values written plainly.
    func plain(_ values: Range<Int>) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in values { appendPlain(value, to: &bytes) }
        return bytes
    }

    private func appendPlain(_ value: Int, to bytes: inout [UInt8]) {
        if kind == .text {
            let slice = slice(value)
            bytes.appendLittleEndian(UInt64(slice.count), width: 4)
            bytes.append(contentsOf: slice)
        } else {
            bytes.appendLittleEndian(UInt64(bitPattern: integers[value]), width: 8)
        }
    }

    /// Each distinct value once, and for each value which it is; `nil` when there are too many.
    func dictionary() -> (plain: [UInt8], entryCount: Int, indices: [Int])? {
        let most = min(Self.dictionaryEntriesMax, valueCount / Self.dictionaryShare)
        var bytes: [UInt8] = []
        var indices: [Int] = []
        indices.reserveCapacity(valueCount)
        if kind == .text {
            var numbers: [ArraySlice<UInt8>: Int] = [:]
            for value in 0..<valueCount {
                let slice = slice(value)
                if let known = numbers[slice] {
                    indices.append(known)
                    continue
                }
                guard numbers.count < most else { return nil }
                indices.append(numbers.count)
                numbers[slice] = numbers.count
                appendPlain(value, to: &bytes)
            }
            return (bytes, numbers.count, indices)
        }
        var numbers: [Int64: Int] = [:]
        for value in 0..<valueCount {
            if let known = numbers[integers[value]] {
                indices.append(known)
                continue
            }
            guard numbers.count < most else { return nil }
            indices.append(numbers.count)
            numbers[integers[value]] = numbers.count
            appendPlain(value, to: &bytes)
        }
        return (bytes, numbers.count, indices)
    }

    /// The least and the greatest value; none when there is no value, or one of them is long.
    func bounds() -> (minimum: [UInt8], maximum: [UInt8])? {
        if kind == .text {
            guard valueCount > 0 else { return nil }
            var (least, greatest) = (slice(0), slice(0))
            for value in 1..<max(1, valueCount) {
                let slice = slice(value)
                if slice.lexicographicallyPrecedes(least) { least = slice }
                if greatest.lexicographicallyPrecedes(slice) { greatest = slice }
            }
            guard max(least.count, greatest.count) <= Self.statisticsBytesMax else { return nil }
            return (Array(least), Array(greatest))
        }
        guard let least = integers.min(), let greatest = integers.max() else { return nil }
        func bytes(_ value: Int64) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.appendLittleEndian(UInt64(bitPattern: value), width: 8)
            return bytes
        }
        return (bytes(least), bytes(greatest))
    }
}

extension [UInt8] {
    mutating func appendLittleEndian(_ value: UInt64, width: Int) {
        for place in 0..<width { append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place))) }
    }

    /// Small numbers in Parquet's hybrid of runs and packed bits: one run when all are the same, else one stretch of packed bits.
    mutating func appendHybrid(_ values: some RandomAccessCollection<Int>, bitWidth: Int) {
        guard let first = values.first else { return }
        func varint(_ value: Int, _ bytes: inout [UInt8]) {
            var rest = value
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(truncatingIfNeeded: rest))
        }
        if values.allSatisfy({ $0 == first }) {
            varint(values.count << 1, &self)
            appendLittleEndian(UInt64(first), width: (bitWidth + 7) / 8)
            return
        }
        let groups = (values.count + 7) / 8
        varint(groups << 1 | 1, &self)
        var word: UInt64 = 0
        var bits = 0
        var written = 0
        for value in values {
            word |= UInt64(value) << UInt64(bits)
            bits += bitWidth
            while bits >= 8 {
                append(UInt8(truncatingIfNeeded: word))
                written += 1
                word >>= 8
                bits -= 8
            }
        }
        if bits > 0 {
            append(UInt8(truncatingIfNeeded: word))
            written += 1
        }
        append(contentsOf: repeatElement(0, count: groups * bitWidth - written))
    }
}
