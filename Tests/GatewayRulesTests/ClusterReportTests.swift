import GatewayRules
import TelemetryModel
import Testing

/// What a cluster is told, against a cluster that answers as it likes.
struct ClusterReportTests {
    private static let second: Int64 = 1_000_000_000

    @Test(arguments: 0..<100)
    func whateverTheClusterAnswersItSaysWhatIsTrueInTheEndAndNobodyElsesObjectsAreTouched(_ seed: Int) {
        var history = ClusterHistory(seed: UInt64(seed))
        history.world.isTroubled = true
        for _ in 0..<120 { history.step() }
        history.world.isTroubled = false
        history.run(for: 400 * Self.second)
        history.checkThatItIsTrue()
        history.turn()
        history.run(for: 5 * Self.second)
        history.checkThatItIsTrue()
        history.checkThatItIsQuiet()
        history.stop()
        #expect(history.breaches == [])
    }

    @Test func aModelsServiceIsCalledAfterItAndNoTwoAreCalledAlike() {
        let models = [
            "llama-3.3-70b-q4", "llama-3-3-70b-q4", "*", "any", "Qwen/Qwen3", "qwen-qwen3", "é", "",
            String(repeating: "m", count: 200),
        ]
        let plan = ClusterPlan(namespace: "n", address: "fd00::1", port: 4320, models: models)
        let names = models.indices.map { ClusterObject.service($0).name(plan) }
        #expect(Set(names).count == names.count)
        #expect(names[1] == "model-llama-3-3-70b-q4" && names[2] == "model-any" && names[5] == "model-qwen-qwen3")
        #expect(names[0].hasPrefix("model-llama-3-3-70b-q4-"))
        for name in names {
            #expect(name.wholeMatch(of: /[a-z]([-a-z0-9]{0,61}[a-z0-9])?/) != nil, "\(name)")
        }
        for index in models.indices {
            let name = ClusterObject.slice(index).name(plan)
            #expect(name.wholeMatch(of: /[a-z0-9]([-a-z0-9]*[a-z0-9])?/) != nil && name.utf8.count <= 253, "\(name)")
        }
        #expect(ClusterObject.lease.name(plan) == "model-gateway-fd00--1-4320")
    }

    @Test func whatOthersPutIntoAnObjectStaysThere() throws {
        var report = ClusterReport(ClusterPlan(namespace: "n", address: "10.0.0.7", port: 4320, models: ["m"]))
        guard case .send(.read(.service(0))) = report.next(at: 0, unixNano: 0) else { return #expect(Bool(false)) }
        let text = """
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"model-m","uid":"u","resourceVersion":"7","annotations":{"theirs":"1"},
            "labels":{"app.kubernetes.io/managed-by":"fusebox-gateway","team":"a"}},
            "spec":{"clusterIP":"10.96.0.3","selector":{"app":"x"},"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":80}]}}
            """
        report.take(.done(try JSONValue.parse(Array(text.utf8)[...])), at: GatewayMoment(nanoseconds: 0, chance: 0))
        guard case .send(.update(.service(0), let written)) = report.next(at: 0, unixNano: 0) else { return #expect(Bool(false)) }
        #expect(written["metadata"]?["resourceVersion"]?.text == "7")
        #expect(
            written["metadata"]?["labels"]?["team"]?.text == "a" && written["metadata"]?["annotations"]?["theirs"]?.text == "1")
        #expect(written["spec"]?["clusterIP"]?.text == "10.96.0.3" && written["spec"]?["selector"] == nil)
        #expect(
            written["spec"]?["ports"] == [
                ["name": "http", "protocol": "TCP", "port": .integer(4320), "targetPort": .integer(4320)]
            ])
    }

    @Test(
        arguments: [
            (200, nil, "{}", ClusterAnswer.done([:])), (200, nil, "x", .nothing("the API server's answer is no JSON")),
            (429, "7", "{\"message\":\"slow\"}", .status(429, retryAfterNanoseconds: 7_000_000_000, "slow")),
            (
                429, nil, "{\"details\":{\"retryAfterSeconds\":2}}",
                .status(429, retryAfterNanoseconds: 2_000_000_000, "no word about it")
            ),
            (503, "99999999999999999999", "", .status(503, retryAfterNanoseconds: nil, "no word about it")),
        ] as [(Int, String?, String, ClusterAnswer)])
    func anAnswerIsReadByItsStatusAndWhatItSays(_ status: Int, _ retryAfter: String?, _ body: String, _ meaning: ClusterAnswer) {
        #expect(ClusterAnswer(status: status, retryAfter: retryAfter, body: Array(body.utf8)) == meaning)
    }
}

/// A report under a random cluster, and an account of what it must not do.
private struct ClusterHistory {
    private static let second: Int64 = 1_000_000_000

    private var luck: Luck
    private var report: ClusterReport
    private let plan: ClusterPlan
    var world: ClusterWorld
    private var now: Int64 = 0
    private var ready: [Bool]
    private var times: [Int64] = []
    private(set) var breaches: [String] = []

    init(seed: UInt64) {
        var luck = Luck(seed)
        var plan = ClusterPlan(
            namespace: "n", address: "10.0.0.7", port: 4320, models: (0..<Int.random(in: 1...3, using: &luck)).map { "m\($0)" })
        if Bool.random(using: &luck) { plan.owner = .init(pod: "p", uid: "u") }
        self.plan = plan
        report = ClusterReport(plan)
        ready = plan.models.map { _ in Bool.random(using: &luck) }
        world = ClusterWorld(plan, &luck)
        self.luck = luck
    }

    /// One request or wait, and perhaps a change beside it.
    mutating func step() {
        if world.isTroubled { now += Int64.random(in: 0...(2 * Self.second), using: &luck) }
        if world.isTroubled && Int.random(in: 0..<6, using: &luck) == 0 { turn() }
        if world.isTroubled && Int.random(in: 0..<6, using: &luck) == 0 { world.meddle(&luck) }
        _ = ask()
    }

    /// - Returns: whether there was something to do.
    private mutating func ask() -> Bool {
        report.set(ready: ready)
        switch report.next(at: now, unixNano: now) {
        case .send(let request):
            times.append(now)
            if times.count > 200, let first = times.dropLast(200).last, now - first < Self.second {
                breaches.append("200 requests in a second")
            }
            if now < world.silentUntil { breaches.append("a request before Retry-After was over") }
            let answer = world.answer(request, at: now, &luck, &breaches)
            report.take(answer, at: GatewayMoment(nanoseconds: now, chance: Double.random(in: 0..<1, using: &luck)))
            return true
        case .wait(let until):
            if until <= now { breaches.append("a wait for what is over") }
            if !world.isTroubled { now = until }
            return true
        case .finished: return false
        }
    }

    mutating func run(for duration: Int64) {
        let end = now + duration
        while now < end && breaches.isEmpty { step() }
    }

    mutating func turn() { ready = ready.map { _ in Bool.random(using: &luck) } }

    mutating func checkThatItIsTrue() {
        for model in plan.models.indices where !world.isForeign(.service(model)) {
            if world.readiness(.slice(model)) != ready[model] { breaches.append("slice \(model) says what is not true") }
            if world[.service(model)] == nil { breaches.append("service \(model) is missing") }
        }
        for model in plan.models.indices where world.isForeign(.service(model)) && world[.slice(model)] != nil {
            breaches.append("a stranger's Service has our slice")
        }
        if world[.lease] == nil { breaches.append("there is no lease") }
        if report.isInSync == world.hasForeign { breaches.append("in sync: \(report.isInSync), \(report.trouble ?? "")") }
    }

    /// Where nothing changes nobody is asked much.
    mutating func checkThatItIsQuiet() {
        times = []
        let start = now
        run(for: 600 * Self.second)
        let most = 60 + 10 * (plan.models.count * 2 + 1) + 10
        if times.count > most { breaches.append("\(times.count) requests in \((now - start) / Self.second) s, of \(most)") }
    }

    mutating func stop() {
        report.stop()
        var steps = 0
        while ask() && steps < 200 { steps += 1 }
        if steps == 200 { breaches.append("it never ends") }
        for model in plan.models.indices {
            if world[.slice(model)] != nil { breaches.append("slice \(model) is left") }
            let isLeft = world[.service(model)] != nil
            let isWanted = world.isForeign(.service(model)) || world.others.contains(model)
            if isLeft != isWanted { breaches.append("service \(model) is \(isLeft ? "left" : "gone")") }
        }
        if world[.lease] != nil { breaches.append("the lease is left") }
    }
}

/// An API server, as far as requests of a report go.
private struct ClusterWorld {
    private static let second: Int64 = 1_000_000_000

    private let plan: ClusterPlan
    private var objects: [ClusterObject: JSONValue] = [:]
    private var count: Int64 = 0
    /// Models that another gateway serves too.
    let others: Set<Int>
    var isTroubled = false
    var silentUntil: Int64 = 0

    init(_ plan: ClusterPlan, _ luck: inout Luck) {
        self.plan = plan
        others = Set(plan.models.indices.filter { _ in Bool.random(using: &luck) })
        if Int.random(in: 0..<4, using: &luck) == 0 {
            put(.service(0), ["metadata": ["labels": ["team": "others"]], "spec": [:]], isNew: true)
        }
    }

    subscript(_ object: ClusterObject) -> JSONValue? { objects[object] }

    func isForeign(_ object: ClusterObject) -> Bool {
        objects[object].map { $0["metadata"]?["labels"]?["app.kubernetes.io/managed-by"]?.text != "fusebox-gateway" } ?? false
    }

    var hasForeign: Bool { objects.keys.contains { isForeign($0) } }

    func readiness(_ object: ClusterObject) -> Bool? {
        guard case .array(let endpoints)? = objects[object]?["endpoints"],
            case .bool(let ready)? = endpoints.first?["conditions"]?["ready"]
        else { return nil }
        return ready
    }

    private mutating func put(_ object: ClusterObject, _ value: JSONValue, isNew: Bool) {
        count += 1
        guard case .object(var members) = value, case .object(var metadata)? = value["metadata"] else { return }
        let uid = isNew ? "uid-\(count)" : objects[object]?["metadata"]?["uid"]?.text ?? ""
        metadata.removeAll { $0.name == "uid" || $0.name == "resourceVersion" }
        metadata += [.init("uid", .string(uid)), .init("resourceVersion", .string("\(count)"))]
        members.removeAll { $0.name == "metadata" }
        objects[object] = .object(members + [.init("metadata", .object(metadata))])
    }

    /// Somebody removes or touches one.
    mutating func meddle(_ luck: inout Luck) {
        let known = objects.keys.sorted { $0.name(plan) < $1.name(plan) }
        guard let object = known.randomElement(using: &luck), !isForeign(object), let value = objects[object] else { return }
        if Bool.random(using: &luck) { objects[object] = nil } else { put(object, value, isNew: false) }
    }

    mutating func answer(
        _ request: ClusterRequest, at now: Int64, _ luck: inout Luck, _ breaches: inout [String]
    ) -> ClusterAnswer {
        guard isTroubled, Int.random(in: 0..<3, using: &luck) == 0 else { return perform(request, &breaches) }
        // Some of it was done nevertheless.
        if Bool.random(using: &luck) { _ = perform(request, &breaches) }
        switch [0, 401, 403, 404, 409, 410, 422, 429, 500, 503].randomElement(using: &luck) ?? 0 {
        case 0: return .nothing("gone")
        case 429:
            silentUntil = now + 5 * Self.second
            return .status(429, retryAfterNanoseconds: 5 * Self.second, "too many")
        case let code: return .status(code, retryAfterNanoseconds: nil, "says \(code)")
        }
    }

    private mutating func perform(_ request: ClusterRequest, _ breaches: inout [String]) -> ClusterAnswer {
        let object = request.object
        let there = objects[object]
        func refused(_ code: Int) -> ClusterAnswer { .status(code, retryAfterNanoseconds: nil, "\(code)") }
        switch request {
        case .read: return there.map { .done($0) } ?? refused(404)
        case .create(_, let value):
            if there != nil { return refused(409) }
            if case .slice(let model) = object, isForeign(.service(model)) { breaches.append("a slice for a stranger's Service") }
            put(object, value, isNew: true)
        case .update(_, let value):
            guard let there else { return refused(404) }
            if isForeign(object) { breaches.append("it wrote what is not its own") }
            guard let version = value["metadata"]?["resourceVersion"]?.text else {
                breaches.append("it wrote without a version")
                return refused(422)
            }
            guard version == there["metadata"]?["resourceVersion"]?.text else { return refused(409) }
            put(object, value, isNew: false)
        case .delete(_, let uid, let version):
            guard let there else { return refused(404) }
            if isForeign(object) { breaches.append("it removed what is not its own") }
            guard uid == there["metadata"]?["uid"]?.text, version == there["metadata"]?["resourceVersion"]?.text else {
                return refused(409)
            }
            objects[object] = nil
            return .done(["kind": "Status"])
        case .listSlices(let model):
            var items = [objects[.slice(model)]].compactMap { $0 }
            if others.contains(model) { items.append(["metadata": ["name": "theirs"]]) }
            return .done(["items": .array(items)])
        }
        return objects[object].map { .done($0) } ?? refused(404)
    }
}
