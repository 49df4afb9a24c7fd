import Testing

@testable import ClickHouse

@Suite struct NativeBlockTests {
    private func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }

    @Test func aBlockIsItsCountsAndThenColumnByColumn() {
        var names = NativeTexts()
        var numbers = NativeNumbers<UInt64>("UInt64")
        var small = NativeNumbers<UInt8>("UInt8")
        for (name, number) in [("a", 1), ("", 258)] {
            names.append(Array(name.utf8))
            numbers.append(UInt64(number))
            small.append(UInt8(truncatingIfNeeded: number))
        }
        var block = NativeBlock(rowCount: 2)
        block.append("Name", names)
        block.append("N", numbers)
        block.append("S", small)
        let expected: [UInt8] =
            [3, 2] + text("Name") + text("String") + [1, 0x61, 0] + text("N") + text("UInt64")
            + [1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0] + text("S") + text("UInt8") + [1, 2]
        #expect(block.bytes == expected)
        #expect(block.columns == ["Name", "N", "S"])
    }

    @Test func timesAreNanosecondsAndMayLieBefore1970() {
        var times = NativeNumbers<Int64>("DateTime64(9)")
        times.append(-1)
        times.append(.max)
        var block = NativeBlock(rowCount: 2)
        block.append("T", times)
        #expect(
            block.bytes == [1, 2] + text("T") + text("DateTime64(9)") + [UInt8](repeating: 0xFF, count: 8)
                + [UInt8](repeating: 0xFF, count: 7) + [0x7F])
    }

    @Test func missingNumbersAreMarkedBeforeAllOfThem() {
        var numbers = NativeOptionals<UInt8>("UInt8")
        numbers.append(7)
        numbers.append(nil)
        var block = NativeBlock(rowCount: 2)
        block.append("f", numbers)
        #expect(block.bytes == [1, 2] + text("f") + text("Nullable(UInt8)") + [0, 1, 7, 0])
    }

    @Test func listsAndMapsEndWhereTheyEndCountedFromTheFirstRow() {
        func ends(_ numbers: UInt8...) -> [UInt8] { numbers.flatMap { [$0, 0, 0, 0, 0, 0, 0, 0] } }
        var maps = NativeMaps()
        var map = NativeMap()
        maps.append(map)
        map.append(Array("k".utf8), Array("v".utf8))
        map.append(Array("l".utf8), Array("".utf8))
        maps.append(map)
        map.clear()
        map.append(Array("m".utf8), Array("w".utf8))
        maps.append(map)
        var lists = NativeLists(NativeTexts())
        lists.elements.append(Array("x".utf8))
        lists.endRow(1)
        lists.endRow(0)
        lists.elements.append(Array("y".utf8))
        lists.elements.append(Array("z".utf8))
        lists.endRow(2)
        var nested = NativeLists(NativeMaps())
        nested.elements.append(map)
        nested.endRow(1)
        nested.endRow(0)
        nested.endRow(0)
        var block = NativeBlock(rowCount: 3)
        block.append("M", maps)
        block.append("L", lists)
        block.append("N", nested)
        var expected: [UInt8] = [3, 3] + text("M") + text("Map(String, String)") + ends(0, 2, 3)
        expected += text("k") + text("l") + text("m") + text("v") + text("") + text("w")
        expected += text("L") + text("Array(String)") + ends(1, 1, 3) + text("x") + text("y") + text("z")
        expected += text("N") + text("Array(Map(String, String))") + ends(1, 1, 1) + ends(1) + text("m") + text("w")
        #expect(block.bytes == expected)
    }

    @Test(arguments: [(127, [127]), (128, [0x80, 1]), (16_383, [0xFF, 0x7F]), (16_384, [0x80, 0x80, 1])] as [(Int, [UInt8])])
    func lengthsAreVarints(count: Int, encoded: [UInt8]) {
        var texts = NativeTexts()
        texts.append([UInt8](repeating: 0x61, count: count))
        var bytes: [UInt8] = []
        texts.write(to: &bytes)
        #expect(Array(bytes.prefix(encoded.count)) == encoded && bytes.count == count + encoded.count)
    }

    @Test func columnsThatATableLacksStayBehind() {
        var block = NativeBlock(rowCount: 0, wanted: ["a"])
        block.append("a", NativeTexts())
        block.append("b", NativeTexts())
        #expect(block.columns == ["a"] && block.bytes == [1, 0] + text("a") + text("String"))
    }
}
