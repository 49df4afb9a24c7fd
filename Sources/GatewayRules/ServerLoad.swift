/// Calls that a model server has, by its own metrics in Prometheus' text.
package enum ServerLoad {
    private static let families: [BackendPlan.Kind: [Substring]] = [
        .llamaCpp: ["llamacpp:requests_processing", "llamacpp:requests_deferred"],
        .vllm: ["vllm:num_requests_running", "vllm:num_requests_waiting"],
    ]

    /// Whether servers of the kind tell of it.
    package static func isTold(by kind: BackendPlan.Kind) -> Bool { families[kind] != nil }

    /// Those that run and those that wait inside of it; `nil` when the text does not say.
    package static func calls(_ text: String, _ kind: BackendPlan.Kind) -> Int? {
        guard let names = families[kind] else { return nil }
        var sum: Double?
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let name = line.prefix { $0 != "{" && $0 != " " }
            guard names.contains(name), let value = line.split(separator: " ").last.flatMap({ Double($0) }), value.isFinite else {
                continue
            }
            sum = (sum ?? 0) + value
        }
        return sum.flatMap { Int(exactly: $0.rounded()) }
    }
}
