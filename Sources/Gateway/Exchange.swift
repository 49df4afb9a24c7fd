import FuseboxHTTP
import GatewayRules
import HTTPTypes
import Ingest
import NIOCore
import PrometheusText
import TelemetryModel

/// One request from the moment that its body is there until it is answered and told. Lives on its client's event loop.
final class Exchange: UpstreamUser {
    /// What came before the first token, or of an error, is held back up to this many bytes: the call can still be repeated or refused.
    private static let heldBytesMax = 64 << 10
    /// Of an answer that is not streamed, read for its tokens. A longer one goes by unread.
    private static let answerBytesMax = 8 << 20

    let shared: GatewayShared
    let client: ClientConnection
    let request: ModelRequest
    let head: HTTPRequest
    let model: Int
    var record: CallRecord
    let place: IngestPlace
    private let startUptime = GatewaySources.uptimeNanoseconds()

    var ticket: Ticket?
    private(set) var grant: Grant?
    private var fuses: CallFuses?
    var fuseTimer: Scheduled<Void>?
    private var fuseTimerAt = Int64.max
    var upstream: UpstreamHandler?
    /// Counts attempts, so that what an earlier one still brings is told apart.
    private var attemptNumber = 0
    var answer = Answer()
    /// The connection of the last attempt was closed by us before its answer was whole.
    var wasCut = false
    var isOver = false

    init(
        _ shared: GatewayShared, _ client: ClientConnection, _ head: HTTPRequest, _ request: ModelRequest, model: Int,
        record: CallRecord, place: IngestPlace
    ) {
        self.shared = shared
        self.client = client
        self.head = head
        self.request = request
        self.model = model
        self.record = record
        self.place = place
    }

    var plan: GatewayPlan { shared.settings.plan }
    var eventLoop: any EventLoop { client.eventLoop }
    /// Nanoseconds since 1970, by the clock that fuses burn by.
    var unixNano: Int64 {
        record.startTimeUnixNano &+ (GatewaySources.uptimeNanoseconds() &- startUptime)
    }

    // MARK: The rules' word

    func begin() {
        let arrival = shared.desk.arrive(
            model: model, patience: Self.patience(head), NIOLoopBound(self, eventLoop: eventLoop))
        ticket = arrival.ticket
        record.queueDepth = arrival.depth
        if let action = arrival.action { told(action) }
    }

    /// What the client says of its own time limit: OpenAI's clients send it in seconds.
    private static func patience(_ head: HTTPRequest) -> Int64? {
        [HTTPField.Name.stainlessTimeout, .stainlessReadTimeout].compactMap { name in
            head.headerFields[name].flatMap(UpstreamHeaders.nanoseconds)
        }.min()
    }

    func told(_ action: GatewayAction) {
        guard !isOver else { return }
        switch action {
        case .start(_, let grant): granted(grant)
        case .refuse(_, let refusal):
            ticket = nil
            refuse(refusal)
        case .giveUp: break
        }
    }

    private func granted(_ grant: Grant) {
        self.grant = grant
        if fuses == nil {
            let limits = plan.models[model].fuses
            fuses = CallFuses(
                limits, isStreamed: request.isStreamed, promptTokens: request.promptTokens,
                grantedAt: GatewaySources.uptimeNanoseconds())
            record.grantTimeUnixNano = unixNano
            shared.metrics.queueWait(plan.models[model].name, unixNano &- record.startTimeUnixNano)
        }
        record.backend = grant.backend
        attemptNumber += 1
        guard grant.delayNanoseconds > 0 else { return attempt() }
        let number = attemptNumber
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .nanoseconds(grant.delayNanoseconds)) {
            let exchange = bound.value
            if !exchange.isOver && exchange.attemptNumber == number { exchange.attempt() }
        }
    }

    // MARK: An attempt

    private func attempt(isFresh: Bool = false) {
        guard let grant else { return }
        answer = Answer()
        record.attemptCount += 1
        if record.attempts.count < CallRecord.attemptsMax {
            record.attempts.append(
                .init(
                    spanID: SpanID(shared.nonZeroRandom()), backend: grant.backend, port: shared.board.port(grant.backend),
                    startTimeUnixNano: unixNano))
        }
        fuses?.connects(at: GatewaySources.uptimeNanoseconds())
        guard let pool = shared.pool(eventLoop) else { return fail(.connectFailed, "no event loop of the gateway's") }
        if !isFresh, let kept = pool.takeKept(grant.backend) { return send(kept) }
        let limit = plan.models[model].fuses.connectNanoseconds
        let number = attemptNumber
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        // The fuse is the limit; the system's own stands a little above it.
        pool.connect(grant.backend, timeout: .nanoseconds(limit.addingReportingOverflow(10_000_000_000).partialValue))
            .whenComplete {
                result in
                let exchange = bound.value
                let isWanted = !exchange.isOver && exchange.attemptNumber == number && exchange.upstream == nil
                switch result {
                case .success(let handler):
                    if isWanted { exchange.send(handler) } else { handler.close() }
                case .failure(let error):
                    if isWanted { exchange.fail(.connectFailed, ConnectionErrors.text(error)) }
                }
            }
        armFuse()
    }

    private func send(_ handler: UpstreamHandler) {
        guard let grant else { return handler.close() }
        wasCut = false
        upstream = handler
        handler.user = self
        fuses?.connected()
        let backend = plan.backends[grant.backend]
        let body = request.body(for: backend)
        let context = TraceContext(traceID: record.traceID, parentSpanID: record.callSpanID, flags: record.flags)
        let spanID = record.attempts.last?.spanID ?? record.callSpanID
        handler.send(
            UpstreamHeaders.request(
                head, to: backend, port: shared.board.port(grant.backend), path: record.path, bodyCount: body.count,
                traceparent: context.traceparent(spanID),
                passesAuthorization: shared.settings.access.ingestTokens.isEmpty), body)
        armFuse()
    }

    /// Closes the attempt's account.
    private func endAttempt(errorType: String? = nil) {
        attemptNumber += 1
        guard let last = record.attempts.indices.last, record.attempts[last].endTimeUnixNano == 0 else { return }
        record.attempts[last].endTimeUnixNano = unixNano
        record.attempts[last].errorType = errorType
    }

    /// The connection is of no more use to this call.
    private func letGo(keeping: Bool) {
        guard let handler = upstream else { return }
        upstream = nil
        handler.user = nil
        wasCut = !keeping && !answer.isEnded
        if keeping, let grant, let pool = shared.pool(eventLoop) {
            pool.keep(handler, for: grant.backend)
        } else {
            handler.close()
        }
    }

    // MARK: Fuses

    private func armFuse() {
        guard let next = fuses?.next, next.at < fuseTimerAt else { return }
        fuseTimer?.cancel()
        fuseTimerAt = next.at
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        fuseTimer = eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(clamping: next.at))) {
            bound.value.lookAtFuses()
        }
    }

    /// - Parameter isSecond: whether what the system has for us was read since the fuse blew: it may be us who are late.
    private func lookAtFuses(isSecond: Bool = false) {
        fuseTimerAt = .max
        guard !isOver else { return }
        // While the client does not take what there is, the backend is not the one that is late.
        if answer.isCommitted && !client.isWritable { fuses?.token(at: GatewaySources.uptimeNanoseconds()) }
        guard let fuse = fuses?.blown(at: GatewaySources.uptimeNanoseconds()) else { return armFuse() }
        guard !isSecond else { return blow(fuse) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        fuseTimer = eventLoop.scheduleTask(in: secondLook) { bound.value.lookAtFuses(isSecond: true) }
    }

    /// How long after a fuse's end it counts as blown: twice as long as we were late to see it, so that what waits is read first.
    private var secondLook: TimeAmount {
        let late = GatewaySources.uptimeNanoseconds() &- (fuses?.next?.at ?? 0)
        return .nanoseconds(min(max(late &* 2, 5_000_000), 5_000_000_000))
    }

    private func blow(_ fuse: Fuse) {
        let limits = plan.models[model].fuses
        let seconds: (Int64?) -> Double = { Double($0 ?? 0) / 1e9 }
        switch fuse {
        case .connect: fail(.fuse(.connect), "no connection within \(seconds(limits.connectNanoseconds)) s")
        case .firstToken:
            let limit = limits.firstToken(promptTokens: request.promptTokens)
            burn(fuse, .firstTokenTimeout(backend: backendName, seconds: seconds(limit)))
        case .gap: burn(fuse, .gapTimeout(backend: backendName, seconds: seconds(limits.gapNanoseconds)))
        case .answer: burn(fuse, .answerTimeout(backend: backendName, seconds: seconds(limits.answerNanoseconds)))
        case .total: burn(fuse, .totalTimeout(backend: backendName, seconds: seconds(limits.totalNanoseconds)))
        }
    }

    private func burn(_ fuse: Fuse, _ refusal: GatewayRefusal) {
        endAttempt(errorType: refusal.code)
        letGo(keeping: false)
        stop(refusal, Judgement(.fuse(fuse)).evidence)
    }

    var backendName: String { grant.map { plan.backends[$0.backend].name } ?? "" }

    // MARK: What the backend says

    func received(_ part: HTTPResponsePart, from handler: UpstreamHandler) {
        guard handler === upstream, !isOver else { return }
        if let grant { shared.board.brought(grant.backend) }
        switch part {
        case .head(let response): received(response)
        case .body(let buffer): received(Array(buffer.readableBytesView))
        case .end: receivedEnd()
        }
    }

    private func received(_ response: HTTPResponse) {
        answer.head = response
        if let last = record.attempts.indices.last { record.attempts[last].status = response.status.code }
        switch response.status.code {
        case 200..<300:
            answer.way = .passing
            let type = response.headerFields[.contentType]?.lowercased() ?? ""
            if type.hasPrefix(request.dialect.streamType) {
                let removes = grant.map { request.addsUsage(plan.backends[$0.backend]) } ?? false
                answer.events = EventStreamReader(removesUsage: removes, request.dialect)
            }
        case 429, 500..<600: answer.way = .collecting
        default:
            answer.way = .passing
            commit()
        }
    }

    private func received(_ bytes: [UInt8]) {
        if answer.way == .collecting {
            let room = Self.heldBytesMax - answer.held.count
            answer.held += bytes.prefix(max(0, room))
            return
        }
        guard answer.events != nil else { return receivedPlain(bytes) }
        let passed = answer.events?.read(bytes) ?? EventStreamReader.Passed(bytes: bytes)
        answer.held += passed.bytes
        if passed.hasToken { receivedToken() }
        let isDue = answer.hasToken || answer.events?.isDone == true || request.wantsProgress
        if isDue || answer.held.count > Self.heldBytesMax { commit() }
        if answer.isCommitted { writeHeld() }
    }

    private func receivedPlain(_ bytes: [UInt8]) {
        receivedToken()
        commit()
        if answer.whole.count + bytes.count <= Self.answerBytesMax && answer.head.status.kind == .successful {
            answer.whole += bytes
        } else {
            answer.whole = []
        }
        client.write(body: bytes)
    }

    private func receivedToken() {
        fuses?.token(at: GatewaySources.uptimeNanoseconds())
        guard !answer.hasToken else { return }
        answer.hasToken = true
        armFuse()
        guard answer.head.status.kind == .successful, request.isStreamed else { return }
        record.firstTokenTimeUnixNano = unixNano
        if let grant = record.grantTimeUnixNano {
            shared.metrics.firstToken(plan.models[model].name, backendName, unixNano &- grant)
        }
        let budget = plan.models[model].fuses.firstToken(promptTokens: request.promptTokens)
        if let ticket { shared.desk.firstToken(ticket, budget: budget) }
    }

    private func receivedEnd() {
        answer.isEnded = true
        if answer.way == .collecting { return collected() }
        // What never ended of its last event may hold its end.
        if let rest = answer.events?.finish() { answer.held += rest }
        if let events = answer.events, !events.isDone {
            return brokeOff(events.failure ?? "it ended without its last event")
        }
        if let events = answer.events {
            record.facts = events.facts
        } else if !answer.whole.isEmpty {
            record.facts.take(answer: answer.whole, request.dialect)
        }
        commit()
        writeHeld()
        let status = answer.head.status.code
        endAttempt()
        letGo(keeping: UpstreamHeaders.isReusable(answer.head))
        let isGood = answer.head.status.kind == .successful
        conclude(isGood ? .ok : .backendError(status: status), isGood ? .success : .nothing)
        client.endAnswer()
    }

    /// An error's body is there: what it means decides what is done.
    private func collected() {
        let status = answer.head.status.code
        let text = String(decoding: answer.held, as: UTF8.self)
        let isLoading = status == 503 && text.contains("Loading model")
        letGo(keeping: UpstreamHeaders.isReusable(answer.head))
        fail(.status(status, isLoading: isLoading), "it answered \(status)", isLoading: isLoading)
    }

    /// The backend ended the connection, in or before an answer.
    func upstreamClosed(_ handler: UpstreamHandler, _ error: (any Error)?) {
        guard handler === upstream, !isOver else { return }
        upstream = nil
        let reason = error.map { "\($0)" } ?? "the connection was closed"
        switch answer.way {
        case .none where handler.isReused:
            // It closed the connection before it knew of this call.
            endAttempt(errorType: "connection_closed")
            if let grant { shared.pool(eventLoop)?.dropAll(grant.backend) }
            attempt(isFresh: true)
        case .none: fail(.brokenBeforeAnswer, reason)
        case .collecting: collected()
        case .passing: brokeOff(reason, wasClosed: true)
        }
    }

    /// A successful answer ended too early.
    private func brokeOff(_ reason: String, wasClosed: Bool = false) {
        letGo(keeping: false)
        // A stream that told of its failure is not repeated: it ran, and what it said is the client's to hear.
        guard answer.isCommitted || answer.events?.failure != nil else { return fail(.brokenBeforeAnswer, reason) }
        record.facts = answer.events?.facts ?? record.facts
        endAttempt(errorType: "broken")
        stop(.streamBroken(backend: backendName, reason), judgement(.brokenAnswer(wasClosed: wasClosed)).evidence)
    }

    /// Bytes of one go are all there.
    func readIsComplete(_ handler: UpstreamHandler) {
        guard handler === upstream else { return }
        client.flush()
        if client.isWritable { handler.read() }
    }

    /// The client takes bytes again.
    func clientIsWritable() {
        guard let upstream else { return }
        if answer.hasToken { fuses?.token(at: GatewaySources.uptimeNanoseconds()) }
        upstream.read()
    }

    // MARK: Failures

    /// The attempt failed before a byte of an answer went out.
    private func fail(_ end: AttemptEnd, _ reason: String, isLoading: Bool = false) {
        let judgement = judgement(end)
        endAttempt(errorType: end.errorType)
        letGo(keeping: false)
        guard let ticket else { return }
        if judgement.retry == .limited || judgement.retry == .lost {
            shared.metrics.failures.increment(backendName, end.errorType)
        }
        let busy = answer.head.headerFields[.retryAfter].flatMap(UpstreamHeaders.nanoseconds)
        switch shared.desk.fail(ticket, judgement, isLoading: isLoading, busyNanoseconds: busy) {
        case .start(_, let grant):
            shared.metrics.retries.increment(plan.models[model].name, end.errorType)
            granted(grant)
        case .refuse(_, let refusal):
            self.ticket = nil
            refuse(refusal)
        case .giveUp: giveUp(reason)
        // It waits again; the slot, and with it the fuses, come anew.
        case nil: fuses = nil
        }
    }

    private func judgement(_ end: AttemptEnd) -> Judgement {
        Judgement(end, isSupervised: grant.map { plan.backends[$0.backend].process != nil } ?? false)
    }

    private func giveUp(_ reason: String) {
        guard answer.way == .collecting else { return stop(.upstreamFailed(backend: backendName, reason), .nothing) }
        // The backend's own words say more than ours.
        let status = answer.head.status.code
        record.status = status
        conclude(.backendError(status: status), .nothing)
        client.respond(UpstreamHeaders.response(answer.head, marks, keepsLength: false), answer.held)
    }

    private func refuse(_ refusal: GatewayRefusal) {
        if case .breakerOpen(let name, _) = refusal { record.backend = plan.backends.firstIndex { $0.name == name } }
        stop(refusal, .nothing)
    }

    /// Ends the request with the gateway's own word: as an answer, or as the last event of one that has begun.
    private func stop(_ refusal: GatewayRefusal, _ evidence: Evidence) {
        let isBegun = answer.isCommitted
        if !isBegun { record.status = refusal.status }
        conclude(.refused(refusal), evidence)
        if !isBegun { return client.refuse(refusal, marks) }
        if answer.events != nil { client.write(body: Array(refusal.event(request.dialect).utf8)) }
        client.breakOff(isStream: answer.events != nil)
    }

    /// The server stops, and the call had its time.
    func serverStops() {
        guard !isOver else { return }
        endAttempt(errorType: "stopping")
        letGo(keeping: false)
        stop(.stopping, .nothing)
    }

    /// The client went away.
    func clientLeft() {
        guard !isOver else { return }
        endAttempt(errorType: "cancelled")
        let drains = drain()
        letGo(keeping: false)
        record.facts = answer.events?.facts ?? record.facts
        if drains { ticket = nil }
        conclude(.cancelled, nil)
    }

    // MARK: The answer

    private var marks: AnswerMarks {
        let wait = (record.grantTimeUnixNano ?? unixNano) &- record.startTimeUnixNano
        return AnswerMarks(traceID: record.traceID, backend: backendName, queueMilliseconds: max(0, wait / 1_000_000))
    }

    /// From here on the answer goes to the client, and nothing is repeated.
    private func commit() {
        guard !answer.isCommitted else { return }
        answer.isCommitted = true
        record.status = answer.head.status.code
        client.write(head: UpstreamHeaders.response(answer.head, marks, keepsLength: answer.events == nil))
    }

    private func writeHeld() {
        guard !answer.held.isEmpty else { return }
        client.write(body: answer.held)
        answer.held = []
    }

}

@available(*, unavailable)
extension Exchange: Sendable {}
