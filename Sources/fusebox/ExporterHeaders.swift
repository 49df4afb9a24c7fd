import Foundation

/// Header fields that the environment gives to exporters.
enum ExporterHeaders {
    private static let variables = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"]

    /// Of the first variable that is set; empty without one.
    static var environment: [(name: String, value: String)] {
        let environment = ProcessInfo.processInfo.environment
        return variables.lazy.compactMap { environment[$0] }.first.map(parse) ?? []
    }

    /// With the token first, when there is one.
    static func with(token: String?) -> [(name: String, value: String)] {
        guard let token else { return environment }
        return environment.filter { $0.name.lowercased() != "authorization" } + [("authorization", "Bearer \(token)")]
    }

    /// `name=value,name=value`, values percent-encoded, as OpenTelemetry writes them. What is none is left out.
    static func parse(_ text: String) -> [(name: String, value: String)] {
        text.split(separator: ",").compactMap { pair in
            let sides = pair.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard sides.count == 2, !sides[0].isEmpty else { return nil }
            let value = sides[1].removingPercentEncoding ?? sides[1]
            guard !value.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return nil }
            return (sides[0], value)
        }
    }
}
