extension DemoWorkload {
    /// What a collector must count when it has taken in all batches, each once, and ten seconds have passed.
    package struct Expectation: Equatable, Sendable {
        /// The counters of one tool of one service, over all its workflows and instances. Model calls have the tool `llm`.
        package struct Tool: Equatable, Sendable {
            package var service: String
            package var name: String
            /// Attempts by outcome; together they are the calls.
            package var ok = 0
            package var errors = 0
            package var timeouts = 0
            package var rejections = 0
            /// Repetitions that no attribute declares.
            package var silentRetries = 0
            /// Edges of the reported breakers.
            package var opens = 0
            package var halfOpens = 0
            package var closes = 0
            package var cooldownNanoseconds: Int64 = 0

            package var calls: Int { ok + errors + timeouts + rejections }
        }

        /// The runs of one workflow.
        package struct Workflow: Equatable, Sendable {
            package var name: String
            package var runs = 0
            /// Those that ended in an error, among the runs.
            package var errors = 0
        }

        package var traces = 0
        package var spans = 0
        package var inputTokens: Int64 = 0
        package var outputTokens: Int64 = 0
        package var cacheHits = 0
        package var cacheMisses = 0
        /// By service and name.
        package var tools: [Tool] = []
        /// By name.
        package var workflows: [Workflow] = []

        /// The counters of a tool, summed over services.
        package func tool(_ name: String) -> Tool {
            var sum = Tool(service: "", name: name)
            for tool in tools where tool.name == name { sum.add(tool) }
            return sum
        }
    }
}

extension DemoWorkload.Expectation {
    /// Changes the counters of a tool, which are there from then on.
    mutating func count(_ service: String, _ name: String, _ change: (inout Tool) -> Void) {
        if let index = tools.firstIndex(where: { $0.service == service && $0.name == name }) {
            change(&tools[index])
        } else {
            var tool = Tool(service: service, name: name)
            change(&tool)
            tools.append(tool)
        }
    }

    mutating func countRun(_ name: String, failed: Bool) {
        traces += 1
        if !workflows.contains(where: { $0.name == name }) { workflows.append(Workflow(name: name)) }
        for index in workflows.indices where workflows[index].name == name {
            workflows[index].runs += 1
            workflows[index].errors += failed ? 1 : 0
        }
    }

    mutating func add(_ other: Self) {
        traces += other.traces
        spans += other.spans
        inputTokens += other.inputTokens
        outputTokens += other.outputTokens
        cacheHits += other.cacheHits
        cacheMisses += other.cacheMisses
        for tool in other.tools { count(tool.service, tool.name) { $0.add(tool) } }
        for workflow in other.workflows {
            if !workflows.contains(where: { $0.name == workflow.name }) { workflows.append(Workflow(name: workflow.name)) }
            for index in workflows.indices where workflows[index].name == workflow.name {
                workflows[index].runs += workflow.runs
                workflows[index].errors += workflow.errors
            }
        }
        tools.sort { ($0.service, $0.name) < ($1.service, $1.name) }
        workflows.sort { $0.name < $1.name }
    }
}

extension DemoWorkload.Expectation.Tool {
    mutating func add(_ other: Self) {
        ok += other.ok
        errors += other.errors
        timeouts += other.timeouts
        rejections += other.rejections
        silentRetries += other.silentRetries
        opens += other.opens
        halfOpens += other.halfOpens
        closes += other.closes
        cooldownNanoseconds += other.cooldownNanoseconds
    }
}
