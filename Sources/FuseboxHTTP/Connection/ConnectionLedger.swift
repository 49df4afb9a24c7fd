package import NIOCore
package import PrometheusText
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How many connections are open, and whose.
package final class ConnectionLedger: Sendable {
    private struct State {
        var count = 0
        var byAddress: [String: Int] = [:]
        var descriptors = 0
    }

    /// Accepted connections past the limit that may wait for being closed. Past it none is accepted until one of them is gone:
    /// accepting is quicker than closing, and each takes a file descriptor.
    static let surplusMax = 8

    private let connectionsMax: Int
    private let state = Mutex(State())
    private let open: GaugeMetric
    private let refused: CounterMetric

    /// - Parameter connectionsMax: open at once, of which another machine may have half.
    package init(connectionsMax: Int, registry: MetricRegistry) {
        self.connectionsMax = connectionsMax
        open = registry.register(GaugeMetric("fusebox_open_connections", help: "Connections that are open."))
        refused = registry.register(
            CounterMetric("fusebox_connections_refused_total", help: "Connections closed at once, past a limit."))
    }

    /// Counts a connection in; `false` when it is one too many.
    func enter(_ address: String?) -> Bool {
        let isTaken = state.withLock { state in
            guard state.count < connectionsMax else { return false }
            if let address {
                guard Self.isLoopback(address) || state.byAddress[address, default: 0] < max(connectionsMax / 2, 1) else {
                    return false
                }
                state.byAddress[address, default: 0] += 1
            }
            state.count += 1
            return true
        }
        if isTaken { open.add(1) } else { refused.increment() }
        return isTaken
    }

    func leave(_ address: String?) {
        open.add(-1)
        state.withLock { state in
            state.count -= 1
            guard let address, let count = state.byAddress[address] else { return }
            state.byAddress[address] = count > 1 ? count - 1 : nil
        }
    }

    /// Counts a connection in until it closes; one that is one too many is closed, and `false` said.
    package func admit(_ channel: any Channel) -> Bool {
        let address = channel.remoteAddress?.ipAddress
        guard enter(address) else {
            channel.close(promise: nil)
            return false
        }
        channel.closeFuture.whenComplete { [self] _ in leave(address) }
        return true
    }

    /// Counts a descriptor in, from the moment on that a connection is accepted.
    func accepted() {
        state.withLock { $0.descriptors += 1 }
    }

    /// Counts a descriptor out, once its connection is closed.
    func closed() {
        state.withLock { $0.descriptors -= 1 }
    }

    /// Whether there is a descriptor left for one more connection, be it only to close it.
    var hasDescriptors: Bool {
        state.withLock { $0.descriptors < connectionsMax + Self.surplusMax }
    }

    private static func isLoopback(_ address: String) -> Bool {
        address.hasPrefix("127.") || address == "::1"
    }

    /// As many as the process may have open, once its limit is as high as it may set it: file descriptors for the store and what
    /// else is open are left out.
    package static func connectionsMax(wanted: Int) -> Int {
        // At rest the store and the event loops have 26 open; four questions at once and a merge add some 16. A server's socket
        // accepts four connections at a time.
        let reserved = 56 + surplusMax
        var limit = rlimit()
        #if canImport(Glibc)
            let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
            let resource = RLIMIT_NOFILE
        #endif
        guard getrlimit(resource, &limit) == 0 else { return wanted }
        let needed = rlim_t(wanted + reserved)
        if limit.rlim_cur < needed {
            limit.rlim_cur = min(needed, limit.rlim_max)
            _ = setrlimit(resource, &limit)
            _ = getrlimit(resource, &limit)
        }
        return min(wanted, max(Int(clamping: limit.rlim_cur) - reserved, 8))
    }
}
