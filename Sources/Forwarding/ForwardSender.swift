import OTLP
package import OutboundHTTP
import PrometheusText
package import SpanStore
import TelemetryModel

/// How a request gets to a target. `OutboundHTTP` over sockets; scripts in tests.
package protocol ForwardTransport: AnyObject {
    func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer
}

extension OutboundHTTP: ForwardTransport {
    package func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer { try send(request) }
}

/// Clocks and chance.
package struct ForwardSources: Sendable {
    /// Nanoseconds since 1970.
    package var unixNano: @Sendable () -> Int64
    /// Nanoseconds on a clock that goes forward.
    package var steadyNano: @Sendable () -> Int64
    /// From 0 up to, and without, 1.
    package var chance: @Sendable () -> Double

    package init(
        unixNano: @escaping @Sendable () -> Int64, steadyNano: @escaping @Sendable () -> Int64,
        chance: @escaping @Sendable () -> Double
    ) {
        self.unixNano = unixNano
        self.steadyNano = steadyNano
        self.chance = chance
    }
}

/// Sends to one target what it was not given yet, a request at a time. Used by one thread: each step reads, sends and waits for the answer.
///
/// The store is the queue. A request's ordinals are written down before its first byte goes out, and the cursor moves behind them in the
/// transaction that takes them out again. So after a crash at any point the same request is made again.
package final class ForwardSender {
    /// What a step came to.
    package enum Step: Equatable, Sendable {
        /// Something was done: there may be more at once.
        case worked
        /// Nothing is to be done for so many nanoseconds, unless something comes.
        case idle(Int64)
    }

    /// How often an idle sender looks for what came.
    private static let lookNanoseconds: Int64 = 200_000_000
    private static let errorPauseNanoseconds: Int64 = 1_000_000_000
    /// Shown when the data file cannot be read or written.
    private static let blockedState = "blocked"

    private let plan: ForwardTargetPlan
    private let source: ForwardSource
    private let turns: ReadingTurns
    private let transport: any ForwardTransport
    private let metrics: ForwardMetrics
    private let sources: ForwardSources
    /// Takes a line for the server's log.
    private let report: @Sendable (String) -> Void

    private var journal: ForwardJournal?
    private var walk: OrdinalWalk?
    private var dialect: (any ForwardDialect)?
    private var delivery = DeliveryState()
    private var windows: [ForwardSignal: BatchWindow] = [:]
    private var ages: [ForwardSignal: BatchAge] = [:]
    /// What was read last and waits for more, on the wall clock.
    private var rests: [ForwardSignal: (ordinal: Int64, since: Int64, until: Int64)] = [:]
    /// Of a flight of several requests those that have their answer: after a restart they go again.
    private var partsDone: [ForwardSignal: (bodyHash: Int64, count: Int)] = [:]
    private var epochs: [ForwardSignal: Int64] = [:]
    /// Signals whose flight is not to be sent as it was: half of it goes.
    private var halved: Set<ForwardSignal> = []
    private var told: [ForwardSignal: String] = [:]
    private var toldPhase = DeliveryState.Phase.sending
    private var lastToken: String?
    private let tokenFile: TokenFile?

    package init(
        _ plan: ForwardTargetPlan, source: ForwardSource, turns: ReadingTurns, transport: any ForwardTransport,
        metrics: ForwardMetrics, sources: ForwardSources, limits: DeliveryState.Limits = .init(),
        report: @escaping @Sendable (String) -> Void
    ) {
        self.plan = plan
        self.source = source
        self.turns = turns
        self.transport = transport
        self.metrics = metrics
        self.sources = sources
        self.report = report
        delivery = DeliveryState(limits: limits)
        tokenFile = plan.credentialFile
        for signal in plan.signals {
            for result in ["sent", "refused", "lost"] { _ = metrics.spans.cell(plan.name, signal.rawValue, result) }
        }
    }

    /// One request of each signal at most.
    package func step() -> Step {
        var pause = Self.lookNanoseconds
        var hasWorked = false
        for signal in plan.signals {
            do throws(StoreError) {
                switch try step(signal) {
                case .worked: hasWorked = true
                case .idle(let nanoseconds): pause = min(pause, nanoseconds)
                }
            } catch {
                // The file is another one, or full, or busy, or damaged: it is opened anew, and tried again.
                journal = nil
                walk = nil
                tell(signal, error.message)
                return .idle(Self.errorPauseNanoseconds)
            }
        }
        return hasWorked ? .worked : .idle(max(1, pause))
    }

    private func opened() throws(StoreError) -> ForwardJournal {
        if let journal { return journal }
        let made = try ForwardJournal(source)
        journal = made
        return made
    }

    private func openedWalk() throws(StoreError) -> OrdinalWalk {
        if let walk { return walk }
        let made = try OrdinalWalk(source)
        walk = made
        return made
    }

    private func spoken() throws(StoreError) -> any ForwardDialect {
        if let dialect { return dialect }
        let made: any ForwardDialect
        switch plan.kind {
        case .otlp: made = OTLPDialect(plan)
        case .clickHouse(let database):
            let words = (0..<4).map { _ in UInt32(sources.chance() * 4_294_967_296) }
            let digits =
                SpanID(UInt64(words[0]) << 32 | UInt64(words[1])).hexadecimal
                + SpanID(UInt64(words[2]) << 32 | UInt64(words[3])).hexadecimal
            made = ClickHouseDialect(plan, database, node: try source.node(orElse: digits), report: report)
        }
        dialect = made
        return made
    }

    private func step(_ signal: ForwardSignal) throws(StoreError) -> Step {
        let journal = try opened()
        guard let cursor = try journal.cursor(plan.name, signal), cursor.isConfigured else { return .idle(Self.lookNanoseconds) }
        meet(cursor)
        lookAtToken()
        let now = sources.steadyNano()
        guard !cursor.isPaused, delivery.maySend(now: now) else {
            try note(cursor)
            return .idle(min(Self.lookNanoseconds, max(1, delivery.notBefore.subtractingSaturated(now))))
        }
        if let answer = try ask(cursor) { return try stand(answer, cursor) }
        if let pause = resting(cursor) { return .idle(pause) }
        guard let (cargo, isMadeAgain) = try cargo(cursor) else {
            try note(cursor)
            return .idle(Self.lookNanoseconds)
        }
        if cargo.count == 0 {
            return try advance(cursor, .init(nextOrdinal: cargo.ordinals.upperBound, lost: cargo.missing))
        }
        if let wait = wait(for: cargo, isMadeAgain, ages[signal] ?? BatchAge()) {
            let now = sources.unixNano()
            rests[signal] = (cursor.nextOrdinal, now, now.addingSaturated(wait))
            return .idle(min(wait, Self.lookNanoseconds))
        }
        return try send(cargo, cursor, isMadeAgain)
    }

    /// Takes note of where the cursor is, and whether somebody moved it or began anew.
    private func meet(_ cursor: ForwardCursor) {
        if let known = epochs[cursor.signal], known != cursor.epoch {
            windows[cursor.signal] = nil
            partsDone[cursor.signal] = nil
            rests[cursor.signal] = nil
            halved.remove(cursor.signal)
            delivery.begin()
        }
        epochs[cursor.signal] = cursor.epoch
        let reason =
            cursor.isPaused
            ? "operator" : delivery.phase == .sending || delivery.phase == .waiting ? nil : delivery.phase.rawValue
        metrics.update(plan.name, cursor.signal) { sight in
            sight.nextOrdinal = cursor.nextOrdinal
            sight.pausedReason = reason
            sight.lastSuccessUnixNano = cursor.lastSuccessUnixNano
        }
    }

    private func lookAtToken() {
        guard let tokenFile, delivery.phase == .unauthorized, let token = try? tokenFile.token(), token != lastToken else {
            return
        }
        delivery.credentialChanged()
    }

    // MARK: What is sent

    /// What goes next: what was under way, or what comes behind the cursor; `nil` when there is nothing.
    private func cargo(_ cursor: ForwardCursor) throws(StoreError) -> (Cargo, isMadeAgain: Bool)? {
        let flight = halved.contains(cursor.signal) ? nil : try opened().flight(plan.name, cursor.signal)
        let isMadeAgain = flight.map { $0.ordinals.lowerBound == cursor.nextOrdinal } ?? false
        let range = isMadeAgain ? flight?.ordinals ?? 0..<0 : cursor.nextOrdinal..<Int64.max
        let window = windows[cursor.signal] ?? BatchWindow(most: plan.batchCount)
        guard isMadeAgain || source.nextOrdinal(of: cursor.signal) > cursor.nextOrdinal else {
            metrics.update(plan.name, cursor.signal) { $0.oldestReceivedUnixNano = nil }
            walk?.rest(cursor.signal)
            return nil
        }
        let limits =
            isMadeAgain
            ? OrdinalRunLimits(count: range.count, bytes: .max) : OrdinalRunLimits(count: window.countMax, bytes: plan.batchBytes)
        let cargo = try read(range, limits, cursor.signal, isMadeAgain: isMadeAgain)
        metrics.update(plan.name, cursor.signal) { $0.oldestReceivedUnixNano = cargo.oldestReceivedUnixNano }
        if cargo.ordinals.isEmpty { return nil }
        if isMadeAgain, let flight, flight.bodyHash != cargo.bodyHash {
            // Retention took some of it, or another version wrote it: spans are still told apart by their ids.
            report("forward: what goes to \(plan.name) again is not what went before, ordinals \(range)")
        }
        return (cargo, isMadeAgain)
    }

    private func read(
        _ range: Range<Int64>, _ limits: OrdinalRunLimits, _ signal: ForwardSignal, isMadeAgain: Bool
    ) throws(StoreError) -> Cargo {
        let dialect = try spoken()
        // Of what goes for the first time, fewer may go at once than were read.
        func fewer(_ count: Int?, _ read: Int) -> OrdinalRunLimits? {
            guard !isMadeAgain, let count, count < read else { return nil }
            return OrdinalRunLimits(count: max(1, count), bytes: .max)
        }
        return try turns.whileReading { () throws(StoreError) in
            let walk = try openedWalk()
            switch signal {
            case .traces:
                var run = try walk.spans(range, limits, derived: dialect.derivedColumns)
                if let limits = fewer(dialect.countAtOnce(run), run.places.count) {
                    run = try walk.spans(range, limits, derived: dialect.derivedColumns)
                }
                return dialect.cargo(run)
            case .logs:
                var run = try walk.logs(range, limits)
                if let limits = fewer(dialect.countAtOnce(run), run.places.count) { run = try walk.logs(range, limits) }
                return dialect.cargo(run)
            }
        }
    }

    /// How long what was read and found too little is not read again; `nil` when it is time, or there is enough by now.
    private func resting(_ cursor: ForwardCursor) -> Int64? {
        guard let rest = rests[cursor.signal], rest.ordinal == cursor.nextOrdinal else { return nil }
        let now = sources.unixNano()
        let window = windows[cursor.signal] ?? BatchWindow(most: plan.batchCount)
        guard (rest.since..<rest.until).contains(now),
            source.nextOrdinal(of: cursor.signal).subtractingSaturated(cursor.nextOrdinal) < Int64(window.countMax)
        else {
            rests[cursor.signal] = nil
            return nil
        }
        return min(rest.until - now, Self.lookNanoseconds)
    }

    /// How long a request that is not full waits for more; `nil` when it goes.
    private func wait(for cargo: Cargo, _ isMadeAgain: Bool, _ age: BatchAge) -> Int64? {
        guard !isMadeAgain, cargo.count < plan.batchCount, let received = cargo.oldestReceivedUnixNano,
            cargo.byteCount < plan.batchBytes / 2
        else { return nil }
        let wanted = plan.batchAgeNanoseconds.multipliedSaturated(by: age.factor)
        let waited = sources.unixNano().subtractingSaturated(received)
        // A wall clock that was set back makes nobody wait for ever.
        return waited < 0 || waited >= wanted ? nil : wanted - waited
    }

    // MARK: Sending

    /// What is sent with requests to say who we are; `nil` where nothing is.
    private func credential() throws(TokenFile.Problem) -> String? {
        guard let tokenFile else { return nil }
        let token = try tokenFile.token()
        lastToken = token
        return token
    }

    /// Asks what must be known of the target; what is in the way, `nil` when nothing is.
    private func ask(_ cursor: ForwardCursor) throws(StoreError) -> DeliveryAnswer? {
        let dialect = try spoken()
        guard dialect.hasQuestion(cursor.signal) else { return nil }
        do throws(TokenFile.Problem) {
            guard let question = dialect.question(cursor.signal, credential: try credential()) else { return nil }
            switch post(question, cursor.signal) {
            case .failure(let error): return DeliveryAnswer(error)
            case .success(let came):
                switch dialect.learn(came, cursor.signal, nowUnixNano: sources.unixNano()) {
                // Nothing was sent that could be at fault.
                case .refused(let code, let message): return .misdirected(code: code, message: message)
                case .tooLarge(let message): return .misdirected(code: came.status, message: message)
                case let answer: return answer
                }
            }
        } catch {
            return .unauthorized(code: 0, message: error.message)
        }
    }

    private func post(_ request: OutboundRequest, _ signal: ForwardSignal) -> Result<OutboundAnswer, OutboundError> {
        let labels = (plan.name, signal.rawValue)
        let began = sources.steadyNano()
        defer { metrics.requestDuration.cell(labels.0, labels.1).record(Double(sources.steadyNano() - began) / 1e9) }
        do throws(OutboundError) {
            let came = try transport.post(request)
            metrics.requests.increment(labels.0, labels.1, "\(came.status)")
            return .success(came)
        } catch {
            metrics.requests.increment(labels.0, labels.1, "0")
            return .failure(error)
        }
    }

    private func send(_ cargo: Cargo, _ cursor: ForwardCursor, _ isMadeAgain: Bool) throws(StoreError) -> Step {
        let signal = cursor.signal
        let labels = (plan.name, signal.rawValue)
        let credential: String?
        do throws(TokenFile.Problem) {
            credential = try self.credential()
        } catch {
            return try settle(.unauthorized(code: 0, message: error.message), cargo, cursor)
        }
        let bodyHash = cargo.bodyHash
        if isMadeAgain {
            metrics.retries.increment(labels.0, labels.1)
        } else {
            let flight = ForwardFlight(ordinals: cargo.ordinals, firstSentUnixNano: sources.unixNano(), bodyHash: bodyHash)
            guard try opened().open(flight, of: cursor) else { return .worked }
            halved.remove(signal)
        }
        metrics.update(plan.name, signal) { $0.inFlight = cargo.count }
        defer { metrics.update(plan.name, signal) { $0.inFlight = 0 } }
        metrics.batchCounts.cell(labels.0, labels.1).record(Double(cargo.count))
        let done = partsDone[signal].flatMap { $0.bodyHash == bodyHash ? $0.count : nil } ?? 0
        var answer = DeliveryAnswer.accepted(rejected: 0, message: "")
        for part in cargo.parts.indices.dropFirst(done) {
            answer = try send(cargo, part: part, signal, credential)
            guard case .accepted = answer else { break }
            partsDone[signal] = (bodyHash, part + 1)
        }
        return try settle(answer, cargo, cursor)
    }

    private func send(
        _ cargo: Cargo, part: Int, _ signal: ForwardSignal, _ credential: String?
    ) throws(StoreError) -> DeliveryAnswer {
        let dialect = try spoken()
        guard let request = dialect.request(cargo, part: part, signal, credential: credential) else {
            return .unauthorized(code: 0, message: TokenFile.Problem.shortOfMemory.message)
        }
        metrics.bytes.increment(plan.name, signal.rawValue, by: Int64(request.body.count))
        switch post(request, signal) {
        case .success(let came): return dialect.read(came, signal, nowUnixNano: sources.unixNano())
        case .failure(let error):
            if case .notConnected = error {} else { metrics.ambiguous.increment(plan.name, signal.rawValue) }
            return DeliveryAnswer(error)
        }
    }

    /// What is in the way before anything is sent.
    private func stand(_ answer: DeliveryAnswer, _ cursor: ForwardCursor) throws(StoreError) -> Step {
        let now = sources.steadyNano()
        _ = delivery.take(answer, count: 1, now: now, chance: sources.chance())
        try note(cursor)
        return .idle(min(Self.lookNanoseconds, max(1, delivery.notBefore.subtractingSaturated(now))))
    }

    private func settle(_ answer: DeliveryAnswer, _ cargo: Cargo, _ cursor: ForwardCursor) throws(StoreError) -> Step {
        let now = sources.steadyNano()
        if case .later(ClickHouseAnswer.tooManyPartsCode, _, _) = answer { ages[cursor.signal, default: BatchAge()].widen() }
        let verdict = delivery.take(answer, count: cargo.count, now: now, chance: sources.chance())
        var window = windows[cursor.signal] ?? BatchWindow(most: plan.batchCount)
        defer { windows[cursor.signal] = window }
        let next = cargo.ordinals.upperBound
        switch verdict {
        case .delivered(let rejected):
            window.delivered(cargo.count)
            ages[cursor.signal]?.delivered()
            if let rate = plan.countPerSecond {
                delivery.rest(until: now.addingSaturated(Int64(saturating: Double(cargo.count) / rate * 1e9)))
            }
            var progress = ForwardJournal.Progress(
                nextOrdinal: next, sent: Int64(cargo.count) - rejected, lost: cargo.missing)
            if rejected > 0 {
                progress.refusals = [
                    .init(
                        ordinal: cargo.first?.ordinal ?? cargo.ordinals.lowerBound, count: rejected, code: 200,
                        message: "\(rejected) of \(cargo.count) were not taken: \(delivery.message)")
                ]
            }
            return try advance(cursor, progress)
        case .again:
            try note(cursor)
            return .idle(min(Self.lookNanoseconds, max(1, delivery.notBefore.subtractingSaturated(now))))
        case .half:
            if case .tooLarge = answer {
                window.halve(cargo.count, isAboutSize: true)
            } else {
                window.halve(cargo.count, isAboutSize: false)
            }
            halved.insert(cursor.signal)
            return .worked
        case .aside(let code):
            window.setAside()
            let first = cargo.first
            let refusal = ForwardRefusal(
                ordinal: first?.ordinal ?? cargo.ordinals.lowerBound, count: 1, traceID: first?.trace, spanID: first?.span,
                code: code, message: delivery.message)
            report("forward: \(plan.name) does not take one of its \(cursor.signal.rawValue): \(delivery.message)")
            return try advance(cursor, .init(nextOrdinal: next, lost: cargo.missing, refusals: [refusal]))
        }
    }

    /// Moves the cursor, and counts.
    private func advance(_ cursor: ForwardCursor, _ progress: ForwardJournal.Progress) throws(StoreError) -> Step {
        partsDone[cursor.signal] = nil
        guard try opened().advance(cursor, progress, nowUnixNano: sources.unixNano()) else { return .worked }
        let labels = (plan.name, cursor.signal.rawValue)
        for (result, count) in [("sent", progress.sent), ("refused", progress.refused), ("lost", progress.lost)] where count > 0 {
            metrics.spans.increment(labels.0, labels.1, result, by: count)
        }
        if progress.lost > 0 {
            report(
                "forward: \(progress.lost) \(cursor.signal == .traces ? "spans" : "log records") went before \(plan.name) was given them"
            )
        }
        try note(cursor)
        return .worked
    }

    // MARK: Telling

    /// Puts what the sender does into the file and the log, when it is something else than before.
    private func note(_ cursor: ForwardCursor) throws(StoreError) {
        let state = cursor.isPaused ? "paused" : delivery.phase.rawValue
        let line = "\(state) \(delivery.message)"
        guard told[cursor.signal] != line else { return }
        try opened().note(plan.name, cursor.signal, state: state, message: delivery.message)
        told[cursor.signal] = line
        guard toldPhase != delivery.phase else { return }
        // A first failure is no news: it is tried again in a moment.
        if delivery.phase == .sending, toldPhase != .waiting { report("forward: \(plan.name) takes what it is sent again") }
        if delivery.phase != .sending && delivery.phase != .waiting {
            report("forward: \(plan.name) is \(delivery.phase.rawValue): \(delivery.message)")
        }
        toldPhase = delivery.phase
    }

    /// Says that the file is in the way, where that can be said.
    private func tell(_ signal: ForwardSignal, _ message: String) {
        let line = "\(Self.blockedState) \(message)"
        guard told[signal] != line else { return }
        told[signal] = line
        report("forward: the \(signal.rawValue) for \(plan.name) cannot be read or noted: \(message)")
        do throws(StoreError) {
            try opened().note(plan.name, signal, state: Self.blockedState, message: message)
        } catch {
            // The log has it.
            journal = nil
        }
    }
}
