package import HTTPTypes
package import NIOCore
import NIOHTTP1
import Synchronization

/// An answer.
package struct Response: Sendable {
    package var status: HTTPResponse.Status
    package var headers: HTTPFields
    package var body: ResponseBody

    package init(status: HTTPResponse.Status, headers: HTTPFields = [:], body: ResponseBody = ResponseBody()) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// The body of an answer: bytes that are there, or a stream of them that is written as the client takes it.
package struct ResponseBody: Sendable {
    enum Content: Sendable {
        case bytes(ByteBuffer)
        case stream(@Sendable (ResponseBodyWriter) async throws -> Void)
    }

    let content: Content
    /// In bytes; `nil` when it is not known beforehand.
    let contentLength: Int?

    package init(byteBuffer: ByteBuffer = ByteBuffer()) {
        content = .bytes(byteBuffer)
        contentLength = byteBuffer.readableBytes
    }

    /// A body that is written piece by piece. When `write` throws, the connection ends within the body, where the client sees it.
    package init(contentLength: Int? = nil, _ write: @escaping @Sendable (ResponseBodyWriter) async throws -> Void) {
        content = .stream(write)
        self.contentLength = contentLength
    }
}

/// Writes the pieces of a body to a connection.
package final class ResponseBodyWriter: Sendable {
    private let channel: any Channel
    private let stops = Atomic(false)

    init(_ channel: any Channel) {
        self.channel = channel
    }

    /// Returns when the client's side has taken the piece; throws when the connection is gone.
    package func write(_ buffer: ByteBuffer) async throws {
        try await channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(buffer))).get()
    }

    /// Whether the server stops: a body without an end ends then.
    package var isStopping: Bool { stops.load(ordering: .relaxed) }

    func stop() { stops.store(true, ordering: .relaxed) }
}

/// The time as the header field `Date` has it.
enum HTTPDate {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// - Parameter unixSeconds: since 1970.
    static func text(unixSeconds: Int64) -> String {
        let seconds = max(0, unixSeconds)
        let (days, rest) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, day) = civil(days)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(Self.days[Int(days % 7)]), \(two(day)) \(months[Int(month) - 1]) \(year) "
            + "\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60)) GMT"
    }

    /// The day of a calendar whose years begin in March: leap days come last then.
    private static func civil(_ daysSince1970: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = daysSince1970 + 719_468
        let era = days / 146_097
        let ofEra = days % 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * ofYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - (153 * shifted + 2) / 5 + 1)
    }
}
