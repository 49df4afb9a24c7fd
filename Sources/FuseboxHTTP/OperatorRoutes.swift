import HTTPTypes
import Ingest
import NIOCore
package import PrometheusText

/// `/metrics` and health.
package struct OperatorRoutes: Sendable {
    /// `nil` where an engine is asked.
    let writer: IngestWriter?
    let metrics: HTTPMetrics
    let admission: Admission
    let clientMetrics: ClientMetrics?
    let constantFamilies: [MetricFamily]
    let gateway: GatewayDoor

    func exposition(_ request: Request) async throws -> Response {
        let start = ContinuousClock.now
        let agreed = ExpositionFormat.negotiate(accept: request.headers[.accept])
        let format = agreed.format
        var families = await writer?.families() ?? []
        families += clientMetrics?.families() ?? []
        families += constantFamilies
        families += ProcessMetrics.families()
        families.append(Self.saturationFamily(saturation))
        metrics.exposedSeries.set(families.reduce(0) { $0 + $1.seriesCount })
        let body = Self.body(ExpositionChunks(families, as: format))
        metrics.expositionDuration.cell(format == .text004 ? "text" : "openmetrics").record(ContinuousClock.now - start)
        return Response(
            status: .ok,
            headers: [.contentType: agreed.contentType, .vary: "Accept, Accept-Encoding"], body: body)
    }

    /// Bytes of an answer that are made before it is written; what comes behind them is made piece by piece as it is taken.
    private static let bytesAtOnceMax = 1 << 20

    /// Clients' metrics may be megabytes, and scrapers slow. The length is counted beforehand: HTTP/1.0 has no chunks.
    private static func body(_ exposition: ExpositionChunks) -> ResponseBody {
        var rest = exposition
        var first = ByteBuffer()
        while first.readableBytes < bytesAtOnceMax, let chunk = rest.next() { first.writeBytes(chunk) }
        let length = rest.reduce(first.readableBytes) { $0 + $1.count }
        return ResponseBody(contentLength: length) { [first, rest] writer in
            try await writer.write(first)
            for chunk in rest { try await writer.write(ByteBuffer(bytes: chunk)) }
        }
    }

    /// Every family that a scrape may show beside the writer's, the registry's and the constant ones, without samples.
    package static var declaredFamilies: [MetricFamily] { ProcessMetrics.declaredFamilies + [saturation] }

    private static let saturation = MetricFamily(
        name: "fusebox_saturation_ratio", help: "How full the server is, by what fills it; at 1 it refuses.", kind: .gauge, unit: .ratio)

    /// How full the server is, by what fills it: 0 idle, 1 refusing.
    private var saturation: [(cause: String, level: Double)] { admission.saturation + (writer?.saturation ?? []) }

    private static func saturationFamily(_ saturation: [(cause: String, level: Double)]) -> MetricFamily {
        Self.saturation.with(
            saturation.map { .init(labels: LabelText.render([("cause", $0.cause)]), value: .double($0.level)) })
    }

    /// Whether spans are taken now, how near the server is to saying no, and what the gateway can serve: it answers for itself on its own
    /// port, since a model that is down is no reason to send no spans.
    func readiness() throws -> Response {
        if let reason = writer?.refusal { throw StatusTable.unavailable("spans cannot be stored now: \(reason)") }
        let lines = saturation.map { "saturation \($0.cause) \(Int(($0.level * 100).rounded())) %\n" }
        return text("ready\n" + lines.joined() + gateway.readiness.map { "gateway \($0)\n" }.joined())
    }

    func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
