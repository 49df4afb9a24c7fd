import Hummingbird
import Ingest
import NIOCore
import PrometheusText

/// `/metrics` and health.
struct OperatorRoutes: Sendable {
    let writer: IngestWriter
    let metrics: HTTPMetrics
    let admission: Admission
    let clientMetrics: ClientMetrics?
    let constantFamilies: [MetricFamily]

    func exposition(_ request: Request) async throws -> Response {
        let start = ContinuousClock.now
        let (format, echoesEscaping) = ExpositionFormat.negotiate(accept: request.headers[.accept])
        var families = try await writer.families()
        families += clientMetrics?.families() ?? []
        families += constantFamilies
        families += ProcessMetrics.families()
        families.append(Self.saturationFamily(saturation))
        metrics.exposedSeries.set(families.reduce(0) { $0 + $1.seriesCount })
        let body = ExpositionEncoder.encode(families, as: format)
        metrics.expositionDuration.cell(format == .text004 ? "text" : "openmetrics").record(ContinuousClock.now - start)
        return Response(
            status: .ok,
            headers: [.contentType: format.contentType(echoEscaping: echoesEscaping), .vary: "Accept, Accept-Encoding"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }

    /// How full the server is, by what fills it: 0 idle, 1 refusing.
    private var saturation: [(cause: String, level: Double)] { admission.saturation + writer.saturation }

    private static func saturationFamily(_ saturation: [(cause: String, level: Double)]) -> MetricFamily {
        MetricFamily(
            name: "fusebox_saturation_ratio", help: "How full the server is, by what fills it; at 1 it refuses.", kind: .gauge,
            unit: .ratio,
            samples: saturation.map { .init(labels: LabelText.render([("cause", $0.cause)]), value: .double($0.level)) })
    }

    /// Whether spans are taken now, and how near the server is to saying no.
    func readiness() async throws -> Response {
        guard await writer.isTaking else { throw StatusTable.unavailable("spans cannot be stored now") }
        let lines = saturation.map { "saturation \($0.cause) \(Int(($0.level * 100).rounded())) %\n" }
        return text("ready\n" + lines.joined())
    }

    func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
