import ArgumentParser
import Foundation
import FuseboxConfiguration
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
    private static let shutdownMax = Duration.seconds(8)

    @OptionGroup var common: CommonOptions

    @Option(help: "Port of everything over HTTP; 0 takes a free one (FUSEBOX_HTTP_PORT, 4318).")
    var httpPort: String?

    @Option(help: "Address to listen on (FUSEBOX_LISTEN, 127.0.0.1).")
    var listen: String?

    @Option(help: "Bytes of a request's body, before and after inflating (FUSEBOX_REQUEST_BYTES_MAX, 67108864).")
    var requestBytesMax: String?

    @Flag(help: "Listen beyond loopback although nobody has to show a token.")
    var insecureListen = false

    mutating func run() async throws {
        let configuration = try effectiveConfiguration()
        for warning in configuration.warnings { Terminal.error("warning: \(warning)") }
        var logger = Logger(label: "fusebox") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = .warning
        try configuration.loadPrices()
        let metrics = IngestMetrics()
        let writer: IngestWriter
        do {
            writer = try IngestWriter(
                folder: StoreFolder(path: configuration.dataFolder), policy: configuration.policy, metrics: metrics,
                stallGapNanoseconds: configuration.gates.stallGapNanoseconds, clock: { Clock.unixNano() })
        } catch {
            throw error.failure
        }
        defer { writer.stop() }
        let application = buildApplication(
            httpConfiguration(configuration), writer: writer, metrics: HTTPMetrics(registry: metrics.registry), logger: logger,
            onRunning: { port in Self.greet(configuration, port: port) })
        var group = ServiceGroupConfiguration(
            services: [.init(service: application)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        group.maximumGracefulShutdownDuration = Self.shutdownMax
        do {
            try await ServiceGroup(configuration: group).run()
        } catch {
            throw CommandFailure(.failed, Self.explain(error, configuration))
        }
    }

    private func effectiveConfiguration() throws -> Configuration {
        var flags: [String: String] = [:]
        flags["http_port"] = httpPort
        flags["listen"] = listen
        flags["request_bytes_max"] = requestBytesMax
        if insecureListen { flags["insecure_listen"] = "true" }
        let configuration = try common.configuration(flags: flags)
        guard configuration.listensOnLoopback || configuration.allowsInsecureListen else {
            throw CommandFailure(
                .usage,
                "listening on \(configuration.listenAddress) would let anyone on the network write and read spans; "
                    + "stay on 127.0.0.1 behind a proxy, or say --insecure-listen if the network is yours")
        }
        return configuration
    }

    private func httpConfiguration(_ configuration: Configuration) -> HTTPConfiguration {
        var http = HTTPConfiguration()
        http.host = configuration.listenAddress
        http.port = configuration.httpPort
        http.bodyBytesMax = configuration.requestBytesMax
        http.constantFamilies = [BuildInfo.family] + Self.gateFamilies(configuration.gates)
        http.pageText = """
            \(BuildInfo.versionText)

            POST /v1/traces   OTLP over HTTP, protobuf
            GET  /metrics     Prometheus
            GET  /-/healthy   /-/ready

            Ask about the spans:  fusebox sql 'SELECT * FROM tools'
            Breakers and fuses:   fusebox fuses

            """
        return http
    }

    /// Limits as data, so that alerts hold no constants.
    private static func gateFamilies(_ gates: GateLimits) -> [MetricFamily] {
        guard let limit = gates.dollarsPerMillionTokens else { return [] }
        return [
            MetricFamily(
                name: "agent_gate_cost_limit_dollars_per_million_tokens", help: "The gate of cost, as configured.", kind: .gauge,
                samples: [.init(value: .double(limit))])
        ]
    }

    private static func greet(_ configuration: Configuration, port: Int) {
        let host = configuration.listenAddress.contains(":") ? "[\(configuration.listenAddress)]" : configuration.listenAddress
        let url = "http://\(host):\(port)"
        Terminal.write(
            """
            fusebox \(BuildInfo.version) listens on \(url)
            data folder: \(configuration.dataFolder)

            In the agent's environment:
              export OTEL_EXPORTER_OTLP_ENDPOINT=\(url)
              export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
              export OTEL_TRACES_EXPORTER=otlp

            Then: fusebox sql 'SELECT * FROM tools'   or   \(url)/metrics

            """)
    }

    private static func explain(_ error: any Error, _ configuration: Configuration) -> String {
        let text = "\(error)"
        guard text.contains("Address already in use") || text.contains("errno: 98") || text.contains("errno: 48") else {
            return "the server ended: \(text)"
        }
        return "port \(configuration.httpPort) is taken, perhaps by another collector; stop it, or choose one with --http-port"
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
