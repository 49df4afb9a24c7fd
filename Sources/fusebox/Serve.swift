import ArgumentParser
import Foundation
import FuseboxConfiguration
import FuseboxGRPC
import FuseboxHTTP
import Hummingbird
import Ingest
import Logging
import PrometheusText
import Reports
import ServiceLifecycle
import SpanStore
import UnixSignals

/// `fusebox serve`: the collector.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take spans in over OTLP, keep them, and answer about them.",
        discussion: "Stops on SIGTERM and SIGINT: it lets nothing more in, finishes what it has, commits, and exits with 0.")

    /// What is running when this has passed since the signal is cut off.
    private static let shutdownMax = Duration.seconds(7)

    @OptionGroup var common: CommonOptions

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
        let configuration = try effectiveConfiguration()
        for warning in configuration.warnings { Terminal.error("warning: \(warning)") }
        var logger = Logger(label: "fusebox") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        // A limit on file sizes is an error of the write then, and not the end of the process.
        signal(SIGXFSZ, SIG_IGN)
        try configuration.loadPrices()
        let metrics = IngestMetrics()
        let writer: IngestWriter
        do {
            writer = try IngestWriter(
                folder: StoreFolder(path: configuration.dataFolder), policy: configuration.policy, metrics: metrics,
                retention: Self.retention(configuration), policyText: configuration.policyYAML,
                stallGapNanoseconds: configuration.gates.stallGapNanoseconds, clock: { Clock.unixNano() })
        } catch {
            throw error.failure
        }
        defer { writer.stop() }
        if let loss = writer.lostCommits { Terminal.error("warning: \(loss.message)") }
        do {
            var group = ServiceGroupConfiguration(
                services: try Transports(configuration, writer: writer, metrics: metrics, pageFolder: pageFolder, logger: logger)
                    .services.map {
                    .init(service: $0)
                }, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
            group.maximumGracefulShutdownDuration = Self.shutdownMax
            try await ServiceGroup(configuration: group).run()
        } catch let error as TLSError {
            throw CommandFailure(.usage, error.message)
        } catch {
            throw CommandFailure(.failed, Self.explain(error, configuration))
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
        return "port \(configuration.httpPort)\(grpc) is taken, perhaps by another collector; stop it, or choose others with "
            + "--http-port and --grpc-port"
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
