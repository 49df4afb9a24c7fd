import TelemetryModel

/// One process of an agent: it runs its workflow again and again, one run at a time, and remembers its breakers.
struct DemoAgent {
    /// Which process it is.
    struct Process: Sendable {
        var service: String
        var number: Int
        var workflow: Workflow
        /// When `weather_api` answers nothing, in seconds from the start.
        var outageSeconds: Range<Int64> = 0..<0
    }

    enum Workflow: String {
        case supportTriage = "support_triage"
        case tripPlanner = "trip_planner"
        case nightlyReport = "nightly_report"

        /// From one run to the next. Trips follow soon enough on each other that one falls into a breaker's cooldown.
        var pauseMilliseconds: ClosedRange<Int64> {
            switch self {
            case .supportTriage: 60_000...110_000
            case .tripPlanner: 13_000...18_000
            case .nightlyReport: 45_000...80_000
            }
        }
    }

    /// A run that is under way.
    struct Run {
        var traceID: TraceID
        var root: SpanID
        var workflow: String
        var session: String
        var queueDepth: Int64
        var failure: String?
        var spans: [SpanDescription] = []
    }

    let process: Process
    let resource: AttributeList
    private let start: Int64
    /// Nanoseconds since 1970.
    var clock: Int64
    var generator: SeededGenerator
    var breakers: [String: DemoBreaker] = [:]
    /// All that ended, in the order of ending.
    private(set) var spans: [SpanDescription] = []
    /// What a collector must count.
    var expectation = DemoWorkload.Expectation()

    init(_ process: Process, seed: UInt64, start: Int64) {
        self.process = process
        self.start = start
        var generator = SeededGenerator(seed: seed)
        let suffix = String(generator.number(0x1000...0xFFFF), radix: 16)
        resource = [
            "service.name": .string(process.service), "service.instance.id": "\(process.service)-\(process.number)-\(suffix)",
            "service.version": "2.3.1", "deployment.environment.name": "demo", "telemetry.sdk.language": "swift",
        ]
        clock = start + generator.latency(0...15_000)
        self.generator = generator
    }

    /// Runs until no run can end by `end` any more.
    mutating func work(until end: Int64) {
        while true {
            var next = self
            next.run()
            guard next.clock <= end else { break }
            self = next
            pass(generator.number(process.workflow.pauseMilliseconds) * 1_000_000)
        }
        for (tool, breaker) in breakers {
            expectation.count(process.service, tool) { counters in
                counters.opens += breaker.opens
                counters.halfOpens += breaker.halfOpens
                counters.closes += breaker.closes
                counters.cooldownNanoseconds += breaker.cooldownNanoseconds
            }
        }
        expectation.spans = spans.count
    }

    /// Whether `weather_api` is down.
    var isOutage: Bool {
        process.outageSeconds.contains((clock - start) / 1_000_000_000)
    }

    mutating func pass(_ nanoseconds: Int64) {
        clock += nanoseconds
    }

    // MARK: A run and its steps

    private mutating func run() {
        let workflow = process.workflow.rawValue
        let begin = clock
        var run = Run(
            traceID: TraceID(high: generator.id(), low: generator.id()), root: SpanID(generator.id()), workflow: workflow,
            session: "session-\(generator.number(1000...1040))", queueDepth: generator.number(isOutage ? 4...14 : 0...5))
        pass(generator.latency(1...4))
        switch process.workflow {
        case .supportTriage: supportTriage(&run)
        case .tripPlanner: tripPlanner(&run)
        case .nightlyReport: nightlyReport(&run)
        }
        pass(generator.latency(1...4))
        var root = SpanDescription(traceID: run.traceID, spanID: run.root, name: "workflow \(workflow)")
        root.kind = .server
        root.startTimeUnixNano = begin
        root.endTimeUnixNano = clock
        root.attributes = common(run)
        root.attributes.append("queue_depth", .int(run.queueDepth))
        if process.workflow == .supportTriage && generator.happens(500) {
            root.attributes.append("eval_id", "eval-triage-\(generator.number(1...12))")
        }
        if let failure = run.failure {
            root.status = .error(failure)
        } else if process.workflow != .nightlyReport {
            let failures = run.spans.count { if case .error = $0.status { true } else { false } }
            root.events.append(DemoTalk.judgement(trace: run.traceID, failures: failures, timeUnixNano: clock))
        }
        expectation.countRun(workflow, failed: run.failure != nil)
        spans += run.spans
        spans.append(root)
    }

    private func common(_ run: Run) -> AttributeList {
        ["workflow_name": .string(run.workflow), "session.id": .string(run.session)]
    }

    /// Runs `body` inside a step, which fails when it says why.
    mutating func step(_ id: String, _ run: inout Run, _ body: (inout DemoAgent, inout Run, Place) -> String?) {
        let begin = clock
        let place = Place(step: id, parent: SpanID(generator.id()))
        pass(generator.latency(1...3))
        let failure = body(&self, &run, place)
        pass(generator.latency(1...3))
        var span = SpanDescription(traceID: run.traceID, spanID: place.parent, name: "step \(id)")
        span.parentSpanID = run.root
        span.startTimeUnixNano = begin
        span.endTimeUnixNano = clock
        span.attributes = common(run)
        span.attributes.append("step_id", .string(id))
        span.attributes.append("queue_depth", .int(run.queueDepth))
        if let failure { span.status = .error(failure) }
        run.spans.append(span)
    }

    /// Where a call happens.
    struct Place {
        var step: String
        var parent: SpanID
    }

    /// A call that takes from `begin` to now.
    func call(_ name: String, _ run: Run, _ place: Place, from begin: Int64, id: UInt64) -> SpanDescription {
        var span = SpanDescription(traceID: run.traceID, spanID: SpanID(id), name: name)
        span.parentSpanID = place.parent
        span.kind = .client
        span.startTimeUnixNano = begin
        span.endTimeUnixNano = clock
        span.attributes = common(run)
        span.attributes.append("step_id", .string(place.step))
        return span
    }
}

extension SpanDescription {
    /// Ends in an error, with the exception event that SDKs record.
    mutating func fail(_ type: String, _ message: String) {
        status = .error(message)
        attributes.append("error.type", .string(type))
        events.append(
            Event(
                "exception", timeUnixNano: endTimeUnixNano,
                attributes: ["exception.type": .string(type), "exception.message": .string(message)]))
    }
}
