import FuseboxHTTP
import Hummingbird
import Ingest
import NIOCore
import OTLP

/// The one message of a unary call: a byte that says whether it is compressed, four of its length, big-endian, and itself.
struct GRPCMessage: Sendable {
    private static let prefixCount = 5

    var isCompressed: Bool
    var bytes: [UInt8]

    /// Reads the message that a request's body is, no more than `limit` bytes of it.
    static func read(_ body: RequestBody, limit: Int, permit: AdmissionPermit) async throws -> GRPCMessage {
        var prefix: [UInt8] = []
        var length: Int?
        var message = GRPCMessage(isCompressed: false, bytes: [])
        for try await var buffer in body {
            if length == nil {
                let missing = min(prefixCount - prefix.count, buffer.readableBytes)
                prefix += buffer.readBytes(length: missing) ?? []
                guard prefix.count == prefixCount else { continue }
                length = try begin(prefix, limit: limit, &message)
            }
            try permit.hold(message.bytes.count + buffer.readableBytes)
            guard message.bytes.count + buffer.readableBytes <= length ?? 0 else { throw malformed("more than one message") }
            buffer.withUnsafeReadableBytes { message.bytes.append(contentsOf: $0) }
        }
        guard let length, message.bytes.count == length else { throw malformed("a message that was cut short") }
        return message
    }

    private static func begin(_ prefix: [UInt8], limit: Int, _ message: inout GRPCMessage) throws -> Int {
        guard prefix[0] <= 1 else { throw malformed("a message whose first byte is neither 0 nor 1") }
        message.isCompressed = prefix[0] == 1
        let length = prefix[1...].reduce(0) { $0 << 8 | Int($1) }
        guard length <= limit else { throw StatusTable.tooLarge("the message has \(length) bytes, the limit is \(limit)") }
        return length
    }

    private static func malformed(_ what: String) -> Refusal {
        Refusal(status: .badRequest, code: .invalidArgument, message: "the call carries \(what); Export takes exactly one")
    }

    /// A message with its prefix, as it is sent.
    static func framed(_ bytes: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(prefixCount + bytes.count)
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(UInt32(truncatingIfNeeded: bytes.count))
        buffer.writeBytes(bytes)
        return buffer
    }
}
