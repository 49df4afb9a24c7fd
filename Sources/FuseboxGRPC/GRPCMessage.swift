import FuseboxHTTP
import HTTPTypes
import NIOCore
import OTLP

/// Reads the one message of a unary call: a byte that says whether it is compressed, four of its length, big-endian, and itself.
struct GRPCMessageReader {
    private static let prefixCount = 5

    /// Of the message.
    let limit: Int
    private var prefix: [UInt8] = []
    private var missing: Int?

    init(limit: Int) {
        self.limit = limit
    }

    /// Whether the message is marked as compressed; known once its first bytes came.
    var isCompressed: Bool { prefix.first == 1 }

    /// What of a piece belongs to the message itself; `nil` when nothing does.
    mutating func take(_ buffer: ByteBuffer) throws(Refusal) -> ByteBuffer? {
        var buffer = buffer
        if missing == nil {
            prefix += buffer.readBytes(length: min(Self.prefixCount - prefix.count, buffer.readableBytes)) ?? []
            guard prefix.count == Self.prefixCount else { return nil }
            missing = try length()
        }
        guard buffer.readableBytes > 0, let left = missing else { return nil }
        guard buffer.readableBytes <= left else { throw Self.malformed("more than one message") }
        missing = left - buffer.readableBytes
        return buffer
    }

    private func length() throws(Refusal) -> Int {
        guard prefix[0] <= 1 else { throw Self.malformed("a message whose first byte is neither 0 nor 1") }
        let length = prefix[1...].reduce(0) { $0 << 8 | Int($1) }
        guard length <= limit else { throw StatusTable.tooLarge("the message has \(length) bytes, the limit is \(limit)") }
        return length
    }

    /// Checks that the message is whole.
    func end() throws(Refusal) {
        guard missing == 0 else { throw Self.malformed("a message that was cut short") }
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
