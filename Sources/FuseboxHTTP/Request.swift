package import HTTPTypes
package import NIOCore
import NIOHTTP1

/// A request whose body has come.
package struct Request: Sendable {
    package var head: HTTPRequest
    package var body: ByteBuffer
    package let uri: RequestTarget
    /// The machine that it came from: an address.
    let host: String

    package init(head: HTTPRequest, body: ByteBuffer = ByteBuffer(), from host: String = "local") {
        self.head = head
        self.body = body
        self.host = host
        uri = RequestTarget(head.path ?? "/")
    }

    package var method: HTTPRequest.Method { head.method }
    package var headers: HTTPFields { head.headerFields }
}

/// What the first line of a request asks for.
package struct RequestTarget: Sendable, Equatable {
    /// As it was sent, not decoded.
    package let path: String
    /// Behind the question mark; `nil` without one.
    package let query: String?

    /// - Parameter text: a path with its query, or a whole URL as proxies are sent it.
    package init(_ text: String) {
        var rest = text.prefix { $0 != "#" }
        if !rest.hasPrefix("/"), let scheme = rest.range(of: "://") {
            rest = rest[scheme.upperBound...].drop { $0 != "/" && $0 != "?" }
        }
        let question = rest.firstIndex(of: "?")
        let path = rest[..<(question ?? rest.endIndex)]
        self.path = path.isEmpty ? "/" : String(path)
        query = question.map { String(rest[rest.index(after: $0)...]) }
    }
}

extension StringProtocol {
    /// Where a text stands in this one first.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            formIndex(after: &start)
        }
        return nil
    }
}

extension HTTPRequest {
    /// A request as HTTP/1 brings it; `nil` when its method is none.
    init?(_ head: HTTPRequestHead, isEncrypted: Bool) {
        guard let method = HTTPRequest.Method(head.method.rawValue) else { return nil }
        var fields = HTTPFields()
        fields.reserveCapacity(head.headers.count)
        var authority: String?
        for (name, value) in head.headers {
            if authority == nil && name.lowercased() == "host" {
                authority = value
            } else if let name = HTTPField.Name(name) {
                fields.append(HTTPField(name: name, value: value))
            }
        }
        self.init(
            method: method, scheme: isEncrypted ? "https" : "http", authority: authority, path: head.uri, headerFields: fields)
    }
}
