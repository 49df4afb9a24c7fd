import HTTPTypes
import NIOCore
import NIOEmbedded
import OTLP
import TelemetryModel
import Testing

@testable import FuseboxHTTP
@testable import Ingest

struct HTTPConnectionTests {
    /// A request of one span, whose ids are right.
    private static let span: [UInt8] = {
        func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
        let ids = field(1, [UInt8](repeating: 1, count: 16)) + field(2, [UInt8](repeating: 2, count: 8))
        return field(1, field(2, field(2, ids + field(5, Array("work".utf8)))))
    }()

    @Test func anExportIsAnsweredOnceItIsDurableAndNotBefore() throws {
        let talk = try Conversation()
        try talk.post(Self.span)
        #expect(talk.intake.spanCounts == [1])
        #expect(try talk.answers() == "")
        #expect(talk.underWay.allSatisfy { $0 > 0 })
        talk.intake.finish()
        let answer = try talk.answers()
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.contains("\r\ncontent-length: 0\r\n"))
        #expect(answer.contains("\r\ncontent-type: application/x-protobuf\r\n"))
        #expect(answer.contains("\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"))
        #expect(talk.underWay == [0, 0])
        #expect(talk.channel.isActive)
    }

    @Test func pipelinedRequestsAreAnsweredInOrderOneAfterAnother() throws {
        let talk = try Conversation()
        let empty = Conversation.head(0)
        let whole = Conversation.head(Self.span.count)
        try talk.send(whole, Self.span + Array((empty + "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" + whole).utf8) + Self.span)
        // What comes behind waits for the answer before it.
        #expect(talk.intake.spanCounts == [1])
        #expect(try talk.statuses() == [])
        talk.intake.finish()
        #expect(try talk.statuses() == [200, 200, 404])
        #expect(talk.intake.spanCounts == [1, 1])
        talk.intake.finish()
        #expect(try talk.statuses() == [200])
    }

    @Test func aStoreThatTakesNothingIsToldWithWhenToComeAgain() throws {
        let talk = try Conversation()
        try talk.post(Self.span)
        talk.intake.finish(.queueFull)
        let answer = try talk.answers()
        #expect(answer.hasPrefix("HTTP/1.1 503 "))
        #expect(answer.contains("\r\nRetry-After: 1\r\n"))
        #expect(talk.channel.isActive && talk.underWay == [0, 0])
    }

    @Test func aBodyThatIsTooLargeIsRefusedByItsHeadAndItsRestThrownAway() throws {
        let talk = try Conversation(bodyBytesMax: 100)
        try talk.send(Conversation.head(101))
        #expect(try talk.statuses() == [413])
        try talk.send(String(repeating: "x", count: 101))
        #expect(try talk.answers() == "")
        talk.pass(.seconds(1))
        #expect(!talk.channel.isActive)
    }

    @Test func chunksPastTheLimitAreRefused() throws {
        let talk = try Conversation(bodyBytesMax: 100)
        let head = "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n"
        try talk.send(head + "33\r\n" + String(repeating: "x", count: 51) + "\r\n")
        #expect(try talk.statuses() == [])
        try talk.send("32\r\n" + String(repeating: "x", count: 50) + "\r\n")
        #expect(try talk.statuses() == [413])
        #expect(talk.underWay == [0, 0])
    }

    @Test func whoFindsNoRoomIsToldBeforeTheBodyIsSent() throws {
        var limits = AdmissionLimits()
        limits.requestsMax = 1
        let talk = try Conversation(limits: limits)
        let other = talk.admission.client("other")
        var permit = try AdmissionPermit(other, announced: 1)
        try permit.start()
        try talk.send(Conversation.head(10, "Expect: 100-continue\r\n"))
        #expect(try talk.statuses() == [503])
        // The body comes all the same, and the next request is read behind it.
        try talk.send(String(repeating: "x", count: 10))
        _ = consume permit
        try talk.send(Conversation.head(10, "Expect: 100-continue\r\n"))
        #expect(try talk.statuses() == [100])
    }

    @Test func aSlowBodyIsAnsweredWithATimeoutAndTheConnectionEnds() throws {
        let talk = try Conversation()
        try talk.send(Conversation.head(1000) + "x")
        talk.pass(.seconds(29))
        #expect(try talk.statuses() == [])
        talk.pass(.seconds(2))
        #expect(try talk.statuses() == [408])
        #expect(!talk.channel.isActive && talk.underWay == [0, 0])
    }

    @Test func aConnectionWithoutRequestsEndsAfterTheIdleTimeAndNotWhileOneIsStored() throws {
        let talk = try Conversation()
        try talk.post(Self.span)
        talk.pass(.minutes(5))
        #expect(talk.channel.isActive)
        talk.intake.finish()
        #expect(try talk.statuses() == [200])
        talk.pass(.seconds(74))
        #expect(talk.channel.isActive)
        talk.pass(.seconds(2))
        #expect(!talk.channel.isActive)
    }

    @Test func whoLeavesInTheMiddleOfABodyHoldsNothingAnyMore() throws {
        let talk = try Conversation()
        try talk.send(Conversation.head(1000) + "xxx")
        #expect(talk.underWay.contains { $0 > 0 })
        try talk.channel.close().wait()
        #expect(talk.underWay == [0, 0])
    }

    @Test func aServerThatStopsAnswersWhatIsUnderWayAndClosesWhatIsNot() throws {
        let idle = try Conversation()
        idle.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(!idle.channel.isActive)
        let busy = try Conversation()
        try busy.post(Self.span)
        busy.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        #expect(busy.channel.isActive)
        busy.intake.finish()
        let answer = try busy.answers()
        #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.contains("\r\nconnection: close\r\n"))
        busy.pass(.seconds(1))
        #expect(!busy.channel.isActive)
    }

    @Test func aClientThatSaysNothingMoreGetsAnAnswerToEachRequestThatCame() throws {
        let talk = try Conversation()
        let whole = Conversation.head(Self.span.count)
        try talk.send(whole, Self.span + Array((whole).utf8) + Self.span)
        talk.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        talk.intake.finish()
        #expect(try talk.statuses() == [200])
        #expect(talk.channel.isActive)
        talk.intake.finish()
        #expect(try talk.statuses() == [200])
        talk.pass(.seconds(1))
        #expect(!talk.channel.isActive)
    }

    @Test func whatCameBeforeBrokenFramingIsAnswered() throws {
        let talk = try Conversation()
        _ = try? talk.send(Conversation.head(Self.span.count), Self.span + Array("nonsense\r\n\r\n".utf8))
        #expect(try talk.statuses() == [])
        talk.intake.finish()
        #expect(try talk.statuses() == [200])
        talk.pass(.seconds(1))
        #expect(!talk.channel.isActive)
    }

    @Test(arguments: ["/v1/traces?tenant=blue", "/v1/traces?", "/v1/traces"])
    func aQueryBehindThePathIsPassedOver(_ uri: String) throws {
        let talk = try Conversation()
        try talk.send("POST \(uri) HTTP/1.1\r\nHost: a\r\ncontent-TYPE: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
        #expect(try talk.statuses() == [200])
    }

    @Test func brokenFramingIsAnsweredOnceAndTheConnectionEnds() throws {
        let talk = try Conversation()
        _ = try? talk.send("POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n")
        #expect(try talk.statuses() == [400])
        talk.pass(.seconds(1))
        #expect(!talk.channel.isActive && talk.underWay == [0, 0])
    }

    @Test func aChunkThatIsNoneIsAnsweredInTheRequestsOwnEncoding() throws {
        let talk = try Conversation()
        try talk.send(
            "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n")
        _ = try? talk.send("zz\r\n")
        let answer = try talk.answers()
        #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.contains("application/x-protobuf"))
        talk.pass(.seconds(1))
        #expect(!talk.channel.isActive && talk.underWay == [0, 0])
    }

    @Test func headersPastTheLimitAreRefused() throws {
        let talk = try Conversation()
        try talk.send(Conversation.head(0, "X-Filler: " + String(repeating: "x", count: 17 << 10) + "\r\n"))
        #expect(try talk.statuses() == [431])
    }

    @Test func whoMustShowATokenIsAskedForItByTheHead() throws {
        var access = AccessPolicy()
        access.ingestTokens = [TokenDigest(token: "send")]
        let talk = try Conversation(access: access)
        try talk.send(Conversation.head(5) + "xxxxx")
        #expect(try talk.statuses() == [401])
        try talk.post([], "Authorization: Bearer send\r\n")
        #expect(try talk.statuses() == [200])
    }

    @Test func pagesOfOtherOriginsMayNotSend() throws {
        let talk = try Conversation()
        try talk.post([], "Origin: https://elsewhere.example\r\n")
        #expect(try talk.statuses() == [403])
        try talk.post([], "Sec-Fetch-Site: cross-site\r\n")
        #expect(try talk.statuses() == [403])
    }

    // MARK: Questions

    private static func question(_ body: ResponseBody, max bodyBytesMax: Int = 0) -> Question {
        Question(bodyBytesMax: bodyBytesMax, refuse: { StatusTable.response($0, .json) }) { _ in
            return Response(status: .ok, headers: [.contentType: "text/plain"], body: body)
        }
    }

    @Test func aStreamIsWrittenPieceByPieceAndItsEndTold() throws {
        let talk = try Conversation { _ in
            Self.question(
                ResponseBody { writer in
                    try await writer.write(ByteBuffer(string: "one"))
                    try await writer.write(ByteBuffer(string: "two"))
                })
        }
        try talk.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        var answer = ""
        for _ in 0..<10 { answer += try talk.answers() }
        #expect(answer.contains("transfer-encoding: chunked"))
        #expect(answer.hasSuffix("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"))
    }

    @Test func anAnswerToHeadIsAHeadAloneWhateverItsBody() throws {
        let talk = try Conversation { head in
            Self.question(head.path == "/stream" ? ResponseBody { _ in } : ResponseBody(byteBuffer: ByteBuffer(string: "body")))
        }
        try talk.send("HEAD /bytes HTTP/1.1\r\nHost: a\r\n\r\n")
        let bytes = try talk.answers()
        #expect(bytes.contains("\r\ncontent-length: 4\r\n") && bytes.hasSuffix("\r\n\r\n"))
        #expect(talk.channel.isActive)
        try talk.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        let stream = try talk.answers()
        #expect(stream.hasPrefix("HTTP/1.1 200 ") && stream.hasSuffix("\r\n\r\n") && !stream.contains("\r\n0\r\n"))
        talk.pass(.seconds(1))
        #expect(!talk.channel.isActive)
    }

    @Test func aQuestionsBodyIsBoundedByItsRoute() throws {
        let talk = try Conversation { _ in Self.question(ResponseBody(byteBuffer: ByteBuffer(string: "yes")), max: 5) }
        try talk.send("POST /ask HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345")
        #expect(try talk.statuses() == [200])
        try talk.send("POST /ask HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
        #expect(try talk.statuses() == [413])
    }

    @Test func aBodyThatNobodyAskedForIsPassedOver() throws {
        let talk = try Conversation { _ in Self.question(ResponseBody(byteBuffer: ByteBuffer(string: "yes"))) }
        try talk.send("GET /ask HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345GET /ask HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try talk.statuses() + talk.statuses() == [200, 200])
    }

    @Test func aStreamThatIsNotTakenEndsTheConnection() throws {
        let talk = try Conversation { _ in
            Self.question(ResponseBody { writer in while true { try await writer.write(ByteBuffer(string: "more")) } })
        }
        let lock = try WritingLock.add(to: talk.channel)
        try talk.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        talk.channel.embeddedEventLoop.run()
        #expect(lock.held > 0)
        talk.pass(.seconds(29))
        #expect(talk.channel.isActive)
        talk.pass(.seconds(2))
        #expect(!talk.channel.isActive)
    }
}

/// Keeps what is written, as a client that takes nothing does.
private final class WritingLock: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private(set) var held = 0
    private var promises: [EventLoopPromise<Void>] = []

    static func add(to channel: any Channel) throws -> WritingLock {
        let lock = WritingLock()
        try channel.pipeline.syncOperations.addHandler(lock, position: .first)
        return lock
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        held += 1
        if let promise { promises.append(promise) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        for promise in promises { promise.fail(ChannelError.ioOnClosedChannel) }
        promises = []
    }
}
