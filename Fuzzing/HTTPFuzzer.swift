// The libFuzzer target of HTTP/1.1 framing: a connection's bytes through the handlers of the HTTP port, without a network. The first byte
// says how long the pieces are in which they come; the requests must not depend on it. Each must have the length that it says, never two
// lengths, and its head goes through everything that reads headers before a body is read.

import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTP1
import OTLP
import TelemetryModel

@testable import FuseboxHTTP

private let configuration = HTTPConfiguration()
private let access: AccessPolicy = {
    var access = AccessPolicy()
    access.ingestTokens = [TokenDigest(token: "send")]
    access.readTokens = [TokenDigest(token: "read")]
    access.origins.allowed = ["https://app.example.com"]
    access.hosts.names = ["fusebox.example.com"]
    return access
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = input.first else { return 0 }
    let bytes = Array(input.dropFirst())
    let whole = Conversation(bytes, pieces: bytes.count)
    let pieces = Conversation(bytes, pieces: max(1, Int(first)))
    require(whole.transcript == pieces.transcript, "pieces make other requests")
    return 0
}

private func require(_ condition: Bool, _ message: StaticString) {
    if !condition { fatalError("\(message)") }
}

/// One connection from its first byte to its end.
private final class Conversation {
    let transcript: [String]

    init(_ bytes: [UInt8], pieces size: Int) {
        let channel = EmbeddedChannel()
        let collector = Collector()
        let listener = PrefaceListener(patience: configuration.deadlines.head) { isHTTP2 in
            channel.eventLoop.makeCompletedFuture {
                if isHTTP2 { return collector.transcript.append("HTTP/2") }
                let pipeline = channel.pipeline.syncOperations
                try pipeline.configureHTTPServerPipeline(
                    withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
                    withEncoderConfiguration: .init(), withDecoderLimitConfiguration: HTTPConfiguration.decoderLimits)
                try pipeline.addHandler(HeadFuzzer())
                try pipeline.addHandler(HTTPServerCodec(isEncrypted: false))
                let clock = LoopClock(channel.eventLoop, unixNano: { 1_767_225_600_000_000_000 })
                try pipeline.addHandler(
                    ConnectionDeadlines(limits: configuration.deadlines, clock: clock) { ("text/plain", Array($0.utf8)) })
                try pipeline.addHandler(collector)
            }
        }
        do {
            try channel.pipeline.syncOperations.addHandler(listener)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 4318)).wait()
        } catch {
            fatalError("the channel: \(error)")
        }
        var position = 0
        while position < bytes.count && !collector.isOver && channel.isActive {
            let end = min(bytes.count, position + size)
            do {
                try channel.writeInbound(ByteBuffer(bytes: bytes[position..<end]))
            } catch {
                collector.fail()
            }
            position = end
            channel.embeddedEventLoop.run()
        }
        _ = try? channel.finish(acceptAlreadyClosed: true)
        transcript = collector.transcript
    }
}

/// Notes requests as they come, and answers each.
private final class Collector: ChannelInboundHandler {
    typealias InboundIn = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    var transcript: [String] = []
    private(set) var isOver = false
    private var isInRequest = false
    private var announced: Int?
    private var body: [UInt8] = []

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        require(!isOver, "something behind an error")
        switch unwrapInboundIn(data) {
        case .head(let head):
            require(!isInRequest, "a head inside a request")
            isInRequest = true
            body = []
            begin(head)
        case .body(let buffer):
            require(isInRequest, "a body outside of a request")
            body += Array(buffer.readableBytesView)
        case .end(let trailers):
            require(isInRequest, "an end outside of a request")
            require(announced == nil || announced == body.count, "a body of another length than it says")
            isInRequest = false
            transcript.append("\(body) \(trailers.map { "\($0)" } ?? "")")
            context.write(wrapOutboundOut(.head(HTTPResponse(status: .ok, headerFields: [.contentLength: "0"]))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail()
    }

    /// What was read of an unfinished body before an error depends on how it came.
    func fail() {
        if !isOver { transcript.append("refused") }
        isOver = true
    }

    private func begin(_ head: HTTPRequest) {
        let lengths = head.headerFields[values: .contentLength]
        let isChunked = head.headerFields[.transferEncoding] != nil
        require(Set(lengths).count <= 1, "two lengths")
        require(lengths.isEmpty || !isChunked, "a length and chunks")
        announced = lengths.first.flatMap { Int($0) }
        require(lengths.isEmpty || announced != nil, "a length that is none")
        transcript.append("\(head)")
        examine(Request(head: head))
    }

    private func examine(_ request: Request) {
        _ = RequestContent.mediaType(request)
        _ = RequestContent.answerEncoding(request.headers)
        _ = try? RequestContent.coding(request.headers[.contentEncoding])
        if let bytes = try? RequestContent.announcedBytes(request.headers[.contentLength], limit: 1 << 26) {
            require(0...(1 << 26) ~= bytes, "announced")
        }
        let query = QueryString(request.uri.query)
        _ = try? query.time("from", nowUnixNano: 1_767_225_600_000_000_000)
        _ = try? query.milliseconds("min")
        _ = try? query.integer("limit", 1...1000, fallback: 20)
        for role in [AccessPolicy.Role.ingest, .read] {
            guard (try? access.authorize(request.headers, role)) == true else { continue }
            let token = request.headers[.authorization]?.split(separator: " ", maxSplits: 1).last.map { $0.drop { $0 == " " } }
            require(token == (role == .ingest ? "send" : "read"), "let in without the token")
        }
        _ = access.hosts.allows(request.head.authority)
        _ = try? access.origins.check(request.head)
        if let fields = try? access.origins.preflight(request.head, methods: "POST") {
            require(fields[.accessControlAllowMethods] == "POST", "a preflight that allows more")
        }
        var answer = HTTPFields()
        access.origins.mark(&answer, for: request.head)
    }
}

/// Reads each head as an export request's is read, and holds that to what the general reading says.
private final class HeadFuzzer: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data), let request = HTTPRequest(head, isEncrypted: false) {
            _ = ExportFields(head.headers)
            let fields = ExportFields(HTTPHeaders(request.headerFields.map { ($0.name.rawName, $0.value) }))
            let encoding = RequestContent.mediaType(request.headerFields[.contentType])
            require((fields.encoding == .protobuf) == (encoding == "application/x-protobuf"), "another media type")
            require((fields.encoding == .json) == (encoding == "application/json"), "another media type")
            require(fields.isFromPage == (request.headerFields[.origin] != nil || request.headerFields[.secFetchSite] != nil), "a page")
            let coding = try? RequestContent.coding(fields.contentEncoding)
            require(coding == (try? RequestContent.coding(request.headerFields[.contentEncoding])), "another coding")
        }
        context.fireChannelRead(data)
    }
}
