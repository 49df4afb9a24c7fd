extension JSONText {
    /// Members or elements that are looked at.
    private static let partsMax = 100_000

    /// The members of the object that the text is, in its order; those behind a malformed one are left out.
    package static func members(in bytes: ArraySlice<UInt8>) -> [(name: String, value: Value)] {
        var members: [(String, Value)] = []
        var scan = JSONText(bytes)
        guard scan.take(UInt8(ascii: "{")), !scan.take(UInt8(ascii: "}")) else { return [] }
        while members.count < partsMax {
            guard let name = scan.string(), scan.take(UInt8(ascii: ":")), let value = scan.value() else { break }
            members.append((name, value))
            guard scan.take(UInt8(ascii: ",")) else { break }
        }
        return members
    }

    /// Where the objects and arrays in the array that the text is lie.
    package static func elements(in bytes: ArraySlice<UInt8>) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var scan = JSONText(bytes)
        guard scan.take(UInt8(ascii: "[")), !scan.take(UInt8(ascii: "]")) else { return [] }
        while ranges.count < partsMax, let value = scan.value() {
            if case .container(let range) = value { ranges.append(range) }
            guard scan.take(UInt8(ascii: ",")) else { break }
        }
        return ranges
    }
}
