/// What the resource of an agent's process says of its loop: where it runs, how much of it may run at once, and how it runs.
/// docs/metrics.md 2.14.
public struct LoopDeclaration: Hashable, Sendable {
    /// `host.name`; empty when the resource does not say.
    @ByBytes public var host = ""
    /// The process, as `ResourceIdentity.instanceID`.
    @ByBytes public var instance = ""
    /// Workflows that may run at once; `nil` for no limit of the agent's own. Limits are 1 or more.
    public var workflowLimit: Int64?
    /// Items that one retrieval may bring.
    public var retrievalLimit: Int64?
    /// Texts that one embedding call may take.
    public var embedLimit: Int64?
    /// Bytes, not negative; `nil` without a reading.
    public var processMemory: Int64?
    public var hostMemory: Int64?
    public var hostMemoryTotal: Int64?
    /// The event loop's policy and the executor, as the agent words them.
    @ByBytes public var asyncioPolicy: String?
    @ByBytes public var executor: String?

    public init() {}

    /// By the attributes of a resource. Most declare nothing: those cost a look at each key's length.
    ///
    /// - Parameter instance: the process, as the resource's `ResourceIdentity` has it.
    public init(_ resource: ResourceRecord, _ batch: SpanBatch, instance: String) {
        var found: [(name: String, value: Value)] = []
        for attribute in batch.attributes[resource.attributes.indices] {
            let key = batch.keys[Int(attribute.key)]
            guard key.count < 64, Self.lengths & 1 << UInt64(key.count) != 0,
                let name = Self.names.first(where: { batch.equals(key, $0) })
            else { continue }
            switch attribute.kind {
            case .string: found.append((name, .text(batch.string(attribute.slice))))
            case .int: found.append((name, .number("\(attribute.int)")))
            case .double: found.append((name, .number("\(attribute.double)")))
            default: continue
            }
        }
        self.init()
        if !found.isEmpty { self = LoopDeclaration { name in found.first { $0.name == name }?.value } }
        self.instance = instance
    }

    /// By the JSON object that shows a resource's attributes.
    public init(json: ArraySlice<UInt8>) {
        self.init { name in
            switch JSONText.member(name, in: json) {
            case .text(let text): .text(text)
            case .number(let digits): .number(digits)
            default: nil
            }
        }
    }

    private enum Value {
        case text(String)
        case number(String)

        var shown: String {
            switch self {
            case .text(let text), .number(let text): text
            }
        }
    }

    private init(_ attribute: (String) -> Value?) {
        func text(_ name: String) -> String {
            guard case .text(let text) = attribute(name) else { return "" }
            return text
        }
        host = text("host.name")
        instance = ResourceIdentity.instanceID(
            instance: text("service.instance.id"), host: host, process: attribute("process.pid")?.shown ?? "")
        workflowLimit = Self.limit(Self.workflowLimitNames, attribute)
        retrievalLimit = Self.limit(Self.retrievalLimitNames, attribute)
        embedLimit = Self.limit(Self.embedLimitNames, attribute)
        processMemory = Self.number(Self.processMemoryNames, attribute)
        hostMemory = Self.number(Self.hostMemoryNames, attribute)
        hostMemoryTotal = Self.number(Self.hostMemoryTotalNames, attribute)
        asyncioPolicy = Self.text(Self.asyncioPolicyNames, attribute)
        executor = Self.text(Self.executorNames, attribute)
    }

    // Of several names the first that has a value holds.
    private static let workflowLimitNames = ["workflow.max_concurrency", "WORKFLOW_MAX_CONCURRENCY"]
    private static let retrievalLimitNames = ["retrieval.max_batch_size", "RETRIEVAL_BATCH_SIZE"]
    private static let embedLimitNames = ["embedding.max_batch_size", "EMBED_BATCH_SIZE"]
    // Spans have those of memory too: schemas/columns/columns.txt.
    private static let processMemoryNames = ["process.memory.usage", "process.memory.rss", "peak_rss_bytes"]
    private static let hostMemoryNames = ["system.memory.usage"]
    private static let hostMemoryTotalNames = ["system.memory.limit", "system.memory.total"]
    private static let asyncioPolicyNames = ["asyncio.policy", "asyncio.event_loop_policy"]
    private static let executorNames = ["asyncio.executor", "executor"]

    private static let names =
        ["host.name"] + workflowLimitNames + retrievalLimitNames + embedLimitNames + processMemoryNames + hostMemoryNames
        + hostMemoryTotalNames + asyncioPolicyNames + executorNames
    /// One bit a length that a name has.
    private static let lengths: UInt64 = names.reduce(0) { $0 | 1 << UInt64($1.utf8.count) }

    /// The longest text that a number is read from.
    private static let digitsMax = 24

    private static func text(_ names: [String], _ attribute: (String) -> Value?) -> String? {
        for name in names {
            if let text = attribute(name)?.shown, !text.isEmpty { return text }
        }
        return nil
    }

    private static func number(_ names: [String], _ attribute: (String) -> Value?) -> Int64? {
        for name in names {
            guard let text = attribute(name)?.shown, text.utf8.count <= digitsMax,
                let value = Int64(text) ?? Double(decimal: text).flatMap({ Int64(exactly: $0) }), value >= 0
            else { continue }
            return value
        }
        return nil
    }

    private static func limit(_ names: [String], _ attribute: (String) -> Value?) -> Int64? {
        number(names, attribute).flatMap { $0 > 0 ? $0 : nil }
    }
}
