/// The waiting observations of one breaker: a run in event order followed by a tail in order of arrival, which is sorted in when
/// something in it has its turn, or when it is long: so no turn has much to sort. A client that sends its spans in order never
/// causes a sort.
struct PendingQueue: Sendable {
    /// A tail of so many records is sorted in, unless that would move many more.
    private static let tailMax = 4_096
    /// Fewer grow as arrays do.
    private static let roomMin = 512
    /// Fewer are sorted as they are.
    private static let keyedMin = 64

    /// What a record is sorted by, nearly always: a third of its size.
    private struct Key {
        var time: Int64
        var epoch: UInt32
        var position: Int32
    }

    private(set) var records: [PendingObservation] = []
    /// The first record that waits; what lies before is done.
    private(set) var head = 0
    private var sortedEnd = 0
    /// The earliest record of the tail.
    private var tailMinimum = 0
    private var tailLimit = Self.tailMax
    /// Records done before their receipt's turn, by receipt: they are not there when it comes.
    private var early: [UInt32: Int] = [:]
    private(set) var reportedCount = 0
    private(set) var derivedCount = 0

    var isEmpty: Bool { head == records.count }
    var count: Int { records.count - head }

    mutating func append(_ record: PendingObservation) {
        if record.isReported { reportedCount += 1 }
        if record.isDerived { derivedCount += 1 }
        if records.count == records.capacity { makeRoom() }
        let position = records.count
        records.append(record)
        if sortedEnd < position {
            if record.precedes(records[tailMinimum]) { tailMinimum = position }
        } else if position > head && record.precedes(records[position - 1]) {
            tailMinimum = position
        } else {
            sortedEnd = position + 1
        }
        if records.count - sortedEnd >= tailLimit { sortTail() }
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
            var end = head
            var found = 0
            var position = head
            while found < count && position < sortedEnd {
                if Self.isDue(records[position].receipt, due) {
                    found += 1
                    end = position + 1
                }
                position += 1
            }
            if sortedEnd == records.count { return end }
            if found == count && (end == head || !records[tailMinimum].precedes(records[end - 1])) { return end }
            sortTail()
        }
    }

    /// Takes the prefix up to `end` out, but for what `visit` leaves in its record: each machine's cursor is its last observation
    /// whose receipt is due.
    mutating func take(
        to end: Int, due: UInt32, _ visit: (_ record: PendingObservation, _ reported: Bool, _ derived: Bool) -> Void
    ) {
        var reportedEnd = head
        var derivedEnd = head
        for position in head..<end where Self.isDue(records[position].receipt, due) {
            if records[position].isReported { reportedEnd = position + 1 }
            if records[position].isDerived { derivedEnd = position + 1 }
        }
        var kept: [PendingObservation] = []
        for position in head..<end {
            var record = records[position]
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
        for (offset, record) in kept.enumerated() { records[end - kept.count + offset] = record }
        head = end - kept.count
        compact()
    }

    /// All that waits, in event order.
    func ordered() -> ArraySlice<PendingObservation> {
        guard sortedEnd < records.count else { return records[head...] }
        var queue = self
        queue.sortTail()
        return queue.records[head...]
    }

    private mutating func sortTail() {
        var low = head
        var high = sortedEnd
        while low < high {
            let middle = (low + high) / 2
            if records[tailMinimum].precedes(records[middle]) { high = middle } else { low = middle + 1 }
        }
        sort(from: low)
        sortedEnd = records.count
        // A tail that reaches far back moves all that lies behind: then a longer one is waited for, so that a record moves rarely.
        tailLimit = max(Self.tailMax, (records.count - low) / 4)
    }

    private mutating func sort(from low: Int) {
        guard records.count - low >= Self.keyedMin else { return records[low...].sort { $0.precedes($1) } }
        let moved = Array(records[low...])
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
        for (offset, key) in keys.enumerated() { records[low + offset] = moved[Int(key.position)] }
    }

    /// Grows by a quarter rather than twofold: there may be hundreds of thousands, in hundreds of queues.
    private mutating func makeRoom() {
        guard records.count >= Self.roomMin else { return }
        if head * 4 >= records.count {
            removeDone()
        } else {
            records.reserveCapacity(records.count + records.count / 4)
        }
    }

    private mutating func compact() {
        if head == records.count {
            records.removeAll(keepingCapacity: records.count <= 64)
            sortedEnd = 0
            head = 0
        } else if head >= 1_024 && head * 2 >= records.count {
            removeDone()
        }
    }

    private mutating func removeDone() {
        records.removeFirst(head)
        sortedEnd -= head
        tailMinimum -= head
        head = 0
    }
}
