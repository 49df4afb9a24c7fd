import TelemetryModel

/// Keeps a cluster's objects saying what is true here: a value that reads no clock, throws no dice and sends nothing. It asks for one
/// request at a time, and is told what came of it.
///
/// Nothing is written that was not read before, and each write names the version that was read. So what somebody else made is never
/// overwritten, and who wrote meanwhile is seen.
package struct ClusterReport: Sendable {
    private static let second: Int64 = 1_000_000_000
    /// Between writes of one object, so that a model that flickers does not keep the cluster busy.
    private static let writePause: Int64 = second
    /// What was written is read again so often, and more seldom where there are many objects: somebody may have removed it.
    private static let rereadPause: Int64 = 60 * second
    /// After an answer that the same request would get again.
    private static let refusedPause: Int64 = 60 * second
    /// `Retry-After` is believed up to this.
    private static let retryAfterMax: Int64 = 300 * second

    private enum Knowledge: Equatable {
        case unknown
        case absent
        case present(JSONValue)
        /// There is one of its name that no gateway made.
        case foreign
    }

    private struct Held {
        var knowledge = Knowledge.unknown
        /// Nothing is asked about it before.
        var notBefore = Int64.min
        /// When it is looked at again although nothing changed.
        var dueAt = Int64.min
        /// Refusals of it in a row.
        var failures = 0
        var trouble: String?
        /// While this gateway stops: no more is to be done about it.
        var isSettled = false
        /// While it stops, of a Service: nobody else's slices are there.
        var isUnused = false
    }

    private let plan: ClusterPlan
    /// In the order in which they are written.
    private let objects: [ClusterObject]
    private var held: [ClusterObject: Held] = [:]
    private var ready: [Bool]
    private var pending: ClusterRequest?
    private var isStopping = false
    /// Answers in a row that were none, or told that the server is in trouble.
    private var failures = 0
    private var pausedUntil = Int64.min
    private var serverTrouble: String?

    package init(_ plan: ClusterPlan) {
        self.plan = plan
        objects = plan.models.indices.flatMap { [ClusterObject.service($0), .slice($0)] } + [.lease]
        ready = plan.models.map { _ in false }
    }

    /// Why the cluster does not say what it should; `nil` when nothing is in the way.
    package var trouble: String? { serverTrouble ?? objects.lazy.compactMap { held[$0]?.trouble }.first }

    /// Whether the cluster said all that is true here when it was last asked.
    package var isInSync: Bool {
        trouble == nil
            && objects.allSatisfy { object in
                guard case .present(let value)? = held[object]?.knowledge else { return false }
                return object == .lease || value.covers(object.wanted(plan, isReady: isReady(object)))
            }
    }

    /// Whether each model can be called, by their positions.
    package mutating func set(ready: [Bool]) {
        guard ready.count == self.ready.count else { return }
        self.ready = ready
    }

    /// From now on everything of ours is taken away.
    package mutating func stop() {
        guard !isStopping else { return }
        isStopping = true
        for object in objects {
            // Pauses between writes are for those who stay.
            held[object, default: Held()].notBefore = .min
            held[object]?.isSettled = false
            held[object]?.isUnused = false
        }
    }

    private func isReady(_ object: ClusterObject) -> Bool {
        if case .slice(let model) = object { ready[model] } else { false }
    }

    // MARK: What is next

    /// What to do now. After `.send`, `take` must be called before it is asked again.
    ///
    /// - Parameter unixNano: the time of day, for the lease.
    package mutating func next(at now: Int64, unixNano: Int64) -> ClusterStep {
        if now < pausedUntil { return .wait(until: pausedUntil) }
        // Who stops takes its slices away first, then the Services that nobody needs, and says last that it is gone.
        let order =
            isStopping
            ? plan.models.indices.map(ClusterObject.slice) + plan.models.indices.map(ClusterObject.service) + [.lease] : objects
        var due = Int64.max
        for object in order {
            let own = held[object] ?? Held()
            if isStopping && own.isSettled { continue }
            if now < own.notBefore {
                due = min(due, own.notBefore)
                continue
            }
            if let request = isStopping ? removal(object, own) : upkeep(object, own, now, unixNano) {
                pending = request
                return .send(request)
            }
            // A slice whose Service is not ours has nothing to wait for but that.
            if !isStopping && own.dueAt > now { due = min(due, own.dueAt) }
        }
        if isStopping && due == .max { return .finished }
        return .wait(until: min(due, now.addingSaturated(Self.rereadPause)))
    }

    private mutating func upkeep(_ object: ClusterObject, _ own: Held, _ now: Int64, _ unixNano: Int64) -> ClusterRequest? {
        if case .slice(let model) = object {
            switch held[.service(model)]?.knowledge {
            case .present: break
            // A slice would lead a stranger's callers to us.
            case .foreign: return own.knowledge == .absent ? nil : removal(object, own)
            default: return nil
            }
        }
        switch own.knowledge {
        case .unknown, .foreign: return .read(object)
        case .absent:
            let value =
                object == .lease
                ? object.renewed(plan, isNew: true, unixNano: unixNano) : object.wanted(plan, isReady: isReady(object))
            return .create(object, JSONValue.object([]).merging(value))
        case .present(let value):
            if object == .lease {
                guard now >= own.dueAt else { return nil }
                return .update(object, value.merging(object.renewed(plan, isNew: false, unixNano: unixNano)))
            }
            let wanted = object.wanted(plan, isReady: isReady(object))
            if !value.covers(wanted) { return .update(object, value.merging(wanted)) }
            return now >= own.dueAt ? .read(object) : nil
        }
    }

    private mutating func removal(_ object: ClusterObject, _ own: Held) -> ClusterRequest? {
        switch own.knowledge {
        case .unknown: return .read(object)
        case .absent, .foreign:
            held[object, default: Held()].isSettled = true
            return nil
        case .present(let value):
            if case .service(let model) = object, !own.isUnused { return .listSlices(model) }
            guard let uid = value["metadata"]?["uid"]?.text, let version = value["metadata"]?["resourceVersion"]?.text else {
                held[object, default: Held()].isSettled = true
                return nil
            }
            return .delete(object, uid: uid, version: version)
        }
    }

    // MARK: What came of it

    package mutating func take(_ answer: ClusterAnswer, at now: GatewayMoment) {
        guard let request = pending else { return }
        pending = nil
        var own = held[request.object] ?? Held()
        switch answer {
        case .done(let value): done(request, value, &own, now.nanoseconds)
        case .nothing(let why):
            own.knowledge = .unknown
            pause(for: nil, now, "the API server gave no answer: \(why)")
        case .status(let code, let retryAfter, let message):
            refused(request, code, retryAfter, message, &own, now)
        }
        held[request.object] = own
    }

    private mutating func done(_ request: ClusterRequest, _ value: JSONValue, _ own: inout Held, _ now: Int64) {
        serverAnswered()
        switch request {
        case .read, .create, .update:
            guard ClusterObject.isOurs(value) else {
                own.knowledge = .foreign
                own.trouble =
                    "there is a \(request.object.kind) '\(request.object.name(plan))' that no gateway made; it is left as it is"
                own.notBefore = now.addingSaturated(Self.refusedPause)
                own.dueAt = own.notBefore
                return
            }
            own.knowledge = .present(value)
            own.trouble = nil
            own.dueAt = now.addingSaturated(request.object == .lease ? plan.heartbeatNanoseconds : rereadPause)
            if case .read = request {
                // What was not renewed by us is due at once.
                if request.object == .lease { own.dueAt = now }
            } else {
                own.failures = 0
                if !isStopping { own.notBefore = now.addingSaturated(Self.writePause) }
            }
        case .delete:
            own.knowledge = .absent
            own.isSettled = true
        case .listSlices(let model):
            let mine = ClusterObject.slice(model).name(plan)
            var others = 0
            if case .array(let items)? = value["items"] {
                others = items.count { $0["metadata"]?["name"]?.text != mine }
            }
            own.isUnused = others == 0
            own.isSettled = others > 0
        }
    }

    /// Many objects are read so seldom that it is about one a second.
    private var rereadPause: Int64 { max(Self.rereadPause, Int64(objects.count).multipliedSaturated(by: Self.second)) }

    private mutating func refused(
        _ request: ClusterRequest, _ code: Int, _ retryAfter: Int64?, _ message: String, _ own: inout Held, _ now: GatewayMoment
    ) {
        let text = "\(request.object.kind) '\(request.object.name(plan))': \(code): \(message)"
        switch (code, request) {
        case (404, .read), (404, .update), (404, .delete):
            serverAnswered()
            own.knowledge = .absent
            own.isSettled = isStopping
        // Somebody else wrote, or removed it and made another one; or the version that was read is too old to be known. What is there
        // now is read before anything is written.
        case (409, _), (410, _):
            serverAnswered()
            own.knowledge = .unknown
            own.isUnused = false
            own.failures += 1
            // Who lost a race once goes again at once.
            own.notBefore = now.nanoseconds.addingSaturated(BackendSupervision.backoff(own.failures - 1, now.chance))
            if own.failures > 3 { own.trouble = text }
        // Asked too often, in trouble, or not known there: that is so for every object. A token is read again for each request, so one
        // that was renewed meanwhile is shown the next time.
        case (429, _), (401, _), (500..., _), (408, _):
            own.knowledge = .unknown
            pause(for: retryAfter, now, code == 401 ? "the API server does not know who asks: \(message)" : text)
        // Not allowed, no such namespace, or not taken: the same again has the same answer, until somebody changes something.
        default:
            serverAnswered()
            own.knowledge = .unknown
            own.failures += 1
            own.trouble = text
            own.isSettled = isStopping
            own.notBefore = now.nanoseconds.addingSaturated(Int64(Double(Self.refusedPause) * (0.5 + now.chance / 2)))
        }
    }

    private mutating func serverAnswered() {
        failures = 0
        serverTrouble = nil
    }

    private mutating func pause(for retryAfter: Int64?, _ now: GatewayMoment, _ why: String) {
        failures += 1
        serverTrouble = why
        let wait = max(BackendSupervision.backoff(failures, now.chance), min(retryAfter ?? 0, Self.retryAfterMax))
        pausedUntil = now.nanoseconds.addingSaturated(wait)
    }
}
