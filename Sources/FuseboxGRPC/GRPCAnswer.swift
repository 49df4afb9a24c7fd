import FuseboxHTTP
import HTTPTypes
import NIOCore
import NIOHPACK
import OTLP
import TelemetryModel

/// How a call ended.
enum GRPCAnswer {
    case success([UInt8])
    case failure(Refusal)

    var code: RPCCode {
        switch self {
        case .success: .ok
        case .failure(let refusal): refusal.code
        }
    }

    /// The head of every answer: always 200; the status comes in the trailers.
    static let head = HPACKHeaders([
        (":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", "gzip, deflate, zstd, identity"),
    ])

    /// The message with its prefix; a failure has none.
    var message: ByteBuffer? {
        switch self {
        case .success(let bytes): GRPCMessageReader.framed(bytes)
        case .failure: nil
        }
    }

    var trailers: HPACKHeaders {
        switch self {
        case .success: return HPACKHeaders([("grpc-status", "0")])
        case .failure(let refusal):
            var fields = HPACKHeaders([
                ("grpc-status", "\(refusal.code.rawValue)"), ("grpc-message", PercentEncoding.encoded(refusal.message)),
            ])
            if let seconds = refusal.headers[.retryAfter].flatMap({ UInt64($0) }) {
                fields.add(
                    name: "grpc-status-details-bin",
                    value: Base64Text.encoded(Self.details(refusal, retryAfterSeconds: seconds)))
            }
            return fields
        }
    }

    /// A `google.rpc.Status` with a `google.rpc.RetryInfo`: what tells an exporter that it may send again, and when.
    private static func details(_ refusal: Refusal, retryAfterSeconds seconds: UInt64) -> [UInt8] {
        var status = WireWriter()
        status.varint(1, UInt64(refusal.code.rawValue))
        status.lengthDelimited(2, refusal.message.utf8)
        status.message(3) { any in
            any.lengthDelimited(1, "type.googleapis.com/google.rpc.RetryInfo".utf8)
            any.message(2) { retryInfo in
                retryInfo.message(1) { $0.varint(1, seconds) }
            }
        }
        return status.bytes
    }
}

/// `grpc-message`: UTF-8 with all but printable ASCII, and the percent sign, as `%XX`.
enum PercentEncoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    static func encoded(_ text: String) -> String {
        var output: [UInt8] = []
        for byte in text.utf8 {
            if (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "%") {
                output.append(byte)
            } else {
                output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}

/// Base64 for `-bin` fields, with padding.
enum Base64Text {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encoded(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                output.append(
                    place <= group.count ? alphabet[Int(bits >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
