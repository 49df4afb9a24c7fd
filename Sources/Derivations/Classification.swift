import TelemetryModel

/// What one span is and how it ended: metrics.md 2.1 and 2.2, a function of the span and the policy alone.
package struct Classification: Equatable, Sendable {
    package var stage: Stage
    /// One try of a tool, a model or a vector query.
    package var isAttempt: Bool
    /// A whole workflow.
    package var isRun: Bool
    /// The tool's name as the client wrote it; `llm` or `vector` for such attempts without one; empty when there is none.
    package var toolLabel: String
    package var outcome: Outcome
    /// Given when the outcome is `timeout`.
    package var timeoutReason: TimeoutReason?
    /// `call` unless the outcome is `timeout`.
    package var phase: Phase

    /// Allocates nothing for a span without an error.
    package static func classify(_ span: borrowing ObservedSpan, _ policy: borrowing FusePolicy) -> Classification {
        let stage = stage(of: span, policy)
        let hasTool = span.tool.map { !$0.isEmpty } ?? false
        let isAttempt = (hasTool || stage == .llm || stage == .vector) && !repeatsChildren(span.operation)
        let hasWorkflow = span.workflow.map { !$0.isEmpty } ?? false
        let (outcome, reason, phase) = outcome(of: span, stage: stage, policy)
        var label = span.tool ?? ""
        if label.isEmpty && isAttempt { label = stage.rawValue }
        return Classification(
            stage: stage,
            isAttempt: isAttempt,
            isRun: hasWorkflow && (!span.parentSpanID.isValid || span.workflowRoot == true),
            toolLabel: label,
            outcome: outcome,
            timeoutReason: reason,
            phase: phase)
    }

    /// Operations whose spans wrap attempts.
    @inline(__always)
    static func repeatsChildren(_ operation: String?) -> Bool {
        guard let operation else { return false }
        return operation == "invoke_agent" || operation == "invoke_workflow" || operation == "create_agent"
    }

    private static func stage(of span: borrowing ObservedSpan, _ policy: borrowing FusePolicy) -> Stage {
        if let text = span.stageAttribute, let stage = Stage(text: text) { return stage }
        if let tool = span.tool, !policy.stageByTool.isEmpty, let stage = policy.stageByTool[tool] { return stage }
        if let operation = span.operation {
            if operation == "chat" || operation == "text_completion" || operation == "generate_content" { return .llm }
            if operation == "retrieval" { return .vector }
        }
        if span.hasDatabaseSystem || span.retrievalBatch != nil { return .vector }
        if span.exitCode != nil || span.hasProcessCommand { return .subprocess }
        if span.hasHTTPRequestMethod && span.kind == 3 { return .httpTool }
        if span.hasURL, let tool = span.tool, !tool.isEmpty { return .httpTool }
        return .other
    }

    private typealias Ending = (outcome: Outcome, reason: TimeoutReason?, phase: Phase)

    private static func outcome(of span: borrowing ObservedSpan, stage: Stage, _ policy: borrowing FusePolicy) -> Ending {
        let isError = span.statusCode == 2
        let errorType = span.errorType ?? ""
        let lastException = isError && !span.events.isEmpty ? lastException(span.events) : ""

        if span.breakerRejected == true { return (.rejected, nil, .call) }
        if span.breakerRejected == nil {
            if !errorType.isEmpty && ErrorPatterns.isRejectionType(errorType) { return (.rejected, nil, .call) }
            if !lastException.isEmpty && ErrorPatterns.isRejectionType(lastException) { return (.rejected, nil, .call) }
        }
        if span.timeoutFlag == false { return (isError ? .error : .ok, nil, .call) }
        if let reason = timeoutReason(span, errorType, lastException, isError: isError, stage: stage, policy) {
            return (.timeout, reason, phase(of: span, stage: stage, policy))
        }
        let failed = isError || stage == .subprocess && (span.exitCode ?? 0) != 0
        return (failed ? .error : .ok, nil, .call)
    }

    private static func timeoutReason(
        _ span: borrowing ObservedSpan, _ errorType: String, _ lastException: String, isError: Bool, stage: Stage,
        _ policy: borrowing FusePolicy
    ) -> TimeoutReason? {
        if span.timeoutFlag == true { return .explicit }
        if span.httpStatus == 408 || span.httpStatus == 504 { return .httpStatus }
        let hasErrorType = !errorType.isEmpty
        if hasErrorType && (errorType == "408" || errorType == "504") { return .httpStatus }
        if span.grpcStatus == 4 { return .rpcStatus }
        if hasErrorType && errorType == "DEADLINE_EXCEEDED" || span.rpcStatusText == "DEADLINE_EXCEEDED" { return .rpcStatus }
        if hasErrorType && (errorType == "-1001" || ErrorPatterns.isTimeoutType(errorType)) { return .errorType }
        guard isError else { return nil }
        if !lastException.isEmpty {
            if ErrorPatterns.isTimeoutType(lastException) { return .exception }
        } else if errorType.isEmpty, let message = span.statusMessage, ErrorPatterns.isTimeoutMessage(message) {
            return .statusMessage
        }
        if stage == .subprocess && span.exitCode == 124 { return .exitCode }
        guard span.isTimed, let fuse = policy.fuseNanoseconds(stage: stage, model: span.model),
            span.durationNanoseconds >= fuse,
            stage != .llm || phase(of: span, stage: stage, policy) == .prefill
        else { return nil }
        return .fuse
    }

    private static func phase(of span: borrowing ObservedSpan, stage: Stage, _ policy: borrowing FusePolicy) -> Phase {
        guard stage == .llm else { return .call }
        guard let wait = span.timeToFirstTokenNanoseconds else { return .prefill }
        guard let budget = policy.fuseNanoseconds(stage: .llm, model: span.model) else { return .generation }
        return wait > budget ? .prefill : .generation
    }

    /// The type of the exception with the latest time, the last of them on the wire when several have it; empty without one.
    private static func lastException(_ events: [ObservedEvent]) -> String {
        var last: ObservedEvent?
        for event in events where event.kind == .exception && event.timeUnixNano >= last?.timeUnixNano ?? .min { last = event }
        return last?.text ?? ""
    }
}
