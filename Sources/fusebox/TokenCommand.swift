import ArgumentParser
import TelemetryModel

/// `fusebox token`: a new bearer token and what the configuration says of it.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make a bearer token, and its digest for the configuration.",
        discussion: """
            The token is printed once and kept nowhere. Its digest goes into auth.ingest_tokens or auth.read_tokens of fusebox.yaml; clients \
            send `Authorization: Bearer TOKEN`, which OpenTelemetry exporters do with \
            OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20TOKEN'.
            """)

    /// 256 random bits.
    private static let wordCount = 4

    mutating func run() throws {
        var generator = SystemRandomNumberGenerator()
        let digits = (0..<Self.wordCount).map { _ in
            let word = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
            return String(repeating: "0", count: 16 - word.count) + word
        }
        let token = "fbx_" + digits.joined()
        Terminal.write("token:  \(token)\ndigest: \(TokenDigest(token: token).text)\n")
    }
}
