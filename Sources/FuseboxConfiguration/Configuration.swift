package import Derivations
package import Reports

/// The effective configuration: defaults, then `fusebox.yaml`, then the environment, then flags, each over the one before.
package struct Configuration: Equatable, Sendable {
    package var dataFolder: String
    package var listenAddress = "127.0.0.1"
    package var httpPort = 4318
    package var allowsInsecureListen = false
    /// Bytes of a request's body, before and after inflating.
    package var requestBytesMax = 64 << 20
    package var policy = FusePolicy()
    /// What the gates let pass, but for the p95, which is the policy's.
    package var gates = GateLimits()
    /// `nil`: `prices.yaml` in the data folder.
    package var pricesFile: String?

    /// For `fusebox config print`: where each setting that is not a default came from, by key.
    package var origins: [String: String] = [:]

    package init(homeFolder: String) {
        dataFolder = "\(homeFolder)/.fusebox"
    }

    package var pricesPath: String { pricesFile ?? "\(dataFolder)/prices.yaml" }

    /// The gates with the policy's p95.
    package var gateLimits: GateLimits {
        var limits = gates
        limits.p95LatencyNanoseconds = policy.p95LatencyGateNanoseconds
        return limits
    }

    /// True for addresses that only this machine can reach.
    package var listensOnLoopback: Bool {
        listenAddress == "localhost" || listenAddress == "::1" || listenAddress.hasPrefix("127.")
    }

    /// What works and yet deserves a word.
    package var warnings: [String] {
        var warnings: [String] = []
        let seconds = policy.httpToolTimeoutNanoseconds / 1_000_000_000
        if seconds < 8 || seconds > 12 {
            warnings.append(
                "fuses.http_tool_timeout_s is \(seconds); between 8 and 12 seconds is usual: less cuts slow answers, more stalls agents"
            )
        }
        return warnings
    }
}

/// A configuration that cannot be used, with what to do about it.
package struct ConfigurationError: Error, Equatable, Sendable {
    package var message: String

    package init(_ message: String) {
        self.message = message
    }

    package var isRetryable: Bool { false }
}
