import FuseboxConfiguration
import FuseboxGRPC
import FuseboxHTTP
import Ingest
import Logging
import PrometheusText
import Reports
import ServiceLifecycle
import SpanStore

/// The servers that `fusebox serve` runs, put together from the configuration.
struct Transports {
    /// The HTTP server, the gRPC server unless it is off, and what looks after the TLS files.
    let services: [any Service]

    /// - Parameter pageFolder: where the page is served from instead of from the program.
    init(
        _ configuration: Configuration, writer: IngestWriter, metrics: IngestMetrics, pageFolder: String?, logger: Logger
    ) throws {
        let questions = APIContext(
            folder: StoreFolder(path: configuration.dataFolder), policy: configuration.policy, gates: configuration.gateLimits,
            versionText: BuildInfo.version, clock: { Clock.unixNano() })
        let transport = configuration.transport
        var limits = AdmissionLimits()
        limits.requestsMax = transport.requestsMax
        limits.bytesMax = transport.requestBytesInFlightMax
        let pipeline = ExportPipeline(
            writer: writer, metrics: HTTPMetrics(registry: metrics.registry),
            admission: Admission(limits: limits, registry: metrics.registry), access: Self.access(configuration),
            redaction: try configuration.redaction.rules(),
            clientMetrics: transport.showsClientMetrics ? ClientMetrics(registry: metrics.registry) : nil,
            bodyBytesMax: configuration.requestBytesMax)
        let connections = ConnectionLedger(
            connectionsMax: ConnectionLedger.connectionsMax(wanted: transport.connectionsMax), registry: metrics.registry)
        var files: TLSFiles?
        if let certificate = transport.tlsCertificate, let key = transport.tlsPrivateKey {
            files = TLSFiles(certificate: certificate, privateKey: key, clientAuthorities: transport.tlsClientAuthorities)
        }
        var http = Self.http(configuration)
        http.pageFolder = pageFolder
        var services: [any Service] = []
        var contexts: (http1: TLSContexts, http2: TLSContexts)?
        if let files {
            let made = (
                http1: try TLSContexts(files: files, applicationProtocols: ["http/1.1"], logger: logger),
                http2: try TLSContexts(files: files, applicationProtocols: ["h2"], logger: logger)
            )
            services += [TLSWatch(contexts: made.http1), TLSWatch(contexts: made.http2)]
            contexts = made
        }
        if let port = configuration.grpcPort {
            services.append(
                buildGRPCApplication(
                    http, port: port, pipeline: pipeline, connections: connections, contexts: contexts?.http2, logger: logger,
                    onRunning: { port in Terminal.write("OTLP over gRPC: port \(port)\n") }))
        }
        let isEncrypted = files != nil
        services.append(
            buildApplication(
                http, pipeline: pipeline, questions: questions, connections: connections, contexts: contexts?.http1,
                logger: logger,
                onRunning: { port in Self.greet(configuration, port: port, isEncrypted: isEncrypted) }))
        self.services = services
    }

    private static func access(_ configuration: Configuration) -> AccessPolicy {
        let transport = configuration.transport
        var access = AccessPolicy()
        access.ingestTokens = transport.ingestTokens
        access.readTokens = transport.readTokens
        access.hosts.names = Set(transport.allowedHosts + [configuration.listenAddress])
        access.hosts.allowsPrivateNames = !configuration.listensOnLoopback
        access.origins.allowed = Set(transport.corsOrigins)
        return access
    }

    private static func http(_ configuration: Configuration) -> HTTPConfiguration {
        var http = HTTPConfiguration()
        http.host = configuration.listenAddress
        http.port = configuration.httpPort
        http.grpcPort = configuration.grpcPort
        http.constantFamilies = [BuildInfo.family] + gateFamilies(configuration.gates)
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

    private static func greet(_ configuration: Configuration, port: Int, isEncrypted: Bool) {
        let host = configuration.listenAddress.contains(":") ? "[\(configuration.listenAddress)]" : configuration.listenAddress
        let url = "\(isEncrypted ? "https" : "http")://\(host):\(port)"
        Terminal.write(
            """
            fusebox \(BuildInfo.version) listens on \(url)
            data folder: \(configuration.dataFolder)

            In the agent's environment:
              export OTEL_EXPORTER_OTLP_ENDPOINT=\(url)
              export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
              export OTEL_TRACES_EXPORTER=otlp

            Then open \(url)   or ask: fusebox sql 'SELECT * FROM tools'

            """)
    }
}

/// Reads the TLS files again when they change, for as long as the servers run.
private struct TLSWatch: Service {
    let contexts: TLSContexts

    func run() async throws {
        await contexts.watch()
    }
}
