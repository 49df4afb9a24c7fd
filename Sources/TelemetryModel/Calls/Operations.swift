/// What operations (`gen_ai.operation.name`) say about a span: docs/metrics.md 2.12.
public enum Operations {
    /// Operations whose spans wrap calls and repeat what these used. Theirs are no attempts, no tokens and no cache look-ups.
    public static let wrappers = ["invoke_agent", "invoke_workflow", "create_agent", "chain", "task", "execute_task"]

    /// The operation of a call that turns texts into vectors.
    @inlinable
    public static var embeddings: String { "embeddings" }

    /// As `wrappers.contains`, but without a loop over texts: short ones are compared as numbers.
    @inlinable
    @inline(__always)
    public static func isWrapper(_ operation: String?) -> Bool {
        guard let operation else { return false }
        return operation == "invoke_agent" || operation == "chain" || operation == "task" || operation == "invoke_workflow"
            || operation == "create_agent" || operation == "execute_task"
    }
}
