import ClickHouse
import OutboundHTTP

/// What answers of ClickHouse's HTTP interface mean.
enum ClickHouseAnswer {
    static let tooManyPartsCode = 252

    private static let codeHeader = "x-clickhouse-exception-code"
    private static let errorStart = Array("Code: ".utf8)

    /// Whether ClickHouse itself answers, and not somebody on the way.
    static func isOfClickHouse(_ answer: OutboundAnswer) -> Bool {
        answer.headers.contains { $0.name.hasPrefix("x-clickhouse-") }
    }

    /// Whether it says an error, whatever its status.
    static func hasError(_ answer: OutboundAnswer) -> Bool {
        answer.header(codeHeader) != nil || answer.body.starts(with: errorStart)
    }

    /// Reads the answer to an insert (docs/fleet.md has the table).
    static func read(_ answer: OutboundAnswer, nowUnixNano: Int64) -> DeliveryAnswer {
        let isOwn = isOfClickHouse(answer)
        if isOwn, let code = code(answer) { return read(code, answer) }
        guard (200...299).contains(answer.status) else { return DeliveryAnswer(answer, nowUnixNano: nowUnixNano) }
        // An insert has nothing to say.
        if isOwn && answer.body.isEmpty { return .accepted(rejected: 0, message: "") }
        let what = isOwn ? "with something behind it" : "which does not come from ClickHouse"
        return .later(
            code: answer.status, afterNanoseconds: nil, message: "HTTP \(answer.status), \(what)\(DeliveryAnswer.said(answer))")
    }

    /// The code of the error: the header says it, else the text does.
    static func code(_ answer: OutboundAnswer) -> Int? {
        if let code = answer.header(codeHeader).flatMap({ Int($0) }) { return code }
        guard answer.body.starts(with: errorStart) else { return nil }
        let digits = answer.body.dropFirst(errorStart.count).prefix(6).prefix { (0x30...0x39).contains($0) }
        return Int(String(decoding: digits, as: UTF8.self))
    }

    private static func read(_ code: Int, _ answer: OutboundAnswer) -> DeliveryAnswer {
        let error = ClickHouseError(code: code)
        let message = "ClickHouse \(code)\(DeliveryAnswer.said(answer))" + (error?.advice.map { "; \($0)" } ?? "")
        switch error {
        case .busy, .tooManyParts, .ambiguous, .running: return .later(code: code, afterNanoseconds: nil, message: message)
        case .unauthorized: return .unauthorized(code: code, message: message)
        case .schema: return .misdirected(code: code, message: message)
        case .poison: return .refused(code: code, message: message)
        case .tooLarge: return .tooLarge(message: message)
        // One that is not known here. Most are the server's own trouble, which it tells as 500.
        case nil:
            return answer.status < 500 && answer.status >= 400
                ? .refused(code: code, message: message) : .later(code: code, afterNanoseconds: nil, message: message)
        }
    }
}
