import PrometheusText
import TelemetryModel

/// The latest value of every series, by family and labels, and the order in which they were last written.
///
/// Bounded in series, lines and bytes of text. When it is full, the series that has been silent longest makes room, but none that the
/// same request wrote: of a request that is too large by itself the rest is refused.
struct ClientSeriesTable {
    struct Series {
        let family: String
        let labels: ExactText
        let identity: Int
        /// `nil` once the series has ended. It is kept for a while, so that a point from before its end does not revive it.
        var value: MetricPoint.Value?
        var isDelta = false
        /// Of the last point whose times could be trusted; 0 for none.
        var timeUnixNano: UInt64 = 0
        var startTimeUnixNano: UInt64 = 0
        var deltas = RememberedDeltas()
        var written: ContinuousClock.Instant
        /// Grows with every point that the table takes.
        var sequence: UInt64 = 0
        var lines = 0
        var bytes = 0
        var older: Int?
        var newer: Int?
    }

    struct Family {
        let kind: MetricPoint.Kind
        let help: String
        let bytes: Int
        var series: [ExactText: Int] = [:]
    }

    let limits: ClientMetricsLimits
    private(set) var families: [String: Family] = [:]
    /// Which family claims a name in one of the formats.
    private var claims: [String: String] = [:]
    private var slots: [Series?] = []
    private var free: [Int] = []
    private var oldest: Int?
    private var newest: Int?
    private(set) var sequence: UInt64 = 0
    private(set) var seriesCount = 0
    private(set) var lines = 0
    private(set) var bytes = 0
    private var swept: ContinuousClock.Instant?

    init(limits: ClientMetricsLimits) {
        self.limits = limits
    }

    func series(_ slot: Int) -> Series? { slots[slot] }

    // MARK: Finding

    /// Whether a family of that name and kind is there or may be; one that would share a name with another may not.
    func admits(_ name: String, _ kind: MetricPoint.Kind) -> Bool {
        if let family = families[name] { return family.kind == kind }
        return MetricFamily.claimedNames(name, kind.prometheus).allSatisfy { claims[$0] == nil }
    }

    func slot(_ name: String, _ labels: ExactText) -> Int? { families[name]?.series[labels] }

    /// Whether the table can take so much more, and what has to leave for it: the longest silent first, none that was written after
    /// `sequence` nor the one that is kept. `nil` when even that is not enough.
    func leaving(for more: (series: Int, lines: Int, bytes: Int), keeping kept: Int?, after sequence: UInt64) -> [Int]? {
        var over = (
            series: seriesCount + more.series - limits.seriesMax, lines: lines + more.lines - limits.linesMax,
            bytes: bytes + more.bytes - limits.bytesMax
        )
        var leaving: [Int] = []
        var next = oldest
        while over.series > 0 || over.lines > 0 || over.bytes > 0 {
            guard let slot = next, let series = slots[slot], series.sequence <= sequence else { return nil }
            next = series.newer
            if slot == kept { continue }
            leaving.append(slot)
            over = (over.series - 1, over.lines - series.lines, over.bytes - series.bytes)
        }
        return leaving
    }

    // MARK: Changing

    /// Adds a series without a value, as the newest one. Its family must be admitted.
    mutating func add(_ name: String, _ labels: ExactText, _ point: MetricPoint, at instant: ContinuousClock.Instant) -> Int {
        let series = Series(family: name, labels: labels, identity: point.identity, written: instant)
        let slot = free.popLast() ?? slots.count
        if slot == slots.count { slots.append(series) } else { slots[slot] = series }
        if families[name] == nil {
            let family = Family(kind: point.kind, help: point.help, bytes: Self.headBytes(name, point.help))
            families[name] = family
            bytes += family.bytes
            for claim in MetricFamily.claimedNames(name, point.kind.prometheus) { claims[claim] = name }
        }
        families[name]?.series[labels] = slot
        seriesCount += 1
        link(slot)
        return slot
    }

    /// Replaces a series by what it is now, and makes it the newest one.
    mutating func write(_ slot: Int, _ series: Series) {
        guard let old = slots[slot] else { return }
        lines += series.lines - old.lines
        bytes += series.bytes - old.bytes
        unlink(slot)
        slots[slot] = series
        link(slot)
    }

    mutating func remove(_ slot: Int) {
        guard let series = slots[slot] else { return }
        unlink(slot)
        slots[slot] = nil
        free.append(slot)
        seriesCount -= 1
        lines -= series.lines
        bytes -= series.bytes
        families[series.family]?.series[series.labels] = nil
        guard let family = families[series.family], family.series.isEmpty else { return }
        families[series.family] = nil
        bytes -= family.bytes
        for claim in MetricFamily.claimedNames(series.family, family.kind.prometheus) { claims[claim] = nil }
    }

    /// Removes what has been silent for too long; gives how many of it were shown. Looks at every series, but not twice in a second unless asked to.
    mutating func sweep(at instant: ContinuousClock.Instant, isForced: Bool = false) -> Int {
        if !isForced, let swept, swept.duration(to: instant) < .seconds(1) { return 0 }
        swept = instant
        let silent = slots.indices.filter { slot in
            guard let series = slots[slot] else { return false }
            let silence = limits.silenceMax * (series.isDelta && series.value != nil ? limits.deltaPatience : 1)
            return series.written.duration(to: instant) > silence
        }
        return remove(silent)
    }

    /// Removes what stands in the way of a family of that name and kind, if none of it was written lately: deltas are waited for
    /// longer than others only while nobody else wants their name. `nil` when something is in the way still, else how many of what
    /// went were shown.
    mutating func makeWay(for name: String, _ kind: MetricPoint.Kind, at instant: ContinuousClock.Instant) -> Int? {
        let owners = Set(MetricFamily.claimedNames(name, kind.prometheus).compactMap { claims[$0] } + [name])
        let slots = owners.flatMap { families[$0]?.series.values.map { $0 } ?? [] }
        guard slots.allSatisfy({ isSilent($0, at: instant) }) else { return nil }
        return remove(slots)
    }

    /// Whether the series was not written for as long as one may be that repeats its value.
    func isSilent(_ slot: Int, at instant: ContinuousClock.Instant) -> Bool {
        slots[slot].map { $0.written.duration(to: instant) > limits.silenceMax } ?? true
    }

    /// Gives how many of them were shown.
    mutating func remove(_ slots: [Int]) -> Int {
        let shown = slots.count { self.slots[$0]?.value != nil }
        for slot in slots { remove(slot) }
        return shown
    }

    private mutating func link(_ slot: Int) {
        sequence += 1
        slots[slot]?.sequence = sequence
        slots[slot]?.older = newest
        slots[slot]?.newer = nil
        if let newest { slots[newest]?.newer = slot } else { oldest = slot }
        newest = slot
    }

    private mutating func unlink(_ slot: Int) {
        guard let series = slots[slot] else { return }
        if let older = series.older { slots[older]?.newer = series.newer } else { oldest = series.newer }
        if let newer = series.newer { slots[newer]?.older = series.older } else { newest = series.older }
    }

    // MARK: Text

    /// At most the bytes of a family's metadata: every byte of the help may need an escape.
    static func headBytes(_ name: String, _ help: String) -> Int {
        2 * name.utf8.count + 2 * help.utf8.count + 40
    }

    /// At most the bytes of a series: what a line has beside name and labels is shorter than this.
    static func textBytes(_ name: String, _ labels: ExactText, lines: Int) -> Int {
        lines * (name.utf8.count + labels.text.utf8.count + 64)
    }
}

/// Digests of the last delta points of a series.
struct RememberedDeltas {
    private var digests: [Int] = []
    private var next = 0

    /// Whether the point with that digest is among them; it is from now on.
    mutating func remember(_ digest: Int, countMax: Int) -> Bool {
        if digests.contains(digest) { return true }
        if digests.count < countMax {
            digests.append(digest)
        } else if countMax > 0 {
            digests[next] = digest
            next = (next + 1) % countMax
        }
        return false
    }
}
