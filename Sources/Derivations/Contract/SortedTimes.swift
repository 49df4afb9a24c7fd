/// Times in their order, several may be the same. Made for those that come late and go early: either moves only what lies beyond it.
struct SortedTimes: Sendable {
    /// So many empty places before the first time are taken away at once, when they are half of all.
    private static let headMin = 1_024

    private var times: [Int64] = []
    /// The first time; what lies before has gone.
    private var head = 0

    var isEmpty: Bool { head == times.count }

    /// How many are this early or earlier.
    func count(upTo time: Int64) -> Int { times[head...].partitioningIndex { $0 > time } - head }

    mutating func insert(_ time: Int64) {
        times.insert(time, at: times[head...].partitioningIndex { $0 > time })
    }

    /// Takes one out that is just this, if there is one.
    mutating func remove(_ time: Int64) {
        let place = times[head...].partitioningIndex { $0 >= time }
        guard place < times.count, times[place] == time else { return }
        guard place - head < times.count - place else {
            times.remove(at: place)
            return
        }
        for index in stride(from: place, to: head, by: -1) { times[index] = times[index - 1] }
        head += 1
        guard head >= Self.headMin, head * 2 >= times.count else { return }
        times.removeFirst(head)
        head = 0
    }
}

extension RandomAccessCollection where Index == Int {
    /// The first place whose element meets a condition that all behind it meet too; the end when none does.
    func partitioningIndex(_ isBehind: (Element) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
