import FuseboxConfiguration
import FuseboxGRPC
import FuseboxHTTP
import Gateway
import GatewayRules
import Ingest
import Logging
import PrometheusText
import Reports
import SpanStore

/// The servers that `fusebox serve` runs, put together from the configuration.
struct Transports {
    /// Runs until it is asked to stop, and has finished what it had.
    typealias Service = @Sendable (ServerStop) async throws -> Void

    /// The HTTP server, the gRPC server unless it is off, the gateway if there is one, and what looks after the TLS files.
    let services: [Service]

    /// - Parameters:
    ///   - pageFolder: where the page is served from instead of from the program.
    ///   - takesProcesses: whether model servers that the gateway started end with this program; asked as it stops.
    init(
        _ configuration: Configuration, writer: IngestWriter, metrics: IngestMetrics, pageFolder: String?,
        takesProcesses: @escaping @Sendable () -> Bool, logger: Logger
    ) throws {
        let questions = APIContext(
            folder: StoreFolder(path: configuration.dataFolder), turns: writer.turns, policy: configuration.policy,
            gates: configuration.gateLimits, projectAttribute: configuration.transport.projectAttribute, versionText: BuildInfo.version, clock: { Clock.unixNano() })
        let transport = configuration.transport
        var limits = AdmissionLimits()
        limits.requestsMax = transport.requestsMax
        limits.bytesMax = transport.requestBytesInFlightMax
        let pipeline = ExportPipeline(
            writer: writer, metrics: HTTPMetrics(registry: metrics.registry),
            admission: Admission(limits: limits, registry: metrics.registry), access: Self.access(configuration),
            redaction: try configuration.redaction.rules(),
            clientMetrics: transport.showsClientMetrics ? Self.clientMetrics(transport, metrics.registry) : nil,
            bodyBytesMax: configuration.requestBytesMax)
        let connections = ConnectionLedger(
            connectionsMax: ConnectionLedger.connectionsMax(wanted: transport.connectionsMax), registry: metrics.registry)
        let files = Self.tlsFiles(configuration)
        var http = Self.http(configuration)
        http.pageFolder = pageFolder
        var services: [Service] = []
        var contexts: (http1: TLSContexts, http2: TLSContexts)?
        if let files {
            let made = (
                http1: try TLSContexts(files: files, applicationProtocols: ["http/1.1"], logger: logger),
                http2: try TLSContexts(files: files, applicationProtocols: ["h2"], logger: logger)
            )
            services += [made.http1, made.http2].map(Self.watch)
            contexts = made
        }
        if let port = configuration.grpcPort {
            let server = HTTPServer.grpc(
                http, port: port, pipeline: pipeline, connections: connections, contexts: contexts?.http2,
                unixNano: { Clock.unixNano() }, onRunning: { port in Terminal.write("OTLP over gRPC: port \(port)\n") })
            services.append(server.run)
        }
        let isEncrypted = files != nil
        let server = HTTPServer.http(
            http, writer: writer, pipeline: pipeline, questions: questions, connections: connections, contexts: contexts?.http1,
            logger: logger, onRunning: { port in Self.greet(configuration, port: port, isEncrypted: isEncrypted) })
        services.append(server.run)
        if let gateway = try Self.gateway(
            configuration, pipeline: pipeline, connections: connections, contexts: contexts?.http1, registry: metrics.registry,
            door: questions.gateway, takesProcesses: takesProcesses, logger: logger)
        {
            services.append(gateway.run)
        }
        self.services = services
    }

    static func tlsFiles(_ configuration: Configuration) -> TLSFiles? {
        let transport = configuration.transport
        guard let certificate = transport.tlsCertificate, let key = transport.tlsPrivateKey else { return nil }
        return TLSFiles(certificate: certificate, privateKey: key, clientAuthorities: transport.tlsClientAuthorities)
    }

    /// Reads the TLS files again when they change, for as long as the servers run.
    static func watch(_ contexts: TLSContexts) -> Service {
        { stop in
            await withTaskGroup { tasks in
                tasks.addTask { await contexts.watch() }
                await stop.whenStopping()
                tasks.cancelAll()
            }
        }
    }

    private static func clientMetrics(_ transport: TransportConfiguration, _ registry: MetricRegistry) -> ClientMetrics {
        ClientMetrics(
            registry: registry,
            own: {
                IngestWriter.declaredFamilies + OperatorRoutes.declaredFamilies + [BuildInfo.family.declaration, costGate]
            }, limits: ClientMetricsLimits(silenceMax: .seconds(transport.clientMetricsExpirySeconds)),
            now: { MetricsReceipt(unixNano: Clock.unixNano(), instant: .now) })
    }

    /// The gateway in front of model servers; `nil` when none is configured.
    private static func gateway(
        _ configuration: Configuration, pipeline: ExportPipeline, connections: ConnectionLedger, contexts: TLSContexts?,
        registry: MetricRegistry, door: GatewayDoor, takesProcesses: @escaping @Sendable () -> Bool, logger: Logger
    ) throws -> GatewayServer? {
        guard configuration.gateway.isConfigured else { return nil }
        var settings = GatewaySettings(plan: try configuration.gateway.plan(configuration.policy))
        settings.host = configuration.listenAddress
        settings.port = configuration.gateway.port
        settings.access = access(configuration)
        settings.requestBytesMax = configuration.requestBytesMax
        settings.versionText = BuildInfo.version
        settings.processFolder = configuration.dataFolder + "/gateway"
        settings.headroomRatio = configuration.gateway.headroomRatio
        settings.takesProcesses = takesProcesses
        if let cluster = try KubernetesFiles.cluster(configuration, isEncrypted: contexts != nil) {
            settings.cluster = { port in
                var plan = cluster.plan
                plan.port = port
                return (plan, cluster.access)
            }
        }
        settings.opensDoor = { door.open($0) }
        let url = url(configuration, isEncrypted: contexts != nil)
        return GatewayServer(
            settings,
            sources: GatewaySources(unixNano: { Clock.unixNano() }, random: { UInt64.random(in: .min ... .max) }),
            pipeline: pipeline, connections: connections, contexts: contexts, registry: registry, logger: logger,
            onRunning: { port in Terminal.write("gateway: export OPENAI_BASE_URL=\(url):\(port)/v1\n") })
    }

    /// Where we listen, without a port.
    static func url(_ configuration: Configuration, isEncrypted: Bool) -> String {
        let host = configuration.listenAddress.contains(":") ? "[\(configuration.listenAddress)]" : configuration.listenAddress
        return "\(isEncrypted ? "https" : "http")://\(host)"
    }

    static func access(_ configuration: Configuration) -> AccessPolicy {
        let transport = configuration.transport
        var access = AccessPolicy()
        access.ingestTokens = transport.ingestTokens
        access.readTokens = transport.readTokens
        access.judgeTokens = transport.judgeTokens
        access.projectTokens = transport.projectTokens
        access.signIns = SignIns(clock: { Clock.unixNano() }, random: { UInt64.random(in: .min ... .max) })
        access.proxy = ProxyPolicy(header: transport.proxyUserHeader, trusted: transport.trustedProxies)
        access.hosts.names = Set(transport.allowedHosts + [configuration.listenAddress])
        access.hosts.allowsPrivateNames = !configuration.listensOnLoopback
        access.origins.allowed = Set(transport.corsOrigins)
        return access
    }

    static func http(_ configuration: Configuration) -> HTTPConfiguration {
        var http = HTTPConfiguration()
        http.host = configuration.listenAddress
        http.port = configuration.httpPort
        http.grpcPort = configuration.grpcPort
        http.constantFamilies = [BuildInfo.family] + gateFamilies(configuration.gates)
        return http
    }

    /// Limits as data, so that alerts hold no constants.
    private static func gateFamilies(_ gates: GateLimits) -> [MetricFamily] {
        gates.dollarsPerMillionTokens.map { limit in [costGate.with([.init(value: .double(limit))])] } ?? []
    }

    private static let costGate = MetricFamily(
        name: "agent_gate_cost_limit_dollars_per_million_tokens", help: "The gate of cost, as configured.", kind: .gauge)

    private static func greet(_ configuration: Configuration, port: Int, isEncrypted: Bool) {
        let url = "\(url(configuration, isEncrypted: isEncrypted)):\(port)"
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
