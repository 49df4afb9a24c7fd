/// The waiting observations of one breaker: a run in event order followed by a tail in order of arrival, which is sorted in when
/// something in it has its turn, or when it is long: so no turn has much to sort. A client that sends its spans in order never
/// causes a sort.
///
/// Records lie in chunks: there may be millions, of which a copy is shown now and then, and what changes then is copied chunk by chunk.
struct PendingQueue: Sendable {
    /// A tail of so many records is sorted in, unless that would move many more.
    private static let tailMax = 4_096
    /// Fewer are sorted as they are.
    private static let keyedMin = 64

    /// What a record is sorted by, nearly always: a third of its size.
    private struct Key {
        var time: Int64
        var epoch: UInt32
        var position: Int32
    }

    /// Those that wait, by numbers that they keep while they do.
    private var records = FirstInFirstOut<PendingObservation>()
    /// The number behind the run that is in event order.
    private var sortedEnd = 0
    /// The earliest record of the tail.
    private var tailMinimum = 0
    private var tailLimit = Self.tailMax
    /// Records done before their receipt's turn, by receipt: they are not there when it comes.
    private var early: [UInt32: Int] = [:]
    private(set) var reportedCount = 0
    private(set) var derivedCount = 0

    var isEmpty: Bool { records.isEmpty }
    var count: Int { records.count }

    /// The number of the first record that waits.
    private var head: Int { records.firstNumber }
    /// The number behind the last one.
    private var end: Int { records.nextNumber }

    mutating func append(_ record: PendingObservation) {
        if record.isReported { reportedCount += 1 }
        if record.isDerived { derivedCount += 1 }
        let position = end
        if sortedEnd < position {
            if record.precedes(records[known: tailMinimum]) { tailMinimum = position }
        } else if position > head && record.precedes(records[known: position - 1]) {
            tailMinimum = position
        } else {
            sortedEnd = position + 1
        }
        records.append(record)
        if end - sortedEnd >= tailLimit { sortTail() }
    }

    /// True when `receipt` is `due` or came before it; receipts are numbered modulo 2^32.
    @inline(__always)
    static func isDue(_ receipt: UInt32, _ due: UInt32) -> Bool { Int32(bitPattern: receipt &- due) <= 0 }

    /// How many of the `count` records of `receipt`, whose turn it is, still wait.
    mutating func remaining(of count: Int, receipt: UInt32) -> Int {
        early.isEmpty ? count : count - (early.removeValue(forKey: receipt) ?? 0)
    }

    /// The end of the shortest prefix, in event order, that holds all `count` records of the receipts up to `due`.
    mutating func prefix(holding count: Int, due: UInt32) -> Int {
        while true {
            var prefixEnd = head
            var found = 0
            var position = head
            while found < count && position < sortedEnd {
                if Self.isDue(records[known: position].receipt, due) {
                    found += 1
                    prefixEnd = position + 1
                }
                position += 1
            }
            if sortedEnd == end { return prefixEnd }
            let isWhole = found == count
            if isWhole && (prefixEnd == head || !records[known: tailMinimum].precedes(records[known: prefixEnd - 1])) { return prefixEnd }
            sortTail()
        }
    }

    /// Takes the prefix up to `prefixEnd` out, but for what `visit` leaves in its record: each machine's cursor is its last observation
    /// whose receipt is due.
    mutating func take(
        to prefixEnd: Int, due: UInt32, _ visit: (_ record: PendingObservation, _ reported: Bool, _ derived: Bool) -> Void
    ) {
        var reportedEnd = head
        var derivedEnd = head
        records.forEach(head..<prefixEnd) { position, record in
            guard Self.isDue(record.receipt, due) else { return }
            if record.isReported { reportedEnd = position + 1 }
            if record.isDerived { derivedEnd = position + 1 }
        }
        var kept: [PendingObservation] = []
        records.forEach(head..<prefixEnd) { position, record in
            var record = record
            let reported = record.isReported && position < reportedEnd
            let derived = record.isDerived && position < derivedEnd
            visit(record, reported, derived)
            if reported {
                record.clearReported()
                reportedCount -= 1
            }
            if derived {
                record.clearDerived()
                derivedCount -= 1
            }
            if !record.isEmpty {
                kept.append(record)
            } else if !Self.isDue(record.receipt, due) {
                early[record.receipt, default: 0] += 1
            }
        }
        for (offset, record) in kept.enumerated() { put(record, prefixEnd - kept.count + offset) }
        records.dropFirst(prefixEnd - kept.count - head)
        if records.isEmpty { forgetNumbers() }
    }

    /// Nothing waits: numbers begin anew, without the room of many.
    private mutating func forgetNumbers() {
        records = FirstInFirstOut()
        (sortedEnd, tailMinimum) = (0, 0)
    }

    /// All that waits, in event order.
    func ordered() -> [PendingObservation] {
        guard sortedEnd < end else { return all(from: head) }
        var queue = self
        queue.sortTail()
        return queue.ordered()
    }

    private mutating func sortTail() {
        var low = head
        var high = sortedEnd
        while low < high {
            let middle = (low + high) / 2
            if records[known: tailMinimum].precedes(records[known: middle]) { high = middle } else { low = middle + 1 }
        }
        sort(from: low)
        sortedEnd = end
        // A tail that reaches far back moves all that lies behind: then a longer one is waited for, so that a record moves rarely.
        tailLimit = max(Self.tailMax, (end - low) / 4)
    }

    private mutating func sort(from low: Int) {
        let moved = all(from: low)
        guard moved.count >= Self.keyedMin else {
            for (offset, record) in moved.sorted(by: { $0.precedes($1) }).enumerated() { put(record, low + offset) }
            return
        }
        var keys: [Key] = []
        keys.reserveCapacity(moved.count)
        for (position, record) in moved.enumerated() {
            keys.append(Key(time: record.time, epoch: record.epoch, position: Int32(truncatingIfNeeded: position)))
        }
        keys.sort { left, right in
            if left.epoch != right.epoch { return left.epoch < right.epoch }
            return left.time != right.time
                ? left.time < right.time : moved[Int(left.position)].precedes(moved[Int(right.position)])
        }
        for (offset, key) in keys.enumerated() { put(moved[Int(key.position)], low + offset) }
    }

    private func all(from first: Int) -> [PendingObservation] {
        var all: [PendingObservation] = []
        all.reserveCapacity(end - first)
        records.forEach(first..<end) { all.append($1) }
        return all
    }

    private mutating func put(_ record: PendingObservation, _ number: Int) {
        let isThere = records.update(number) { $0 = record }
        assert(isThere, "a record that waits has its number")
    }
}
