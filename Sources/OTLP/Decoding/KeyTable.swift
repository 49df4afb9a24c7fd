import TelemetryModel

/// The distinct attribute keys of one request. A key is looked up once an attribute, so that all that follows compares integers.
struct KeyTable: ~Copyable {
    private let keysMax: Int
    /// Where each key first stood in the request.
    private(set) var keys = RecordBuffer<ByteSlice>()
    private var table = ByteStringTable(slotCount: 64)
    /// By number plus one, the key that followed it last: agents write their keys in the same order, so it is most often the next
    /// one again, and comparing is cheaper than hashing. The first stands for the start.
    private var followers = RecordBuffer<UInt32>()
    private var last = 0

    /// - Parameter keysMax: further keys are refused.
    init(keysMax: Int) {
        self.keysMax = keysMax
        followers.append(0)
    }

    /// The index of the key at `range`, which is added when new. Keys are compared by the bytes that came, malformed ones too.
    @inline(__always)
    mutating func index(of range: WireRange, in bytes: RawSpan) throws(WireError) -> (index: UInt32, isNew: Bool) {
        let guess = followers[last]
        if Int(guess) < keys.count, Int(keys[Int(guess)].count) == range.count,
            RawSpanComparison.areEqual(bytes, keys[Int(guess)].range, bytes, range)
        {
            last = Int(guess) &+ 1
            return (guess, false)
        }
        return try lookUp(range, bytes)
    }

    private mutating func lookUp(_ range: WireRange, _ bytes: RawSpan) throws(WireError) -> (index: UInt32, isNew: Bool) {
        let (position, isNew) = table.insert(range, in: bytes)
        let index = UInt32(truncatingIfNeeded: position)
        if isNew {
            guard table.count <= keysMax else { throw .tooManyKeys }
            keys.append(ByteSlice(range))
            followers.append(0)
        }
        followers[last] = index
        last = position &+ 1
        return (index, isNew)
    }
}
