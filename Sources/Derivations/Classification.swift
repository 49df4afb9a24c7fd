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
        let isAttempt = (hasTool || stage == .llm || stage == .vector) && !Operations.isWrapper(span.operation) && !span.tellsParent
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
        let isError = span.statusCode == 2 || span.exceptionFails == true
        let errorType = span.errorType ?? ""
        let exception = isError && !span.events.isEmpty ? lastException(span.events) : nil
        let lastException = exception?.text ?? ""

        if span.breakerRejected == true { return (.rejected, nil, .call) }
        if span.breakerRejected == nil {
            if !errorType.isEmpty && ErrorPatterns.isRejectionType(errorType) { return (.rejected, nil, .call) }
            if !lastException.isEmpty && ErrorPatterns.isRejectionType(lastException) { return (.rejected, nil, .call) }
        }
        if span.timeoutFlag == false { return (isError ? .error : .ok, nil, .call) }
        if let reason = timeoutReason(span, errorType, exception, isError: isError, stage: stage, policy) {
            return (.timeout, reason, phase(of: span, stage: stage, policy))
        }
        let failed = isError || stage == .subprocess && (span.exitCode ?? 0) != 0
        return (failed ? .error : .ok, nil, .call)
    }

    private static func timeoutReason(
        _ span: borrowing ObservedSpan, _ errorType: String, _ exception: ObservedEvent?, isError: Bool, stage: Stage,
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
        if let reason = reasonOfFailure(span, errorType, exception) { return reason }
        if stage == .subprocess && span.exitCode == 124 { return .exitCode }
        guard span.isTimed, let fuse = policy.fuseNanoseconds(stage: stage, model: span.model),
            span.durationNanoseconds >= fuse,
            stage != .llm || phase(of: span, stage: stage, policy) == .prefill
        else { return nil }
        return .fuse
    }

    /// A timeout by what the failure says of itself: the type of its exception, or a message.
    private static func reasonOfFailure(
        _ span: borrowing ObservedSpan, _ errorType: String, _ exception: ObservedEvent?
    ) -> TimeoutReason? {
        let lastException = exception?.text ?? ""
        if !lastException.isEmpty && ErrorPatterns.isTimeoutType(lastException) { return .exception }
        if lastException.isEmpty && errorType.isEmpty {
            return span.statusMessage.map(ErrorPatterns.isTimeoutMessage) == true ? .statusMessage : nil
        }
        // Who was answered that the request is at fault did not wait in vain.
        if let status = span.httpStatus, status >= 400 && status < 500 { return nil }
        if let message = span.statusMessage, ErrorPatterns.isNestedTimeoutMessage(message) { return .statusMessage }
        if let message = exception?.message, !message.isEmpty, ErrorPatterns.isNestedTimeoutMessage(message) { return .exception }
        return nil
    }

    private static func phase(of span: borrowing ObservedSpan, stage: Stage, _ policy: borrowing FusePolicy) -> Phase {
        guard stage == .llm else { return .call }
        guard let wait = span.timeToFirstTokenNanoseconds else { return .prefill }
        guard let budget = policy.fuseNanoseconds(stage: .llm, model: span.model) else { return .generation }
        return wait > budget ? .prefill : .generation
    }

    /// The exception with the latest time, the last of them on the wire when several have it.
    private static func lastException(_ events: [ObservedEvent]) -> ObservedEvent? {
        var last: ObservedEvent?
        for event in events where event.kind == .exception && event.timeUnixNano >= last?.timeUnixNano ?? .min { last = event }
        return last
    }
}
