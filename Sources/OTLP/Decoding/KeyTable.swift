import TelemetryModel

/// The distinct attribute keys of one request. A key is looked up once an attribute, so that all that follows compares integers.
/// The hash is seeded for each process, which keeps a client from choosing keys that collide.
struct KeyTable {
    private static let seed = UInt64.random(in: .min ... .max)

    /// Where each key first stood in the request.
    private(set) var keys: [ByteSlice] = []
    private var table = ByteStringTable(slotCount: 64)

    /// The index of the key at `range`, which is added when new. Keys are compared by the bytes that came, malformed ones too.
    @inline(__always)
    mutating func index(of range: WireRange, in bytes: RawSpan) -> (index: UInt32, isNew: Bool) {
        let hash = ByteHash.hash(bytes, range, seed: Self.seed)
        let (index, isNew) = table.insert(range, in: bytes, hash: hash)
        if isNew { keys.append(ByteSlice(range)) }
        return (UInt32(truncatingIfNeeded: index), isNew)
    }
}
