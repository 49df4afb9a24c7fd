import Hummingbird
import Ingest
import NIOCore
import PrometheusText

/// `/metrics` and health.
struct OperatorRoutes: Sendable {
    let writer: IngestWriter
    let metrics: HTTPMetrics
    let constantFamilies: [MetricFamily]

    func exposition(_ request: Request) async throws -> Response {
        let start = ContinuousClock.now
        let (format, echoesEscaping) = ExpositionFormat.negotiate(accept: request.headers[.accept])
        var families = try await writer.families()
        families += constantFamilies
        families += ProcessMetrics.families()
        metrics.exposedSeries.set(families.reduce(0) { $0 + $1.seriesCount })
        let body = ExpositionEncoder.encode(families, as: format)
        metrics.expositionDuration.cell(format == .text004 ? "text" : "openmetrics").record(ContinuousClock.now - start)
        return Response(
            status: .ok,
            headers: [.contentType: format.contentType(echoEscaping: echoesEscaping), .vary: "Accept, Accept-Encoding"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }

    func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}
