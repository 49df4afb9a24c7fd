import GatewayRules
import TelemetryModel

/// What is known of a backend whose process is looked after here.
struct BackendCondition: Sendable {
    var state = BackendSupervision.State.waiting
    /// By the clock of fuses.
    var since: Int64 = 0
    var lastSign: Int64?
    var lastReason: EndReason?
    var failures = 0
    /// Starts after the first one.
    var restarts = 0
    var isHopeless = false
    var lacksMemory = false
    var pid: Int64?
    var residentBytes: Int64 = 0
    var words = ""

    /// In a word; `failed` for one that waits and came to nothing again and again.
    var stateText: String { isHopeless && state == .waiting ? "failed" : state.rawValue }

    /// Why it takes no calls, for those who wait.
    var reason: String {
        if state == .stopped { return "it was stopped; `fusebox gateway start` starts it again" }
        if lacksMemory { return "there is not enough memory for it" }
        return "\(failures) starts in a row came to nothing, the last since \(lastReason?.text ?? "it could not be started")"
            + (words.isEmpty ? "" : ": \(words)")
    }

    func document(port: Int, at now: Int64) -> JSONValue {
        func age(_ time: Int64) -> JSONValue { .double(Double(max(0, now.subtractingSaturated(time))) / 1e9) }
        return [
            "state": .string(stateText), "state_s": age(since),
            "evidence_s": lastSign.map(age) ?? .null, "restarts": .integer(Int64(restarts)),
            "last_reason": .optional(lastReason?.rawValue), "last_words": .string(words), "pid": .optional(pid),
            "port": pid == nil ? .null : .integer(Int64(port)), "resident_bytes": .integer(residentBytes),
            "lacks_memory": .bool(lacksMemory),
        ]
    }
}
