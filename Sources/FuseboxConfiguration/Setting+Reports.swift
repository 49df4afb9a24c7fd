import Derivations
import Reports

/// Settings of gates and reports.
extension Setting {
    static let reports: [Setting] = [
        limit(
            "gates.cost_usd_per_mtok_max", "COST_CAP_USD_PER_MTOK", "Gate for dollars a million tokens.", \.dollarsPerMillionTokens),
        limit("gates.idle_gpu_minutes_max", "IDLE_GPU_MINUTES_MAX", "Gate for GPU minutes idle during slow tools.", \.idleGPUMinutes),
        limit("gates.rent_usd_max", "RENT_USD_MAX", "Gate for dollars of rent.", \.rentDollars),
        limit("gates.egress_usd_max", "EGRESS_USD_MAX", "Gate for dollars of egress.", \.egressDollars),
        limit("gates.timeouts_max", "TIMEOUTS_MAX", "Gate for timed-out attempts.", \.timeouts),
        limit("gates.breaker_opens_max", "BREAKER_OPENS_MAX", "Gate for openings of breakers.", \.breakerOpens),
        limit("gates.stalls_max", "STALLS_MAX", "Gate for stalls of agents' loops.", \.stalls),
        contractLimit(
            "gates.workflow_concurrency_max", "WORKFLOW_MAX_CONCURRENCY",
            "Workflows that may run at once in a process or on a host.", \.workflowConcurrencyMax),
        contractLimit("gates.retrieval_batch_max", "RETRIEVAL_BATCH_SIZE", "Items that one retrieval may bring.", \.retrievalBatchMax),
        contractLimit("gates.embed_batch_max", "EMBED_BATCH_SIZE", "Texts that one call may embed.", \.embedBatchMax),
        Setting(
            key: "gates.memory_headroom_min", environment: "MEMORY_HEADROOM_MIN",
            help: "Part of a host's memory that stays free, from 0 to 1. `none`: 0.15 where agents tell of memory.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gates.memoryHeadroom = text == "none" ? nil : try number(text, "gates.memory_headroom_min", 0...1)
            }, show: { $0.gates.memoryHeadroom.map(Decimal.text) ?? "none" }),
        limit(
            "gates.peak_rss_bytes_max", "PEAK_RSS_BYTES_MAX", "Most memory that a sweep's winner may take.", \.peakResidentBytes),
        Setting(
            key: "gates.soak_hours_min", environment: "REMOTE_SOAK_MIN_HOURS", help: "Hours that a soak must have been watched.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gates.soakHoursMin = try number(text, "gates.soak_hours_min", 0...1e5)
            }, show: { Decimal.text($0.gates.soakHoursMin) }),
        Setting(
            key: "gates.slow_tool_s", environment: "SLOW_TOOL_S", help: "From how many seconds on a tool is slow.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gates.slowToolNanoseconds = try nanoseconds(text, "gates.slow_tool_s")
            }, show: { Decimal.text(Double($0.gates.slowToolNanoseconds) / 1e9) }),
        Setting(
            key: "gates.stall_gap_s", environment: "STALL_GAP_S", help: "A longer hole in a run is a stall.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gates.stallGapNanoseconds = try nanoseconds(text, "gates.stall_gap_s")
            }, show: { Decimal.text(Double($0.gates.stallGapNanoseconds) / 1e9) }),
        Setting(
            key: "gates.own_prices", environment: "GATES_OWN_PRICES",
            help: "Whether the gate on dollars asks for prices of your own: a list price is then no price.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gates.requiresOwnPrices = try flag(text, "gates.own_prices")
            }, show: { $0.gates.requiresOwnPrices ? "true" : "false" }),
        Setting(
            key: "prices_file", environment: "FUSEBOX_PRICES_FILE",
            help: "What tokens, machines and links cost. `none`: prices.yaml in the data folder.",
            read: { text, configuration in configuration.pricesFile = text == "none" ? nil : text },
            show: { $0.pricesFile.map(YAMLText.scalar) ?? "none" }),
        Setting(
            key: "list_prices", environment: "FUSEBOX_LIST_PRICES",
            help: "Whether models that prices.yaml does not name have public list prices.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.usesListPrices = try flag(text, "list_prices")
            }, show: { $0.usesListPrices ? "true" : "false" }),
    ]

    private static func contractLimit(
        _ key: String, _ environment: String, _ help: String, _ path: any WritableKeyPath<FusePolicy, Int64?> & Sendable
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: "\(help) `none`: as many as each agent declares.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.policy[keyPath: path] = text == "none" ? nil : Int64(try integer(text, key, 1...1_000_000_000))
            }, show: { $0.policy[keyPath: path].map { "\($0)" } ?? "none" })
    }

    private static func limit(
        _ key: String, _ environment: String, _ help: String, _ path: any WritableKeyPath<GateLimits, Double?> & Sendable
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: "\(help) `none`: no gate.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gates[keyPath: path] = text == "none" ? nil : try number(text, key, 0...1e15)
            }, show: { $0.gates[keyPath: path].map { Decimal.text($0) } ?? "none" })
    }
}
