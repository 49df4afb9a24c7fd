import TelemetryModel

/// The labels of which a span had values past their caps.
struct OverflowSet: OptionSet, Sendable {
    let rawValue: UInt8

    static let service = OverflowSet(rawValue: 1)
    static let tool = OverflowSet(rawValue: 2)
    static let workflow = OverflowSet(rawValue: 4)
    static let model = OverflowSet(rawValue: 8)
    static let host = OverflowSet(rawValue: 16)
}

/// What is resolved once for the attempts of one process, tool and workflow. Numbers of counters that are made when first
/// needed are negative until then, here and below.
struct AttemptCell: Sendable {
    struct Key: CellKey {
        var instance: Int32
        var stage: UInt8
        @ByBytes var workflow: String?
        @ByBytes var tool: String
        @ByBytes var breakerID: String?

        @inline(__always)
        var quickHash: UInt64 {
            var hash = QuickHash(instance, stage)
            hash.add(workflow)
            hash.add(tool)
            if let breakerID { hash.add(breakerID) }
            return hash.value
        }
    }

    struct Names: Sendable {
        /// The tool's clean name, past the cap or not.
        var tool: String
        /// `service_name`, `tool` and `stage` as label text.
        var labels: String
    }

    var overflow: OverflowSet
    var toolHash: UInt64
    var ok: CounterTable.ID
    var error: CounterTable.ID
    var timeout: CounterTable.ID
    var rejected: CounterTable.ID
    var duration: CounterTable.ID
    var retries: CounterTable.ID
    var overruns: CounterTable.ID = -1
    var rejections: CounterTable.ID = -1
    /// The breaker's position in the book; -1 before it is needed.
    var breaker: Int32 = -1
    var hasReportedCounters = false
    var hasDerivedCounters = false

    @inline(__always)
    func calls(_ outcome: Outcome) -> CounterTable.ID {
        switch outcome {
        case .ok: ok
        case .error: error
        case .timeout: timeout
        case .rejected: rejected
        }
    }
}

/// What is resolved once for a process and a tool, whatever else its spans say.
struct ToolCell: Sendable {
    struct Key: CellKey {
        var instance: Int32
        @ByBytes var tool: String

        var quickHash: UInt64 {
            var hash = QuickHash(instance)
            hash.add(tool)
            return hash.value
        }
    }

    /// `service_name` and `tool` as label text.
    struct Names: Sendable {
        var labels: String
    }

    var overflow: OverflowSet
    var hits: CounterTable.ID = -1
    var misses: CounterTable.ID = -1
    var exits = ToolExits()
}

/// The counters of a tool's exits.
struct ToolExits: Sendable {
    var zero: CounterTable.ID = -1
    var nonzero: CounterTable.ID = -1
    var signal: CounterTable.ID = -1
    var watchdog: CounterTable.ID = -1
}

/// What is resolved once for a process, workflow and model.
struct ModelCell: Sendable {
    struct Key: CellKey {
        var instance: Int32
        @ByBytes var workflow: String?
        @ByBytes var model: String?

        var quickHash: UInt64 {
            var hash = QuickHash(instance)
            hash.add(workflow)
            hash.add(model)
            return hash.value
        }
    }

    struct Names: Sendable {
        /// `service_name` and `model` as label text.
        var labels: String
        /// `service_name`, `workflow` and `model` as label text.
        var tokenLabels: String
        /// `model` as label text.
        var modelLabel: String
    }

    var overflow: OverflowSet
    var timeToFirstToken: CounterTable.ID = -1
    var prefillBreaches: CounterTable.ID = -1
    var input: CounterTable.ID = -1
    var cacheRead: CounterTable.ID = -1
    var cacheWrite: CounterTable.ID = -1
    var output: CounterTable.ID = -1
    var unspecified: CounterTable.ID = -1
    var cost: CounterTable.ID = -1
    var unpriced: CounterTable.ID = -1
}

/// What is resolved once for a process and a workflow.
struct RunCell: Sendable {
    struct Key: CellKey {
        var instance: Int32
        @ByBytes var workflow: String

        var quickHash: UInt64 {
            var hash = QuickHash(instance)
            hash.add(workflow)
            return hash.value
        }
    }

    struct Names: Sendable {}

    var overflow: OverflowSet
    var ok: CounterTable.ID
    var error: CounterTable.ID
    var duration: CounterTable.ID
}
