import OTLP
package import OutboundHTTP
import PrometheusText
package import SpanStore
import TelemetryModel

/// How a request gets to a target. `OutboundHTTP` over sockets; scripts in tests.
package protocol ForwardTransport: AnyObject {
    func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer
}

extension OutboundHTTP: ForwardTransport {}

/// Clocks and chance.
package struct ForwardSources: Sendable {
    /// Nanoseconds since 1970.
    package var unixNano: @Sendable () -> Int64
    /// Nanoseconds on a clock that goes forward.
    package var steadyNano: @Sendable () -> Int64
    /// From 0 up to, and without, 1.
    package var chance: @Sendable () -> Double

    package init(
        unixNano: @escaping @Sendable () -> Int64, steadyNano: @escaping @Sendable () -> Int64, chance: @escaping @Sendable () -> Double
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
    /// A request may take this long, and a second more for each megabyte.
    private static let timeoutNanoseconds: Int64 = 30_000_000_000
    private static let nanosecondsPerByte: Int64 = 1_000

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
    private var delivery = DeliveryState()
    private var windows: [ForwardSignal: BatchWindow] = [:]
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
        tokenFile = plan.tokenFile.map { TokenFile(path: $0) }
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
        guard let (cargo, isMadeAgain) = try cargo(cursor) else {
            try note(cursor)
            return .idle(Self.lookNanoseconds)
        }
        if cargo.count == 0 {
            return try advance(cursor, .init(nextOrdinal: cargo.ordinals.upperBound, lost: cargo.missing))
        }
        if let wait = wait(for: cargo, isMadeAgain) { return .idle(min(wait, Self.lookNanoseconds)) }
        return try send(cargo, cursor, isMadeAgain)
    }

    /// Takes note of where the cursor is, and whether somebody moved it or began anew.
    private func meet(_ cursor: ForwardCursor) {
        if let known = epochs[cursor.signal], known != cursor.epoch {
            windows[cursor.signal] = nil
            halved.remove(cursor.signal)
            delivery.begin()
        }
        epochs[cursor.signal] = cursor.epoch
        let reason = cursor.isPaused ? "operator" : delivery.phase == .sending || delivery.phase == .waiting ? nil : delivery.phase.rawValue
        metrics.update(plan.name, cursor.signal) { sight in
            sight.nextOrdinal = cursor.nextOrdinal
            sight.pausedReason = reason
            sight.lastSuccessUnixNano = cursor.lastSuccessUnixNano
        }
    }

    private func lookAtToken() {
        guard let tokenFile, delivery.phase == .unauthorized, let token = try? tokenFile.token(), token != lastToken else { return }
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
        let cargo = try read(range, limits, cursor.signal)
        metrics.update(plan.name, cursor.signal) { $0.oldestReceivedUnixNano = cargo.oldestReceivedUnixNano }
        if cargo.ordinals.isEmpty { return nil }
        if isMadeAgain, let flight, flight.bodyHash != cargo.bodyHash {
            // Retention took some of it, or another version wrote it: spans are still told apart by their ids.
            report("forward: what goes to \(plan.name) again is not what went before, ordinals \(range)")
        }
        return (cargo, isMadeAgain)
    }

    private func read(_ range: Range<Int64>, _ limits: OrdinalRunLimits, _ signal: ForwardSignal) throws(StoreError) -> Cargo {
        try turns.whileReading { () throws(StoreError) in
            let walk = try openedWalk()
            switch signal {
            case .traces: return Cargo(try walk.spans(range, limits), leavesOutToldByLog: plan.signals.contains(.logs))
            case .logs: return Cargo(try walk.logs(range, limits))
            }
        }
    }

    /// How long a request that is not full waits for more; `nil` when it goes.
    private func wait(for cargo: Cargo, _ isMadeAgain: Bool) -> Int64? {
        guard !isMadeAgain, cargo.count < plan.batchCount, let received = cargo.oldestReceivedUnixNano,
            cargo.body.count < plan.batchBytes / 2
        else { return nil }
        let age = sources.unixNano().subtractingSaturated(received)
        // A wall clock that was set back makes nobody wait for ever.
        return age < 0 || age >= plan.batchAgeNanoseconds ? nil : plan.batchAgeNanoseconds - age
    }

    // MARK: Sending

    private func send(_ cargo: Cargo, _ cursor: ForwardCursor, _ isMadeAgain: Bool) throws(StoreError) -> Step {
        let signal = cursor.signal
        let labels = (plan.name, signal.rawValue)
        let request: OutboundRequest
        do throws(TokenFile.Problem) {
            guard let made = try self.request(cargo, signal) else {
                throw .unreadable("memory is short: a body could not be compressed")
            }
            request = made
        } catch {
            return try settle(.unauthorized(code: 0, message: error.message), cargo, cursor)
        }
        if isMadeAgain {
            metrics.retries.increment(labels.0, labels.1)
        } else {
            let flight = ForwardFlight(
                ordinals: cargo.ordinals, firstSentUnixNano: sources.unixNano(), bodyHash: cargo.bodyHash)
            guard try opened().open(flight, of: cursor) else { return .worked }
            halved.remove(signal)
        }
        metrics.update(plan.name, signal) { $0.inFlight = cargo.count }
        defer { metrics.update(plan.name, signal) { $0.inFlight = 0 } }
        metrics.batchCounts.cell(labels.0, labels.1).record(Double(cargo.count))
        metrics.bytes.increment(labels.0, labels.1, by: Int64(request.body.count))
        let began = sources.steadyNano()
        let answer: DeliveryAnswer
        do throws(OutboundError) {
            let came = try transport.post(request)
            metrics.requests.increment(labels.0, labels.1, "\(came.status)")
            answer = DeliveryAnswer(came, nowUnixNano: sources.unixNano())
        } catch {
            metrics.requests.increment(labels.0, labels.1, "0")
            if case .notConnected = error {} else { metrics.ambiguous.increment(labels.0, labels.1) }
            answer = DeliveryAnswer(error)
        }
        metrics.requestDuration.cell(labels.0, labels.1).record(Double(sources.steadyNano() - began) / 1e9)
        return try settle(answer, cargo, cursor)
    }

    /// The request; `nil` when memory is short.
    private func request(_ cargo: Cargo, _ signal: ForwardSignal) throws(TokenFile.Problem) -> OutboundRequest? {
        guard let body = Compression.compress(cargo.body, plan.compression) else { return nil }
        var headers = [("Content-Type", "application/x-protobuf"), ("User-Agent", "fusebox")]
        if plan.compression != .identity { headers.append(("Content-Encoding", plan.compression.rawValue)) }
        if let tokenFile {
            let token = try tokenFile.token()
            lastToken = token
            headers.append(("Authorization", "Bearer \(token)"))
        }
        headers += plan.headers.map { ($0.name, $0.value) }
        return OutboundRequest(
            path: "/v1/\(signal.rawValue)", headers: headers.map { (name: $0.0, value: $0.1) }, body: body,
            timeoutNanoseconds: Self.timeoutNanoseconds + Int64(body.count) * Self.nanosecondsPerByte)
    }

    private func settle(_ answer: DeliveryAnswer, _ cargo: Cargo, _ cursor: ForwardCursor) throws(StoreError) -> Step {
        let now = sources.steadyNano()
        let verdict = delivery.take(answer, count: cargo.count, now: now, chance: sources.chance())
        var window = windows[cursor.signal] ?? BatchWindow(most: plan.batchCount)
        defer { windows[cursor.signal] = window }
        let next = cargo.ordinals.upperBound
        switch verdict {
        case .delivered(let rejected):
            window.delivered(cargo.count)
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
        guard try opened().advance(cursor, progress, nowUnixNano: sources.unixNano()) else { return .worked }
        let labels = (plan.name, cursor.signal.rawValue)
        for (result, count) in [("sent", progress.sent), ("refused", progress.refused), ("lost", progress.lost)] where count > 0 {
            metrics.spans.increment(labels.0, labels.1, result, by: count)
        }
        if progress.lost > 0 {
            report(
                "forward: \(progress.lost) \(cursor.signal == .traces ? "spans" : "log records") went before \(plan.name) was given them")
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
