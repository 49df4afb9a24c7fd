/// A queue whose elements keep their number for life: the first one ever is 0.
///
/// They lie in chunks of so many, so that a long queue is never copied to make room, and what was taken out is given back.
struct FirstInFirstOut<Element: Sendable>: Sendable {
    private static var chunkBits: Int { 9 }
    private static var chunkElements: Int { 1 << chunkBits }
    /// Empty chunks before the first element are taken away so many at once.
    private static var emptyChunksMax: Int { 64 }

    /// Those before `head` are empty, those between it and the last one full.
    private var chunks: [[Element]] = []
    /// The place of the first element that is still there, counted from the first of the first chunk.
    private var head = 0
    /// The place that the next element gets.
    private var end = 0
    /// The number of the element that is, or was, the first of the first chunk.
    private var base = 0
    /// Room of a chunk that was emptied, for the next one.
    private var spare: [Element] = []

    /// - Parameter firstNumber: the number of the first element.
    init(firstNumber: Int = 0) { base = firstNumber }

    var isEmpty: Bool { head == end }
    var count: Int { end - head }
    var first: Element? { head < end ? self[known: firstNumber] : nil }
    /// The number of the first element that is still there, or that the next one gets.
    var firstNumber: Int { base + head }
    /// The number that the next element gets.
    var nextNumber: Int { base + end }

    /// The element of this number if it is still there.
    subscript(number: Int) -> Element? {
        let place = number - base
        return place >= head && place < end ? self[known: number] : nil
    }

    /// The element of a number that is still there.
    subscript(known number: Int) -> Element {
        @inline(__always) get {
            let place = number - base
            return chunks[place >> Self.chunkBits][place & (Self.chunkElements - 1)]
        }
    }

    mutating func append(_ element: Element) {
        if end >> Self.chunkBits == chunks.count { chunks.append(room()) }
        chunks[end >> Self.chunkBits].append(element)
        end += 1
    }

    /// A short queue grows as arrays do.
    private mutating func room() -> [Element] {
        if chunks.isEmpty { return [] }
        var room: [Element] = []
        swap(&room, &spare)
        room.reserveCapacity(Self.chunkElements)
        return room
    }

    /// Calls `body` with the elements of these numbers, which are still there, in their order.
    @inline(__always)
    func forEach(_ numbers: Range<Int>, _ body: (_ number: Int, _ element: Element) -> Void) {
        var number = numbers.lowerBound
        while number < numbers.upperBound {
            let first = (number - base) & (Self.chunkElements - 1)
            let count = min(Self.chunkElements - first, numbers.upperBound - number)
            chunks[(number - base) >> Self.chunkBits].withUnsafeBufferPointer { chunk in
                for offset in 0..<count { body(number + offset, chunk[first + offset]) }
            }
            number += count
        }
    }

    mutating func popFirst() -> Element? {
        guard let element = first else { return nil }
        dropFirst()
        return element
    }

    /// Takes the first element out, if there is one.
    mutating func dropFirst() {
        guard head < end else { return }
        head += 1
        if head & (Self.chunkElements - 1) == 0 { leaveChunk() }
    }

    /// Takes so many first elements out, or all.
    mutating func dropFirst(_ count: Int) {
        var left = min(count, end - head)
        while left > 0 {
            let step = min(left, Self.chunkElements - head & (Self.chunkElements - 1))
            head += step
            left -= step
            if head & (Self.chunkElements - 1) == 0 { leaveChunk() }
        }
    }

    /// The chunk before `head` holds nothing any more.
    private mutating func leaveChunk() {
        let left = (head >> Self.chunkBits) - 1
        swap(&spare, &chunks[left])
        chunks[left] = []
        spare.removeAll(keepingCapacity: true)
        guard left + 1 == chunks.count || left + 1 >= Self.emptyChunksMax else { return }
        let gone = (left + 1) << Self.chunkBits
        chunks.removeFirst(left + 1)
        base += gone
        head -= gone
        end -= gone
    }

    /// Changes the element of this number if it is still there; false otherwise.
    mutating func update(_ number: Int, _ change: (inout Element) -> Void) -> Bool {
        let place = number - base
        guard place >= head, place < end else { return false }
        change(&chunks[place >> Self.chunkBits][place & (Self.chunkElements - 1)])
        return true
    }
}
