import GatewayRules
import HTTPTypes
import NIOCore
import TelemetryModel

/// Questions to a backend about its health, and what its answers mean.
enum BackendHealth {
    private static let patience = TimeAmount.seconds(2)
    /// A completion of one token.
    private static let completionPatience = TimeAmount.seconds(10)

    /// Asks, and hands on what came of it, from some event loop.
    static func ask(
        _ question: SupervisionAction.Question, _ shared: GatewayShared, _ backend: Int,
        _ answer: @escaping @Sendable (Sight.Answer) -> Void
    ) {
        let plan = shared.settings.plan.backends[backend]
        var head = UpstreamHeaders.question(
            path(question, plan.kind), to: plan, port: shared.board.port(backend), authorization: nil)
        var body: [UInt8] = []
        if question == .completion {
            body = Array(completion(shared.settings.plan, backend).utf8)
            head.method = .post
            head.headerFields[.contentType] = "application/json"
            head.headerFields[.contentLength] = "\(body.count)"
        }
        shared.ask(head, body, backend, patience: question == .completion ? completionPatience : patience) { result in
            answer(meaning(result, of: question))
        }
    }

    private static func path(_ question: SupervisionAction.Question, _ kind: BackendPlan.Kind) -> String {
        switch question {
        case .slots: "/slots"
        case .completion: "/v1/chat/completions"
        case .health:
            switch kind {
            case .llamaCpp, .vllm, .mlx: "/health"
            case .ollama: "/api/version"
            case .lmStudio, .openAI: "/v1/models"
            }
        }
    }

    private static func completion(_ plan: GatewayPlan, _ backend: Int) -> String {
        let configured = plan.models.first { $0.backends.contains(backend) }?.name ?? ModelPlan.anyName
        let value: JSONValue = [
            "model": .string(plan.backends[backend].upstreamModel ?? configured), "max_tokens": .integer(1),
            "messages": [["role": "user", "content": "."]],
        ]
        return value.line
    }

    private static func meaning(
        _ result: Result<BackendQuestion.Reply, any Error>, of question: SupervisionAction.Question
    ) -> Sight.Answer {
        guard case .success(let reply) = result else { return .nothing }
        switch question {
        case .slots:
            guard reply.status == 200, let slots = SlotList(reply.body) else { return .ready }
            return .slots(isBusy: slots.busy > 0, mark: slots.mark)
        // Whatever it says of the request, it said something.
        case .completion: return .ready
        case .health:
            if reply.status == 503 { return .loading }
            return reply.status < 500 ? .ready : .nothing
        }
    }
}

/// How many calls llama.cpp works on at once, as it says itself: `total_slots` of `GET /props`.
enum SlotQuestion {
    private static let patience = TimeAmount.seconds(2)

    /// Asks where the configuration leaves it to the backend.
    static func ask(_ shared: GatewayShared, _ backend: Int) {
        let plan = shared.settings.plan.backends[backend]
        guard plan.asksForSlots else { return }
        let head = UpstreamHeaders.question("/props", to: plan, port: shared.board.port(backend), authorization: nil)
        shared.ask(head, [], backend, patience: patience) { result in
            guard case .success(let reply) = result,
                case .integer(let slots)? = (try? JSONValue.parse(reply.body[...]))?["total_slots"],
                (1...10_000).contains(slots)
            else { return }
            shared.desk.set(slots: Int(slots), of: backend)
        }
    }
}
