import HTTPTypes
import NIOHTTP1
import OTLP

/// What the header fields of an export request say, read in one pass.
struct ExportFields {
    private(set) var contentType: String?
    private(set) var contentEncoding: String?
    private(set) var contentLength: String?
    private(set) var expectsContinue = false
    /// Some clients ask for HTTP/2 with their first request.
    private(set) var asksForUpgrade = false
    /// A browser sent it, which tells what page it shows.
    private(set) var isFromPage = false
    /// Of names and values together.
    private(set) var byteCount = 0

    init(_ headers: HTTPHeaders) {
        for (name, value) in headers {
            byteCount += name.utf8.count + value.utf8.count
            switch name.utf8.count {
            case 6:
                if name.isSame("origin") { isFromPage = true }
                if name.isSame("expect") { expectsContinue = value.lowercased() == "100-continue" }
            case 7: if name.isSame("upgrade") { asksForUpgrade = true }
            case 12: if name.isSame("content-type") { Self.add(value, to: &contentType) }
            case 14:
                if name.isSame("content-length") { contentLength = value }
                if name.isSame("sec-fetch-site") { isFromPage = true }
            case 16: if name.isSame("content-encoding") { Self.add(value, to: &contentEncoding) }
            default: break
            }
        }
    }

    /// A field that comes twice is a list.
    private static func add(_ value: String, to field: inout String?) {
        field = field.map { $0 + ", " + value } ?? value
    }

    /// The encoding of the body; `nil` when it is none of OTLP's.
    var encoding: OTLPMessage.Encoding? {
        // What every exporter sends; the rest is for those who write it in their own way.
        if contentType == "application/x-protobuf" { return .protobuf }
        return switch RequestContent.mediaType(contentType) {
        case "application/x-protobuf": .protobuf
        case "application/json": .json
        default: nil
        }
    }

    /// Why a request without one of OTLP's media types is refused.
    var wrongMediaType: Refusal {
        let message =
            RequestContent.mediaType(contentType)?.hasPrefix("application/grpc") == true
            ? "this port speaks OTLP over HTTP, not gRPC; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or send to the gRPC port"
            : "Content-Type must be application/x-protobuf or application/json"
        return Refusal(status: .unsupportedMediaType, code: .invalidArgument, message: message)
    }
}

extension String {
    /// Whether a name is this one, which is in lower case and as long.
    fileprivate func isSame(_ lower: StaticString) -> Bool {
        var index = 0
        for byte in utf8 {
            let folded = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
            if index >= lower.utf8CodeUnitCount || folded != lower.utf8Start[index] { return false }
            index += 1
        }
        return index == lower.utf8CodeUnitCount
    }
}
