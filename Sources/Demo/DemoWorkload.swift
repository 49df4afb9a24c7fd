package import TelemetryModel

/// Ten minutes in the life of some agents, as the batches that their exporters would have sent: a function of a seed and a time.
///
/// Five processes of three services run three workflows, one run after another in each: some 60 traces of 800 spans, all of them
/// ended before the time given. A tool of the travel agents goes down twice, opens its circuit breaker, refuses calls, and comes
/// back; another answers 503 now and then and is tried again. Nothing here reads a clock or draws real chance.
package struct DemoWorkload: Sendable {
    /// Spans in a batch.
    package static let batchSpansMax = 128
    /// How far before the given time the first run may begin. Nanoseconds.
    package static let windowNanoseconds: Int64 = 600_000_000_000
    /// How often an exporter sends what has ended. Nanoseconds.
    private static let exportInterval: Int64 = 60_000_000_000

    /// In the order of sending; children come before their parents, as exporters send what ends first.
    package let batches: [SpanBatch]
    /// What a collector must make of them.
    package let expectation: Expectation

    /// The workload that ends shortly before `nowUnixNano`. Ids depend on the time too, so that a later demo is a new one.
    package init(seed: UInt64, nowUnixNano: Int64) {
        var generator = SeededGenerator(seed: seed &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(bitPattern: nowUnixNano))
        let start = nowUnixNano - Self.windowNanoseconds
        var expectation = Expectation()
        var exports: [(time: Int64, batch: SpanBatch)] = []
        for process in Self.processes {
            var agent = DemoAgent(process, seed: generator.next(), start: start)
            agent.work(until: nowUnixNano - 2_000_000_000)
            expectation.add(agent.expectation)
            exports += Self.exports(of: agent, from: start)
        }
        exports.sort { $0.time < $1.time }
        batches = exports.map(\.batch)
        self.expectation = expectation
    }

    /// Seconds are from the start of the window.
    private static let processes = [
        DemoAgent.Process(service: "support-agent", number: 1, workflow: .supportTriage),
        DemoAgent.Process(service: "support-agent", number: 2, workflow: .supportTriage),
        DemoAgent.Process(service: "travel-agent", number: 1, workflow: .tripPlanner, outageSeconds: 140..<195),
        DemoAgent.Process(service: "travel-agent", number: 2, workflow: .tripPlanner, outageSeconds: 300..<400),
        DemoAgent.Process(service: "report-agent", number: 1, workflow: .nightlyReport),
    ]

    private static func exports(of agent: DemoAgent, from start: Int64) -> [(time: Int64, batch: SpanBatch)] {
        var exports: [(time: Int64, batch: SpanBatch)] = []
        var pending: [SpanDescription] = []
        var deadline = start + exportInterval
        func send(at time: Int64) {
            guard !pending.isEmpty else { return }
            var builder = SpanBatchBuilder()
            builder.beginResource(agent.resource)
            builder.beginScope(name: "fusebox.demo", version: "1")
            for span in pending { builder.append(span) }
            exports.append((time, builder.batch))
            pending = []
        }
        for span in agent.spans {
            while span.endTimeUnixNano > deadline {
                send(at: deadline)
                deadline += exportInterval
            }
            pending.append(span)
            if pending.count == batchSpansMax { send(at: span.endTimeUnixNano) }
        }
        send(at: deadline)
        return exports
    }
}
