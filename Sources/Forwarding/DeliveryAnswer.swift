import OTLP
package import OutboundHTTP

/// What a target said to a request, by what follows from it.
package enum DeliveryAnswer: Equatable, Sendable {
    /// It is there, but for so many, which must not be sent again.
    case accepted(rejected: Int64, message: String)
    /// It is not there, or nobody knows: the same bytes again later, after that many nanoseconds at least.
    case later(code: Int, afterNanoseconds: Int64?, message: String)
    /// Who we are is not known there, or may not send.
    case unauthorized(code: Int, message: String)
    /// Nothing is wrong with what was sent: there is no such endpoint.
    case misdirected(code: Int, message: String)
    /// More than it takes at once.
    case tooLarge(message: String)
    /// It does not take this, now or later.
    case refused(code: Int, message: String)

    /// Bytes of a body that are kept of what a target says.
    private static let messageBytesMax = 300

    /// Reads an answer of OTLP over HTTP (docs/fleet.md has the table).
    package init(_ answer: OutboundAnswer, nowUnixNano: Int64) {
        let retryAfter = RetryAfter.nanoseconds(answer.header("retry-after"), nowUnixNano: nowUnixNano)
        let message = "HTTP \(answer.status)" + Self.said(answer)
        switch answer.status {
        case 200...299:
            if let said = ExportAnswer(answer.body, contentType: answer.header("content-type")) {
                self = .accepted(rejected: max(0, said.rejected), message: said.message)
            } else {
                // A page of somebody else who answers on the way: what was sent is nowhere.
                let type = answer.header("content-type") ?? "no type"
                self = .later(
                    code: answer.status, afterNanoseconds: nil,
                    message: "HTTP \(answer.status) with \(type), which is no answer of OTLP")
            }
        case 401, 403, 407: self = .unauthorized(code: answer.status, message: message)
        case 413: self = .tooLarge(message: message)
        case 408, 425, 429, 500...599: self = .later(code: answer.status, afterNanoseconds: retryAfter, message: message)
        case 300...399, 404, 405, 406, 410, 415, 421, 426: self = .misdirected(code: answer.status, message: message)
        default: self = .refused(code: answer.status, message: message)
        }
    }

    /// No answer came.
    package init(_ error: OutboundError) {
        self = .later(code: 0, afterNanoseconds: nil, message: error.message)
    }

    /// What the body says, as far as it is text.
    static func said(_ answer: OutboundAnswer) -> String {
        let text = String(decoding: answer.body.prefix(messageBytesMax), as: UTF8.self).unicodeScalars
            .filter { $0.value >= 0x20 && $0.value != 0xFFFD && $0.value != 0x7F }
        return text.isEmpty ? "" : ": " + String(String.UnicodeScalarView(text))
    }
}
