/// When segments were received, as far as the wall clock's word for it can be believed. The order of arrival can always be.
///
/// A time of receipt is no use when it lies ahead of the clock as it is now, or in a year before this program: the clock was
/// wrong then. Such a segment counts as received when it was first seen to be so, and any segment as received no earlier than
/// those before it. So a clock that was wrong for a while keeps nothing for as long as it was ahead, and lets nothing go because
/// it was behind.
struct BelievedReceipts: Equatable {
    /// The wall clock is not set when it shows a time before this: 2020-01-01.
    static let earliestUnixNano: Int64 = 1_577_836_800 * 1_000_000_000
    /// A receipt that lies further ahead of the clock than this is wrong.
    private static let aheadNanoseconds: Int64 = 3_600 * 1_000_000_000
    /// Sightings closer together than this are one.
    private static let spacingNanoseconds: Int64 = 3_600 * 1_000_000_000
    /// Sightings that are kept; past it the oldest go, and what they told of counts as seen with the next one.
    private static let sightingsMax = 1_000

    /// Segments up to an id whose receipts are wrong were there at a time.
    private struct Sighting: Equatable {
        var id: Int64
        var unixNano: Int64
    }

    private var sightings: [Sighting] = []

    init() {}

    private static func isBelieved(_ received: Int64, _ now: Int64) -> Bool {
        let (latest, overflow) = now.addingReportingOverflow(aheadNanoseconds)
        return received >= earliestUnixNano && received <= (overflow ? .max : latest)
    }

    /// Puts the believed receipts into entries, which are all that there are, in the order of arrival.
    ///
    /// - Parameter now: the wall clock, which must be set.
    mutating func correct<Entry>(
        _ entries: inout [Entry], nowUnixNano now: Int64, id: KeyPath<Entry, Int64>, received: WritableKeyPath<Entry, Int64>
    ) {
        note(entries.last { !Self.isBelieved($0[keyPath: received], now) }?[keyPath: id], now)
        var next = 0
        var latest = Int64.min
        for index in entries.indices {
            var time = entries[index][keyPath: received]
            if !Self.isBelieved(time, now) {
                while next < sightings.count, sightings[next].id < entries[index][keyPath: id] { next += 1 }
                time = next < sightings.count ? min(sightings[next].unixNano, now) : now
            }
            latest = max(latest, time)
            entries[index][keyPath: received] = latest
        }
    }

    private mutating func note(_ newest: Int64?, _ now: Int64) {
        guard let newest else { return sightings = [] }
        guard let last = sightings.last else { return sightings = [Sighting(id: newest, unixNano: now)] }
        guard newest > last.id else { return }
        if now - last.unixNano < Self.spacingNanoseconds {
            sightings[sightings.count - 1].id = newest
        } else {
            sightings.append(Sighting(id: newest, unixNano: now))
            if sightings.count > Self.sightingsMax { sightings.removeFirst() }
        }
    }

    /// `id:time` of each sighting, separated by commas.
    var text: String { sightings.map { "\($0.id):\($0.unixNano)" }.joined(separator: ",") }

    /// Reads what `text` gave; what is not of its form is left out.
    init(text: String) {
        for part in text.split(separator: ",").suffix(Self.sightingsMax) {
            let sides = part.split(separator: ":")
            guard sides.count == 2, let id = Int64(sides[0]), let time = Int64(sides[1]), time >= Self.earliestUnixNano
            else { continue }
            sightings.append(Sighting(id: id, unixNano: time))
        }
    }
}
