import OTLP
import TelemetryModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The requests that real agents sent: Tests/Fixtures/otlp, one folder each.
enum Captures {
    static let names = [
        "handmade", "handmade-deflate", "handmade-gzip", "handmade-logical", "handmade-retries", "haystack", "haystack-content",
        "langgraph-openinference", "langgraph-openllmetry", "langgraph-traceloop", "llamaindex-native",
        "llamaindex-openinference", "openai-openinference", "openai-openinference-content", "openai-v2", "openai-v2-content",
    ]

    /// A request that cannot be read where it should be.
    struct Unreadable: Error {
        var path: String
    }

    struct Request {
        var name: String
        /// As it came, perhaps compressed.
        var body: [UInt8]
        var encoding: ContentEncoding

        /// The body inflated.
        func inflated() throws -> [UInt8] {
            try Inflation.inflate(body, encoding, limit: 64 << 20)
        }
    }

    /// The trace requests of one capture, in the order that they came in.
    static func traces(_ name: String) throws -> [Request] {
        var requests: [Request] = []
        for number in 1...999 {
            let digits = String(number)
            let stem = "\(folder)/\(name)/\(String(repeating: "0", count: 3 - digits.count))\(digits)"
            guard let headers = read("\(stem).json-headers") else { break }
            guard let body = read("\(stem).bin") else { throw Unreadable(path: stem) }
            let text = String(decoding: headers, as: UTF8.self).lowercased().filter { !$0.isWhitespace }
            guard text.contains(#""signal":"traces""#) else { continue }
            let encoding: ContentEncoding =
                text.contains(#""content-encoding","gzip""#)
                ? .gzip : text.contains(#""content-encoding","deflate""#) ? .deflate : .identity
            requests.append(Request(name: "\(name)/\(digits)", body: body, encoding: encoding))
        }
        guard !requests.isEmpty else { throw Unreadable(path: "\(folder)/\(name)") }
        return requests
    }

    /// All trace requests of all captures.
    static func all() throws -> [Request] {
        try names.flatMap(traces)
    }

    private static let folder: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(2).joined(separator: "/") + "/Fixtures/otlp"
    }()

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
        }
    }
}
