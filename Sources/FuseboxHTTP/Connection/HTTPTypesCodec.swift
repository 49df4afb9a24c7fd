package import HTTPTypes
package import NIOCore
package import NIOHTTP1

/// A piece of a request.
package enum HTTPRequestPart: Sendable {
    case head(HTTPRequest)
    case body(ByteBuffer)
    case end(HTTPFields?)
}

/// A piece of an answer.
package enum HTTPResponsePart: Sendable {
    case head(HTTPResponse)
    case body(ByteBuffer)
    case end(HTTPFields?)
}

/// HTTP/1 as messages of HTTPTypes, on a server's side.
package final class HTTPServerCodec: ChannelDuplexHandler, Sendable {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPServerResponsePart

    private let isEncrypted: Bool

    package init(isEncrypted: Bool) {
        self.isEncrypted = isEncrypted
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard let request = HTTPRequest(head, isEncrypted: isEncrypted) else {
                return context.fireErrorCaught(HTTPParserError.invalidMethod)
            }
            context.fireChannelRead(wrapInboundOut(.head(request)))
        case .body(let buffer): context.fireChannelRead(wrapInboundOut(.body(buffer)))
        case .end(let trailers): context.fireChannelRead(wrapInboundOut(.end(trailers.map { HTTPFields($0) })))
        }
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let response):
            let status = HTTPResponseStatus(statusCode: response.status.code, reasonPhrase: response.status.reasonPhrase)
            let head = HTTPResponseHead(version: .http1_1, status: status, headers: HTTPHeaders(response.headerFields))
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body(let buffer): context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: promise)
        case .end(let trailers): context.write(wrapOutboundOut(.end(trailers.map { HTTPHeaders($0) })), promise: promise)
        }
    }
}

/// HTTP/1 as messages of HTTPTypes, on a client's side.
package final class HTTPClientCodec: ChannelDuplexHandler, Sendable {
    package typealias InboundIn = HTTPClientResponsePart
    package typealias InboundOut = HTTPResponsePart
    package typealias OutboundIn = HTTPRequestPart
    package typealias OutboundOut = HTTPClientRequestPart

    package init() {}

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard head.status.code <= 999 else { return context.fireErrorCaught(HTTPParserError.invalidStatus) }
            let status = HTTPResponse.Status(code: Int(head.status.code), reasonPhrase: head.status.reasonPhrase)
            context.fireChannelRead(
                wrapInboundOut(.head(HTTPResponse(status: status, headerFields: HTTPFields(head.headers)))))
        case .body(let buffer): context.fireChannelRead(wrapInboundOut(.body(buffer)))
        case .end(let trailers): context.fireChannelRead(wrapInboundOut(.end(trailers.map { HTTPFields($0) })))
        }
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let request):
            var headers = HTTPHeaders()
            if let authority = request.authority { headers.add(name: "Host", value: authority) }
            headers.add(contentsOf: HTTPHeaders(request.headerFields))
            let head = HTTPRequestHead(
                version: .http1_1, method: HTTPMethod(rawValue: request.method.rawValue), uri: request.path ?? "/", headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body(let buffer): context.write(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: promise)
        case .end(let trailers): context.write(wrapOutboundOut(.end(trailers.map { HTTPHeaders($0) })), promise: promise)
        }
    }
}

extension HTTPHeaders {
    fileprivate init(_ fields: HTTPFields) {
        self.init(fields.map { ($0.name.rawName, $0.value) })
    }
}

extension HTTPFields {
    fileprivate init(_ headers: HTTPHeaders) {
        self.init()
        for (name, value) in headers {
            if let name = HTTPField.Name(name) { append(HTTPField(name: name, value: value)) }
        }
    }
}
