import ArgumentParser
import Forwarding
import Foundation
import FuseboxConfiguration
import FuseboxGRPC
import FuseboxHTTP
import Ingest
import Logging
import PrometheusText
import Reports
import SpanStore
import Synchronization

/// `fusebox serve`: the collector.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Accept spans over OTLP, store them, and answer questions about them.",
        discussion: """
            SIGTERM and SIGINT stop it: it accepts nothing more, finishes what it has begun, commits, and exits with 0.

            With --engine it accepts no telemetry and opens no data folder: it serves the page and the API over what nodes forwarded to that \
            engine (docs/fleet.md).
            """)

    /// What is running when this has passed since the signal is cut off.
    private static let shutdownMax = Duration.seconds(7)

    @OptionGroup var common: CommonOptions
    @OptionGroup var engine: EngineOptions

    @Option(help: "Port of everything over HTTP; 0 takes a free one (FUSEBOX_HTTP_PORT, 4318).")
    var httpPort: String?

    @Option(help: "Port of OTLP over gRPC; 0 takes a free one, none switches it off (FUSEBOX_GRPC_PORT, 4317).")
    var grpcPort: String?

    @Option(help: "Address to listen on (FUSEBOX_LISTEN, 127.0.0.1).")
    var listen: String?

    @Option(help: "Bytes of a request's body, before and after inflating (FUSEBOX_REQUEST_BYTES_MAX, 67108864).")
    var requestBytesMax: String?

    @Option(help: .hidden)
    var pageFolder: String?

    @Flag(help: "Listen beyond loopback although nobody has to show a token.")
    var insecureListen = false

    mutating func run() async throws {
        MemoryArenas.limit(environment: ProcessInfo.processInfo.environment)
        let configuration = try effectiveConfiguration()
        for warning in configuration.warnings { Terminal.error("warning: \(warning)") }
        var logger = Logger(label: "fusebox") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        // A limit on file sizes is an error of the write then, and not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        if let plan = try engine.plan(configuration) { return try await serve(configuration, over: plan, logger) }
        try configuration.loadPrices()
        let metrics = IngestMetrics()
        let log = logger
        let writer: IngestWriter
        do {
            writer = try IngestWriter(
                folder: StoreFolder(path: configuration.dataFolder), policy: configuration.policy, metrics: metrics,
                retention: Self.retention(configuration), policyText: configuration.policyYAML,
                stallGapNanoseconds: configuration.gates.stallGapNanoseconds, clock: { Clock.unixNano() },
                report: { log.warning("\($0)") })
        } catch {
            throw error.failure
        }
        defer { writer.stop() }
        let forwarder = Self.forwarder(configuration, writer, metrics, log)
        defer { forwarder?.stop() }
        if let loss = writer.lostCommits { Terminal.error("warning: \(loss.message)") }
        do {
            let interrupt = Interrupt()
            let transports = try Transports(
                configuration, writer: writer, metrics: metrics, pageFolder: pageFolder,
                takesProcesses: { interrupt.wasSent }, logger: logger)
            try await Self.run(transports.services, interrupt)
        } catch let error as TLSError {
            throw CommandFailure(.usage, error.message)
        } catch {
            throw CommandFailure(.failed, Self.explain(error, configuration))
        }
    }

    /// Answers about what an engine has, and takes nothing in.
    private func serve(_ configuration: Configuration, over plan: ForwardTargetPlan, _ logger: Logger) async throws {
        do {
            let transports = try Transports(configuration, over: plan, pageFolder: pageFolder, logger: logger)
            try await Self.run(transports.services, Interrupt())
        } catch let error as TLSError {
            throw CommandFailure(.usage, error.message)
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure(.failed, Self.explain(error, configuration))
        }
    }

    /// What sends stored spans on; `nil` when there is no target.
    private static func forwarder(
        _ configuration: Configuration, _ writer: IngestWriter, _ metrics: IngestMetrics, _ log: Logger
    ) -> Forwarder? {
        let plan = configuration.forward.plan
        guard !plan.targets.isEmpty else {
            do throws(StoreError) {
                try Forwarder.end(source: writer.forwardSource, nowUnixNano: Clock.unixNano())
            } catch {
                log.warning("forward: it could not be noted that there are no targets any more: \(error.message)")
            }
            return nil
        }
        let start = ContinuousClock.now
        return Forwarder(
            plan, source: writer.forwardSource, turns: writer.turns, registry: metrics.registry,
            retention: retention(configuration),
            sources: ForwardSources(
                unixNano: { Clock.unixNano() },
                steadyNano: {
                    let passed = (ContinuousClock.now - start).components
                    return passed.seconds * 1_000_000_000 + passed.attoseconds / 1_000_000_000
                }, chance: { Double.random(in: 0..<1) }),
            report: { log.warning("\($0)") })
    }

    /// Runs the servers until a signal asks them to stop, or one of them fails.
    private static func run(_ services: [Transports.Service], _ interrupt: Interrupt) async throws {
        let stop = ServerStop()
        let signals = StopSignals([SIGTERM, SIGINT]) { number in
            interrupt.note(number)
            stop.stop()
        }
        defer { signals.cancel() }
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            for service in services {
                tasks.addTask {
                    try await service(stop)
                    return true
                }
            }
            tasks.addTask {
                await stop.whenStopping()
                try? await Task.sleep(for: shutdownMax)  // Cancelled when all have ended before.
                return false
            }
            // A server that fails ends the others too.
            defer {
                stop.cutOff()
                tasks.cancelAll()
            }
            var running = services.count
            while running > 0, let hasEnded = try await tasks.next() {
                if hasEnded {
                    running -= 1
                } else {
                    stop.cutOff()
                    tasks.cancelAll()
                }
            }
        }
    }

    private func effectiveConfiguration() throws -> Configuration {
        var flags: [String: String] = [:]
        flags["http_port"] = httpPort
        flags["grpc_port"] = grpcPort
        flags["listen"] = listen
        flags["request_bytes_max"] = requestBytesMax
        if insecureListen { flags["insecure_listen"] = "true" }
        let configuration = try common.configuration(flags: flags)
        do throws(ConfigurationError) {
            try configuration.checkTransport()
        } catch {
            throw CommandFailure(.usage, error.message)
        }
        return configuration
    }

    private static func retention(_ configuration: Configuration) -> RetentionLimits {
        var limits = RetentionLimits()
        limits.age = configuration.retentionDays.map { Int64($0 * 86_400e9) }
        limits.bytes = configuration.retentionBytes.map(Int64.init)
        return limits
    }

    private static func explain(_ error: any Error, _ configuration: Configuration) -> String {
        let text = "\(error)"
        guard text.contains("Address already in use") || text.contains("errno: 98") || text.contains("errno: 48") else {
            return "the server ended: \(text)"
        }
        let grpc = configuration.grpcPort.map { " or \($0)" } ?? ""
        let gateway = configuration.gateway.isConfigured ? " or \(configuration.gateway.port)" : ""
        return "port \(configuration.httpPort)\(grpc)\(gateway) is taken, perhaps by another collector; stop it, or choose others with "
            + "--http-port and --grpc-port" + (gateway.isEmpty ? "" : " and gateway.port")
    }
}

/// Whether somebody at a terminal stopped the program (SIGINT), who takes what it started along; a service manager's SIGTERM may be the
/// first half of a restart.
private final class Interrupt: Sendable {
    private let isSet = Mutex(false)

    var wasSent: Bool { isSet.withLock { $0 } }

    /// Notes a signal.
    func note(_ number: Int32) {
        if number == SIGINT { isSet.withLock { $0 = true } }
    }
}

/// The wall clock, the only place where it is read.
enum Clock {
    /// Nanoseconds since 1970.
    static func unixNano() -> Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
}
