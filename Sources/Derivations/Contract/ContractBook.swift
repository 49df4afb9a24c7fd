import TelemetryModel

/// What is remembered of agents' loops: runs of processes and hosts, embeddings and model calls of hosts. metrics.md 2.14.
///
/// What it counts needs no order and no settling, since every figure can only grow by another span. Two spans see each other when fewer
/// than `Limits.contractEntriesMax` of their kind came between them, over restarts too.
struct ContractBook: Sendable {
    /// A run that is counted as a breach now.
    struct Breach: Equatable, Sendable {
        var source: ContractSource
        var isOfHost: Bool
    }

    /// Where a span comes from: its cleaned names, and the slots of its process and of its host.
    struct Origin: Sendable {
        var source: ContractSource
        var process: Int32
        var host: Int32
    }

    private typealias Limits = SpanDerivations.Limits

    static let runsKind = "contract_runs"
    static let callsKind = "contract_calls"

    /// A process, or a host; a process that names no host is a host of its own.
    private enum Place: Hashable {
        case process(service: ExactText, instance: ExactText)
        case host(ExactText)
        case unnamedHost(service: ExactText, instance: ExactText)
    }

    /// What is remembered of one place.
    private struct Slot: Sendable {
        var place: Place
        /// Entries of the logs that stand for it; without any it is free.
        var entryCount = 0
        var runs = ConcurrencyLedger()
        var calls = OverlapLedger()
    }

    private var runs: ContractLog
    private var calls: ContractLog
    private var slots: [Slot] = []
    private var free: [Int32] = []
    private var places: [Place: Int32] = [:]
    /// Spans of one resource come together.
    private var last: (service: String, instance: String, host: String, origin: Origin)?
    var series = ContractSeries()

    init(entriesMax: Int = Limits.contractEntriesMax) {
        runs = ContractLog(kind: Self.runsKind, entriesMax: entriesMax)
        calls = ContractLog(kind: Self.callsKind, entriesMax: entriesMax)
    }

    // MARK: Places

    /// By the names as clients give them; empty for none.
    mutating func origin(service: String, instance: String, host: String) -> Origin {
        if let last, last.service.isExactly(service), last.instance.isExactly(instance), last.host.isExactly(host) { return last.origin }
        func clean(_ text: String) -> String { text.isEmpty ? "" : LabelSanitiser.clean(text) }
        let origin = origin(ContractSource(service: clean(service), instance: clean(instance), host: clean(host)))
        last = (service, instance, host, origin)
        return origin
    }

    private mutating func origin(_ source: ContractSource) -> Origin {
        let (service, instance) = (ExactText(source.service), ExactText(source.instance))
        let process = slot(.process(service: service, instance: instance))
        let host = slot(source.host.isEmpty ? .unnamedHost(service: service, instance: instance) : .host(ExactText(source.host)))
        return Origin(source: source, process: process, host: host)
    }

    private mutating func slot(_ place: Place) -> Int32 {
        if let known = places[place] { return known }
        let slot: Int32
        if let vacant = free.popLast() {
            slot = vacant
            slots[Int(slot)] = Slot(place: place)
        } else {
            slot = Int32(truncatingIfNeeded: slots.count)
            slots.append(Slot(place: place))
        }
        places[place] = slot
        return slot
    }

    private mutating func release(_ slot: Int32) {
        slots[Int(slot)].entryCount -= 1
        guard slots[Int(slot)].entryCount == 0 else { return }
        places[slots[Int(slot)].place] = nil
        slots[Int(slot)].runs = ConcurrencyLedger()
        slots[Int(slot)].calls = OverlapLedger()
        free.append(slot)
        last = nil
    }

    // MARK: Spans

    /// Adds a run, [start, end). Gives the most runs that it made to be under way at once in its process and on its host, and the runs that
    /// are breaches by it.
    mutating func addRun(
        _ start: Int64, _ end: Int64, limit: Int64?, from origin: Origin
    ) -> (inProcess: Int64, onHost: Int64, breaches: [Breach]) {
        let entry = ContractLog.Entry(start: start, end: end, limit: limit ?? .max, origin: origin)
        let (number, displaced) = runs.append(entry)
        let found = place(run: entry, number)
        guard let displaced else { return found }
        let old = displaced.entry
        slots[Int(old.origin.process)].runs.remove(start: old.start, end: old.end, number: displaced.number)
        slots[Int(old.origin.host)].runs.remove(start: old.start, end: old.end, number: displaced.number)
        forget(old)
        return found
    }

    /// Adds an embedding or a model call, [start, end). Gives by how many nanoseconds it lengthens the time in which both kinds were under
    /// way on its host.
    mutating func addCall(_ start: Int64, _ end: Int64, isEmbedding: Bool, from origin: Origin) -> Int64 {
        let entry = ContractLog.Entry(start: start, end: end, origin: origin, marks: isEmbedding ? .embedding : [])
        let displaced = calls.append(entry).displaced
        let gained = place(call: entry)
        guard let old = displaced?.entry else { return gained }
        slots[Int(old.origin.host)].calls.remove(isEmbedding: old.marks.contains(.embedding), start: old.start, end: old.end)
        forget(old)
        return gained
    }

    private mutating func place(run entry: ContractLog.Entry, _ number: Int) -> (inProcess: Int64, onHost: Int64, breaches: [Breach]) {
        remember(entry)
        let inProcess = slots[Int(entry.origin.process)].runs.add(
            start: entry.start, end: entry.end, number: number, limit: entry.limit, isCounted: entry.marks.contains(.process))
        let onHost = slots[Int(entry.origin.host)].runs.add(
            start: entry.start, end: entry.end, number: number, limit: entry.limit, isCounted: entry.marks.contains(.host))
        var breaches: [Breach] = []
        for (numbers, isOfHost) in [(inProcess.breaches, false), (onHost.breaches, true)] where !numbers.isEmpty {
            for number in numbers {
                runs.mark(number, isOfHost ? .host : .process)
                if let run = runs[number] { breaches.append(Breach(source: run.origin.source, isOfHost: isOfHost)) }
            }
        }
        return (inProcess.depthMaximum, onHost.depthMaximum, breaches)
    }

    private mutating func place(call entry: ContractLog.Entry) -> Int64 {
        remember(entry)
        return slots[Int(entry.origin.host)].calls.add(
            isEmbedding: entry.marks.contains(.embedding), start: entry.start, end: entry.end)
    }

    private mutating func remember(_ entry: ContractLog.Entry) {
        slots[Int(entry.origin.process)].entryCount += 1
        slots[Int(entry.origin.host)].entryCount += 1
    }

    private mutating func forget(_ entry: ContractLog.Entry) {
        release(entry.origin.process)
        release(entry.origin.host)
    }

    // MARK: In the store

    mutating func takeChanges() -> (rows: [StateRow], removed: [DerivationChanges.StateKey]) {
        let ofRuns = runs.takeChanges()
        let ofCalls = calls.takeChanges()
        return (ofRuns.rows + ofCalls.rows, ofRuns.removed + ofCalls.removed)
    }

    mutating func read(_ row: StateRow, _ reader: StateReader) -> Bool {
        row.kind == Self.runsKind ? runs.read(row.key, reader) : calls.read(row.key, reader)
    }

    /// All rows are read: what was remembered is again. Nothing is counted.
    mutating func finishReading() {
        let ofRuns = runs.takeRestored()
        runs.restore(ofRuns.entries.map { entry($0) }, first: ofRuns.first)
        for number in runs.firstNumber..<runs.nextNumber {
            if let entry = runs[number] { _ = place(run: entry, number) }
        }
        let ofCalls = calls.takeRestored()
        calls.restore(ofCalls.entries.map { entry($0) }, first: ofCalls.first)
        for number in calls.firstNumber..<calls.nextNumber {
            if let entry = calls[number] { _ = place(call: entry) }
        }
    }

    private mutating func entry(_ stored: ContractLog.Stored) -> ContractLog.Entry {
        ContractLog.Entry(
            start: stored.start, end: stored.end, limit: stored.limit, origin: origin(stored.source), marks: stored.marks)
    }
}

/// The numbers of the contract's counters, by their service or host. A cache: emptied when full, which changes no number.
struct ContractSeries: Sendable {
    enum Kind: UInt8, Sendable {
        case concurrency, processBreaches, hostBreaches, retrievalBreaches, embedBreaches, embedBatch, processMemory
        case hostConcurrency, overlap, hostMemory, hostMemoryTotal
    }

    /// A host as a label.
    struct Host: Sendable {
        var number: Int32
        /// `host` as label text.
        var labels: String
        var isOverflow: Bool
    }

    struct Key: Hashable {
        /// The position of the service, or the number of the host.
        var owner: Int32
        var kind: Kind
    }

    var numbers: [Key: CounterTable.ID] = [:]
    var hosts: [ExactText: Host] = [:]

    mutating func removeAll() {
        numbers.removeAll()
        hosts.removeAll()
    }
}
