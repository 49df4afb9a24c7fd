import Foundation
import Testing

/// What real model servers answered: Tests/Fixtures/modelservers.
enum Recordings {
    /// An answer's head and its body, without the chunks' lengths.
    static func answer(_ name: String) throws -> (head: String, body: [UInt8]) {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent("Fixtures/modelservers/\(name).http")))
        let end = try #require(bytes.indices.first { bytes[$0...].starts(with: [13, 10, 13, 10]) })
        let head = String(decoding: bytes[..<end], as: UTF8.self)
        let rest = Array(bytes[(end + 4)...])
        return (head, head.lowercased().contains("chunked") ? unchunked(rest) : rest)
    }

    private static func unchunked(_ bytes: [UInt8]) -> [UInt8] {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 10) {
            let size = Int(String(decoding: rest[..<end].dropLast(), as: UTF8.self), radix: 16) ?? 0
            rest = rest[(end + 1)...]
            if size == 0 { break }
            body += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        return body
    }
}

/// Luck that is the same every time.
struct Luck: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
