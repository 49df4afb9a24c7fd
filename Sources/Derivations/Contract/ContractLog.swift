import TelemetryModel

/// The last runs, or the last embeddings and model calls, in the order of arrival, as they are remembered over a restart.
///
/// They are written in chunks of so many, a state row each; only the chunks that changed are written. When the log is full the oldest one
/// makes room, so memory, rows and what is read at a start are bounded.
struct ContractLog: Sendable {
    struct Entry: Sendable {
        var start: Int64
        var end: Int64
        /// Of a run; `Int64.max` for none.
        var limit: Int64 = .max
        var origin: ContractBook.Origin
        var marks: Marks = []
    }

    struct Marks: OptionSet, Sendable {
        let rawValue: Int64

        /// A run that was counted as a breach of its process, or of its host.
        static let process = Marks(rawValue: 1)
        static let host = Marks(rawValue: 2)
        /// A call that is an embedding.
        static let embedding = Marks(rawValue: 4)
    }

    /// What a row holds of an entry.
    struct Stored: Sendable {
        var start: Int64
        var end: Int64
        var limit: Int64
        var source: ContractSource
        var marks: Marks
    }

    static let chunkEntries = 16
    private static let fieldsPerEntry = 5

    let kind: String
    private let entriesMax: Int
    private var entries = FirstInFirstOut<Entry>()
    private var changed: Set<Int> = []
    /// An entry came since the last look, so its chunk is among the changed ones.
    private var hasGrown = false
    private var removed: Set<Int> = []
    /// The row of the chunk that grows, as far as it is written: a row is not worked out again for each entry. `nil` when it must be.
    private var growing: ChunkText?
    /// Rows of chunks that became full since the last look.
    private var full: [Int: ChunkText] = [:]
    /// What rows brought, until all are read: by chunk, with the number of the first.
    private var restored: [Int: (first: Int, entries: [Stored])] = [:]

    init(kind: String, entriesMax: Int) {
        self.kind = kind
        self.entriesMax = entriesMax
    }

    /// The number of the oldest one that is remembered.
    var firstNumber: Int { entries.firstNumber }
    var nextNumber: Int { entries.nextNumber }

    subscript(number: Int) -> Entry? { entries[number] }

    /// Appends an entry; gives its number, and what it displaces with the number of that.
    mutating func append(_ entry: Entry) -> (number: Int, displaced: (number: Int, entry: Entry)?) {
        let number = entries.nextNumber
        entries.append(entry)
        let place = number % Self.chunkEntries
        if place == 0 { growing = ChunkText(first: number, base: entry.start) }
        growing?.append(entry)
        if place == 0 || !hasGrown { changed.insert(number / Self.chunkEntries) }
        hasGrown = true
        if place == Self.chunkEntries - 1 {
            full[number / Self.chunkEntries] = growing
            growing = nil
        }
        guard number - entries.firstNumber >= entriesMax else { return (number, nil) }
        let oldest = entries.firstNumber
        guard let displaced = entries.popFirst() else { return (number, nil) }
        if entries.firstNumber / Self.chunkEntries > oldest / Self.chunkEntries {
            changed.remove(oldest / Self.chunkEntries)
            full[oldest / Self.chunkEntries] = nil
            removed.insert(oldest / Self.chunkEntries)
        }
        return (number, (oldest, displaced))
    }

    mutating func mark(_ number: Int, _ marks: Marks) {
        guard entries.update(number, { $0.marks.formUnion(marks) }) else { return }
        changed.insert(number / Self.chunkEntries)
        full[number / Self.chunkEntries] = nil
        if number / Self.chunkEntries == entries.nextNumber / Self.chunkEntries { growing = nil }
    }

    // MARK: In the store

    mutating func takeChanges() -> (rows: [StateRow], removed: [DerivationChanges.StateKey]) {
        if changed.isEmpty && removed.isEmpty { return ([], []) }
        var rows: [StateRow] = []
        for chunk in changed.sorted() {
            var text = full[chunk]
            if text == nil, chunk == entries.nextNumber / Self.chunkEntries {
                if growing == nil { growing = self.text(of: chunk) }
                text = growing
            }
            let row = (text ?? self.text(of: chunk)).row
            rows.append(StateRow(kind: kind, key: "\(chunk)", value: row))
        }
        let keys = removed.sorted().map { DerivationChanges.StateKey(kind: kind, key: "\($0)") }
        full.removeAll(keepingCapacity: true)
        hasGrown = false
        changed.removeAll(keepingCapacity: true)
        removed.removeAll(keepingCapacity: true)
        return (rows, keys)
    }

    /// Those of a chunk that were displaced stand in its row until it goes as a whole, or is written anew for another one.
    private func text(of chunk: Int) -> ChunkText {
        let first = max(chunk * Self.chunkEntries, entries.firstNumber)
        var text = ChunkText(first: first, base: entries[first]?.start ?? 0)
        for number in first..<(chunk + 1) * Self.chunkEntries {
            if let entry = entries[number] { text.append(entry) }
        }
        return text
    }

    /// A row that is being written.
    private struct ChunkText: Sendable {
        let first: Int
        let base: Int64
        private var sources: [ContractSource] = []
        private var numbers = StateNumbers()

        init(first: Int, base: Int64) {
            self.first = first
            self.base = base
        }

        mutating func append(_ entry: Entry) {
            let source = sources.lastIndex(of: entry.origin.source) ?? sources.count
            if source == sources.count { sources.append(entry.origin.source) }
            // Differences may wrap around: sums wrap back.
            numbers.append(Int64(source))
            numbers.append(entry.start &- base)
            numbers.append(entry.end &- entry.start)
            numbers.append(entry.limit == .max ? -1 : entry.limit)
            numbers.append(entry.marks.rawValue)
        }

        var row: String {
            var writer = StateWriter()
            for (index, source) in sources.enumerated() {
                writer.add("service", index, source.service)
                writer.add("instance", index, source.instance)
                writer.add("host", index, source.host)
            }
            writer.add("first", Int64(first))
            writer.add("base", base)
            writer.add("entries", numbers)
            return writer.finish()
        }
    }

    /// Takes in a row that `takeChanges` gave; false when it is none.
    mutating func read(_ key: String, _ reader: StateReader) -> Bool {
        guard let chunk = Int(key), chunk >= 0, let first = reader.integer("first").flatMap({ Int(exactly: $0) }),
            let base = reader.integer("base"), let numbers = reader.integers("entries"), first / Self.chunkEntries == chunk,
            numbers.count.isMultiple(of: Self.fieldsPerEntry),
            first + numbers.count / Self.fieldsPerEntry <= (chunk + 1) * Self.chunkEntries
        else { return false }
        var found: [Stored] = []
        for place in stride(from: 0, to: numbers.count, by: Self.fieldsPerEntry) {
            let start = base &+ numbers[place + 1]
            let end = start &+ numbers[place + 2]
            guard end > start, let source = Self.source(numbers[place], reader) else { return false }
            let limit = numbers[place + 3]
            found.append(
                Stored(start: start, end: end, limit: limit < 0 ? .max : limit, source: source, marks: Marks(rawValue: numbers[place + 4])))
        }
        restored[chunk] = (first, found)
        return true
    }

    private static func source(_ index: Int64, _ reader: StateReader) -> ContractSource? {
        guard let service = reader.string("service\(index)"), let instance = reader.string("instance\(index)"),
            let host = reader.string("host\(index)")
        else { return nil }
        return ContractSource(service: service, instance: instance, host: host)
    }

    /// All rows are read: gives the last entries that follow each other without a hole, and the number of the first.
    mutating func takeRestored() -> (first: Int, entries: [Stored]) {
        guard let last = restored.keys.max() else { return (0, []) }
        var chunk = last
        while let before = restored[chunk - 1], before.first + before.entries.count == chunk * Self.chunkEntries { chunk -= 1 }
        let found = (chunk...last).flatMap { restored[$0]?.entries ?? [] }
        let skipped = max(0, found.count - entriesMax)
        let first = (restored[chunk]?.first ?? 0) + skipped
        removed = Set(restored.keys.filter { $0 < first / Self.chunkEntries })
        restored = [:]
        return (first, Array(found.dropFirst(skipped)))
    }

    /// Puts back what `takeRestored` gave.
    mutating func restore(_ restored: [Entry], first: Int) {
        entries = FirstInFirstOut(firstNumber: first)
        growing = nil
        full = [:]
        for entry in restored { entries.append(entry) }
    }
}

/// Where runs and calls come from: cleaned texts, empty where the resource says nothing.
struct ContractSource: Hashable, Sendable {
    @ByBytes var service: String
    @ByBytes var instance: String
    @ByBytes var host: String
}
