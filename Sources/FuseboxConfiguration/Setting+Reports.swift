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
            key: "prices_file", environment: "FUSEBOX_PRICES_FILE",
            help: "What tokens, machines and links cost. `none`: prices.yaml in the data folder.",
            read: { text, configuration in configuration.pricesFile = text == "none" ? nil : text },
            show: { $0.pricesFile.map(YAMLText.scalar) ?? "none" }),
    ]

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
