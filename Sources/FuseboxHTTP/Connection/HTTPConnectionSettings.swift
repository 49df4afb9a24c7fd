import HTTPTypes
package import NIOCore
import NIOHTTP1
import OTLP

/// What all connections of the HTTP/1.1 port share.
package struct HTTPConnectionSettings: Sendable {
    package var limits = DeadlineLimits()
    let pipeline: ExportPipeline
    /// Answers what is asked, rather than sent, by the machine at an address; `nil` when that is not known.
    let question: @Sendable (HTTPRequest, String?) -> Question
    let isEncrypted: Bool

    /// For a server that takes telemetry in and answers no question.
    package init(pipeline: ExportPipeline) {
        self.init(pipeline: pipeline, isEncrypted: false) { head, _ in
            let refusal = Refusal(status: .notFound, code: .notFound, message: "there is nothing at \(head.path ?? "")")
            return Question(answer: StatusTable.response(refusal, .json))
        }
    }

    init(pipeline: ExportPipeline, isEncrypted: Bool, question: @escaping @Sendable (HTTPRequest, String?) -> Question) {
        self.pipeline = pipeline
        self.question = question
        self.isEncrypted = isEncrypted
    }
}

extension HTTPConnectionSettings {
    /// Gives a connection the handlers of HTTP/1.1.
    package func setUp(_ channel: any Channel, _ clock: LoopClock) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withErrorHandling: false,
            // What is written comes from HTTPFields, which holds nothing else.
            withOutboundHeaderValidation: false, withEncoderConfiguration: .init(),
            withDecoderLimitConfiguration: HTTPConfiguration.decoderLimits)
        try pipeline.addHandler(HTTPConnection(self, channel: channel, clock: clock))
    }
}
