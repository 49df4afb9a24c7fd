/// Which bytes of a page of SQLite hold nothing any more. SQLite leaves them as they are when rows go or move.
///
/// The format of pages: https://www.sqlite.org/fileformat2.html. A page that does not add up is refused, and nothing of it touched.
struct PageContent {
    /// A row that goes on in overflow pages.
    struct Overflow: Equatable {
        var firstPage: UInt32
        /// Bytes of it that lie there.
        var byteCount: Int
    }

    struct Inconsistent: Error {}

    private(set) var unused: [Range<Int>] = []
    private(set) var overflows: [Overflow] = []

    private let page: [UInt8]
    private let usable: Int

    /// - Parameters:
    ///   - page: a page of a b-tree.
    ///   - headerOffset: 100 of the file's first page, else 0.
    ///   - usableCount: the bytes of a page that SQLite uses.
    init(_ page: [UInt8], headerOffset: Int, usableCount: Int) throws(Inconsistent) {
        self.page = page
        usable = usableCount
        guard page.count >= usable, usable >= 480, headerOffset + 12 < usable else { throw Inconsistent() }
        let kind = page[headerOffset]
        guard kind == 2 || kind == 5 || kind == 10 || kind == 13 else { throw Inconsistent() }
        let pointers = headerOffset + (kind < 10 ? 12 : 8)
        let cellCount = word(headerOffset + 3)
        let stored = word(headerOffset + 5)
        let content = stored == 0 ? 65_536 : stored
        guard pointers + 2 * cellCount <= content, content <= usable else { throw Inconsistent() }
        var cells: [Range<Int>] = []
        for index in 0..<cellCount { cells.append(try cell(at: word(pointers + 2 * index), kind)) }
        cells.sort { $0.lowerBound < $1.lowerBound }
        let blocks = try freeBlocks(from: word(headerOffset + 1), content)
        // What lies between the cells, and must be what the page itself says is free.
        var holes: [Range<Int>] = []
        var next = content
        for cell in cells {
            guard cell.lowerBound >= next, cell.upperBound <= usable else { throw Inconsistent() }
            if cell.lowerBound > next { holes.append(next..<cell.lowerBound) }
            next = cell.upperBound
        }
        if next < usable { holes.append(next..<usable) }
        let free = blocks.reduce(Int(page[headerOffset + 7])) { $0 + $1.count }
        guard holes.reduce(0, { $0 + $1.count }) == free else { throw Inconsistent() }
        if pointers + 2 * cellCount < content { unused.append(pointers + 2 * cellCount..<content) }
        try add(holes, blocks)
    }

    private func word(_ offset: Int) -> Int { Int(page[offset]) << 8 | Int(page[offset + 1]) }

    private func pageNumber(_ offset: Int) -> UInt32 {
        page[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The holes without the heads of free blocks, by which SQLite finds them.
    private mutating func add(_ holes: [Range<Int>], _ blocks: [Range<Int>]) throws(Inconsistent) {
        var rest = blocks[...]
        for hole in holes {
            var next = hole.lowerBound
            while let block = rest.first, block.lowerBound < hole.upperBound {
                guard block.lowerBound >= next, block.upperBound <= hole.upperBound else { throw Inconsistent() }
                if block.lowerBound > next { unused.append(next..<block.lowerBound) }
                if block.count > 4 { unused.append(block.lowerBound + 4..<block.upperBound) }
                next = block.upperBound
                rest.removeFirst()
            }
            if next < hole.upperBound { unused.append(next..<hole.upperBound) }
        }
        guard rest.isEmpty else { throw Inconsistent() }
    }

    private func freeBlocks(from first: Int, _ content: Int) throws(Inconsistent) -> [Range<Int>] {
        var blocks: [Range<Int>] = []
        var offset = first
        while offset != 0 {
            guard offset >= (blocks.last?.upperBound ?? content), offset + 4 <= usable else { throw Inconsistent() }
            let size = word(offset + 2)
            guard size >= 4, offset + size <= usable else { throw Inconsistent() }
            blocks.append(offset..<offset + size)
            offset = word(offset)
        }
        return blocks
    }

    /// Where a cell lies.
    private mutating func cell(at offset: Int, _ kind: UInt8) throws(Inconsistent) -> Range<Int> {
        var position = offset
        if kind == 2 || kind == 5 { position += 4 }
        let first = try varint(&position)
        if kind == 5 { return try range(offset, position) }
        if kind == 13 { _ = try varint(&position) }
        guard first <= UInt64(Int32.max) else { throw Inconsistent() }
        let payload = Int(first)
        let local = localCount(payload, isTable: kind == 13)
        position += local
        if local < payload {
            guard position + 4 <= usable else { throw Inconsistent() }
            overflows.append(Overflow(firstPage: pageNumber(position), byteCount: payload - local))
            position += 4
        }
        return try range(offset, position)
    }

    private func range(_ start: Int, _ end: Int) throws(Inconsistent) -> Range<Int> {
        // A cell takes four bytes at least, so that it can become a free block.
        guard start > 0, max(end, start + 4) <= usable else { throw Inconsistent() }
        return start..<max(end, start + 4)
    }

    private func varint(_ position: inout Int) throws(Inconsistent) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<9 {
            guard position < usable else { throw Inconsistent() }
            let byte = page[position]
            position += 1
            if index == 8 { return value << 8 | UInt64(byte) }
            value = value << 7 | UInt64(byte & 0x7F)
            if byte < 0x80 { return value }
        }
        return value
    }

    /// How much of a row lies in the page itself.
    private func localCount(_ payload: Int, isTable: Bool) -> Int {
        let most = isTable ? usable - 35 : (usable - 12) * 64 / 255 - 23
        if payload <= most { return payload }
        let least = (usable - 12) * 32 / 255 - 23
        let wanted = least + (payload - least) % (usable - 4)
        return wanted <= most ? wanted : least
    }
}
