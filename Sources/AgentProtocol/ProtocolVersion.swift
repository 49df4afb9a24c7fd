/// Revisions of the Model Context Protocol. They are names, not numbers: nothing is read out of their order.
enum ProtocolVersion {
    /// Each request tells its version; there is no handshake.
    static let stateless = "2026-07-28"
    /// Agreed on by `initialize`, newest first.
    static let handshakes = ["2025-11-25", "2025-06-18"]

    static let all = [stateless] + handshakes

    /// What `initialize` agrees on: what the client asks for, or the newest that a handshake can.
    static func agreed(on asked: String?) -> String {
        asked.flatMap { handshakes.contains($0) ? $0 : nil } ?? handshakes.first ?? stateless
    }
}
