import Fleet
import Forwarding
import FuseboxConfiguration
import FuseboxHTTP
import Ingest
import Logging
import OTLP
import OutboundHTTP
import PrometheusText
import TelemetryModel

extension Transports {
    /// The HTTP server alone, over an engine: nothing is taken in, and no data folder is opened.
    init(_ configuration: Configuration, over plan: ForwardTargetPlan, pageFolder: String?, logger: Logger) throws {
        let fleet = FleetSpans(plan, policy: configuration.policy, prices: try configuration.priceTable().sorted)
        let questions = APIContext(
            engine: FleetQuestions(plan, spans: fleet), policy: configuration.policy, gates: configuration.gateLimits,
            projectAttribute: configuration.transport.projectAttribute, versionText: BuildInfo.version,
            clock: { Clock.unixNano() })
        let registry = MetricRegistry()
        var pipeline = ExportPipeline(
            writer: ClosedIntake(), metrics: HTTPMetrics(registry: registry),
            admission: Admission(limits: AdmissionLimits(), registry: registry), access: Self.access(configuration),
            bodyBytesMax: configuration.requestBytesMax)
        pipeline.closedBecause = FleetQuestions.closedBecause(plan.name)
        let connections = ConnectionLedger(
            connectionsMax: ConnectionLedger.connectionsMax(wanted: configuration.transport.connectionsMax), registry: registry)
        let contexts = try Self.tlsFiles(configuration).map {
            try TLSContexts(files: $0, applicationProtocols: ["http/1.1"], logger: logger)
        }
        var http = Self.http(configuration)
        http.grpcPort = nil
        http.pageFolder = pageFolder
        let url = Self.url(configuration, isEncrypted: contexts != nil)
        let server = HTTPServer.http(
            http, writer: nil, pipeline: pipeline, questions: questions, connections: connections, contexts: contexts,
            logger: logger,
            onRunning: { port in
                Terminal.write(
                    "fusebox \(BuildInfo.version) listens on \(url):\(port)\nengine: \(plan.name), \(plan.endpoint.text)\n")
            })
        let answering: Service = { stop in
            // What questions brought here does not stay behind.
            defer { fleet.clear() }
            try await server.run(until: stop)
        }
        services = (contexts.map { [Self.watch($0)] } ?? []) + [answering]
    }
}

/// Takes nothing: who sends is told so before anything comes here.
private struct ClosedIntake: BatchIntake {
    func store(_ batch: SpanBatch, finish: @escaping @Sendable (Result<IngestResult, IngestError>) -> Void) {
        finish(.failure(.stopping))
    }

    func store(_ logs: LogBatch, calls: SpanBatch?, finish: @escaping @Sendable (Result<Void, IngestError>) -> Void) {
        finish(.failure(.stopping))
    }

    func reserve(spans: Int, bytes: Int) throws(IngestError) -> IngestPlace { throw .stopping }

    func store(_ batch: SpanBatch, in places: [IngestPlace]) async throws(IngestError) -> IngestResult { throw .stopping }
}
