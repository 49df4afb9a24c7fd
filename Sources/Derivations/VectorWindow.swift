/// The last durations of a vector tool, as far as the rule of metrics.md 2.6 needs them: whether the nearest-rank p95 is above
/// the gate, or at or under the part of the gate that closes, follows from how many durations are.
struct VectorWindow: Equatable, Sendable {
    enum DurationClass: UInt8, Sendable {
        /// At most hysteresis times the gate.
        case fast = 0
        /// At most the gate.
        case near = 1
        /// Above the gate.
        case slow = 2

        init(nanoseconds: Int64, gate: Int64, closingGate: Int64) {
            self = nanoseconds <= closingGate ? .fast : nanoseconds <= gate ? .near : .slow
        }
    }

    /// Oldest first from `next` on once the window is full.
    private var classes: [UInt8] = []
    private var next = 0
    private var fastCount = 0
    private var slowCount = 0

    init() {}

    var count: Int { classes.count }

    /// The rank of the p95: the smallest whole number not below 95 % of the count.
    private var rank: Int { (95 * classes.count + 99) / 100 }

    var isP95AboveGate: Bool { classes.count - slowCount < rank }
    var isP95WithinClosingGate: Bool { fastCount >= rank }

    mutating func append(_ duration: DurationClass, capacity: Int) {
        if classes.count < capacity {
            classes.append(duration.rawValue)
        } else {
            count(classes[next], -1)
            classes[next] = duration.rawValue
            next = next + 1 == classes.count ? 0 : next + 1
        }
        count(duration.rawValue, 1)
    }

    private mutating func count(_ code: UInt8, _ amount: Int) {
        if code == DurationClass.fast.rawValue { fastCount += amount }
        if code == DurationClass.slow.rawValue { slowCount += amount }
    }

    /// One digit a duration, oldest first.
    var text: String {
        String(decoding: (classes[next...] + classes[..<next]).map { $0 + UInt8(ascii: "0") }, as: UTF8.self)
    }

    /// Keeps the newest `capacity` of the text's; `nil` for anything but the digits 0 to 2.
    init?(text: String, capacity: Int) {
        for byte in text.utf8.suffix(capacity) {
            guard byte >= UInt8(ascii: "0"), let duration = DurationClass(rawValue: byte - UInt8(ascii: "0")) else { return nil }
            append(duration, capacity: capacity)
        }
    }
}
