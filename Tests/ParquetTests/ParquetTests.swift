import Testing

@testable import Parquet

/// The parts of a file by themselves; that whole files are read back equal is asked of other programs (Tests/EndToEnd/test_parquet.py).
@Suite struct ParquetTests {
    /// Reads what `appendHybrid` writes, of any mixture of runs and packed bits.
    private func decoded(_ bytes: [UInt8], count: Int, bitWidth: Int) -> [Int] {
        var values: [Int] = []
        var position = 0
        while values.count < count {
            var head = 0
            var shift = 0
            while true {
                head |= Int(bytes[position] & 0x7F) << shift
                shift += 7
                position += 1
                if bytes[position - 1] < 0x80 { break }
            }
            if head & 1 == 0 {
                let width = (bitWidth + 7) / 8
                let value = bytes[position..<position + width].enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
                values += Array(repeating: value, count: head >> 1)
                position += width
                continue
            }
            for number in 0..<(head >> 1) * 8 {
                var value = 0
                for bit in 0..<bitWidth {
                    let place = number * bitWidth + bit
                    if bytes[position + place / 8] >> UInt8(place % 8) & 1 == 1 { value |= 1 << bit }
                }
                values.append(value)
            }
            position += (head >> 1) * bitWidth
        }
        #expect(position == bytes.count)
        return Array(values.prefix(count))
    }

    @Test(arguments: [1, 2, 3, 7, 8, 9, 13, 16])
    func smallNumbersComeBack(bitWidth: Int) {
        for count in [1, 7, 8, 9, 64, 1000] {
            let mixed = (0..<count).map { ($0 &* 2_654_435_761) >> 3 & (1 << bitWidth - 1) }
            for values in [mixed, Array(repeating: 1, count: count)] {
                var bytes: [UInt8] = []
                bytes.appendHybrid(values, bitWidth: bitWidth)
                #expect(decoded(bytes, count: count, bitWidth: bitWidth) == values)
            }
        }
    }

    @Test func fieldsAndListsAreInTheCompactForm() {
        var writer = ThriftWriter()
        writer.structure { file in
            file.int32(1, 2)
            file.int64(20, -1)
            file.binary(21, "ab".utf8)
            file.bool(22, true)
            file.list(23, [1, 2])
            file.structure(24) { _ in }
        }
        #expect(writer.bytes == [0x15, 4, 0x06, 40, 1, 0x18, 2, 97, 98, 0x11, 0x19, 0x25, 2, 4, 0x1C, 0, 0])
    }

    @Test func fewValuesMakeADictionaryAndBoundsAreThoseOfBytes() throws {
        var buffer = ColumnBuffer(.text)
        for number in 0..<40 { buffer.append(number % 2 == 0 ? Array("z".utf8) : Array("é".utf8)) }
        let dictionary = try #require(buffer.dictionary())
        #expect(dictionary.entryCount == 2 && dictionary.indices.prefix(3) == [0, 1, 0])
        let bounds = try #require(buffer.bounds())
        #expect(bounds.minimum == Array("z".utf8) && bounds.maximum == Array("é".utf8))
        var distinct = ColumnBuffer(.integer)
        for number: Int64 in 0..<40 { distinct.append(number) }
        #expect(distinct.dictionary() == nil)
        buffer.append([UInt8](repeating: 0xFF, count: 65))
        #expect(buffer.bounds() == nil)
    }

    @Test func aFileBeginsAndEndsAsItShould() throws {
        var bytes: [UInt8] = []
        let writer = try ParquetWriter(
            columns: [ParquetColumn(name: "a", kind: .integer), ParquetColumn(name: "b", kind: .text)], createdBy: "test",
            write: { bytes += $0 })
        for number: Int64 in 0..<10 {
            try writer.append(number)
            if number % 2 == 0 { try writer.appendNull() } else { try writer.append(Array("x".utf8)) }
        }
        try writer.finish()
        #expect(writer.rowCount == 10)
        #expect(bytes.starts(with: ParquetFormat.magic) && bytes.suffix(4) == ParquetFormat.magic[...])
        let footer = bytes.suffix(8).prefix(4).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        #expect(footer > 0 && footer + 12 < bytes.count)
    }
}
