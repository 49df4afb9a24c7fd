import Foundation
import OTLP
import SemanticColumns
import TelemetryModel
import Testing

/// The table of docs/integrations.md, made from what the frameworks sent. `WRITE_TABLES=1 swift test` writes it.
struct IntegrationTableTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let page = root.appendingPathComponent("docs/integrations.md")
    private static let marks = (begin: "<!-- made from the captures: begin -->\n", end: "<!-- made from the captures: end -->")

    /// Columns of the table, and the names over them.
    private static let columns: [(title: String, column: Column)] = [
        ("workflow", .workflow_name), ("step", .step_id), ("operation", .operation), ("tool", .tool_name), ("model", .model),
        ("provider", .provider), ("tokens", .tokens), ("cached", .cached_tokens), ("reasoning", .reasoning_tokens), ("first token", .first_token_seconds),
        ("session", .session_id), ("user", .user_id), ("documents", .retrieval_batch), ("error type", .error_type),
    ]

    @Test func thePageSaysWhatTheCapturesHold() throws {
        let table = try Self.table()
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        guard let begin = text.range(of: Self.marks.begin), let end = text.range(of: Self.marks.end) else {
            Issue.record("no marks in \(Self.page.path)")
            return
        }
        if ProcessInfo.processInfo.environment["WRITE_TABLES"] != nil {
            let written = text.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: table)
            try written.write(to: Self.page, atomically: true, encoding: .utf8)
            return
        }
        #expect(String(text[begin.upperBound..<end.lowerBound]) == table)
    }

    private static func table() throws -> String {
        let folder = root.appendingPathComponent("Tests/Fixtures/frameworks")
        var lines = [
            "| capture | spans | \(columns.map(\.title).joined(separator: " | ")) |",
            "|---|---|\(columns.map { _ in "---" }.joined(separator: "|"))|",
        ]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() where !name.hasPrefix(".") {
            let rows = try spans(in: folder.appendingPathComponent(name))
            let cells = columns.map { column in
                let count = rows.filter { $0[column.column.name] != nil }.count
                return count == 0 ? "–" : "\(count)"
            }
            lines.append("| \(name) | \(rows.count) | \(cells.joined(separator: " | ")) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The columns of each span of a capture, those that log records make among them.
    private static func spans(in folder: URL) throws -> [[String: String]] {
        let heads = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "json-headers" }.sorted { $0.path < $1.path }
        return try heads.flatMap { head -> [[String: String]] in
            let text = try String(contentsOf: head, encoding: .utf8).lowercased().filter { !$0.isWhitespace }
            let isTraces = text.contains(#""path":"/v1/traces""#)
            guard isTraces || text.contains(#""path":"/v1/logs""#) else { return [] }
            var body = [UInt8](try Data(contentsOf: head.deletingPathExtension().appendingPathExtension("bin")))
            if text.contains(#""content-encoding","gzip""#) { body = try Inflation.inflate(body, .gzip, limit: 64 << 20) }
            if text.contains(#""content-type","application/json""#) {
                body = try JSONTranscoder.protobuf(body, as: isTraces ? .traceRequest : .logsRequest, limit: 64 << 20)
            }
            if isTraces { return ReadColumns.all(try TraceDecoder().decode(body)) }
            return LogCalls.spans(of: try LogsDecoder().decode(body)).map(ReadColumns.all) ?? []
        }
    }
}
