import PrometheusText
import TelemetryModel

/// From a span's strings to the counters of its label values: each distinct tuple is cleaned, admitted and rendered once.
extension SpanDerivations {
    @inline(__always)
    mutating func attemptCell(
        _ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32
    ) -> Int {
        if decision.cells.attempt >= 0 { return Int(decision.cells.attempt) }
        let key = AttemptCell.Key(
            instance: instance, stage: decision.classification.stage.code, workflow: span.workflow,
            tool: decision.classification.toolLabel, breakerID: span.breakerID)
        let position = attempts.position(key) ?? makeAttemptCell(key, span.receivedTimeUnixNano)
        decision.cells.attempt = Int32(truncatingIfNeeded: position)
        return position
    }

    private mutating func makeAttemptCell(_ key: AttemptCell.Key, _ created: Int64) -> Int {
        let stage = Stage(code: key.stage)
        let tool = LabelSanitiser.clean(key.tool)
        let service = serviceLabel(key.instance)
        let toolLabel = admit(.tool, tool, service, created)
        let workflow = admit(.workflow, LabelSanitiser.clean(key.workflow ?? ""), service, created)
        let labels = BreakerCounters.labels(service: service, tool: toolLabel.value, stage: stage)
        var overflow: OverflowSet = toolLabel.isOverflow ? .tool : []
        if workflow.isOverflow { overflow.insert(.workflow) }
        var workflowLabel = workflow.value
        func callLabels(_ outcome: Outcome) -> String {
            LabelText.render([
                ("service_name", service), ("workflow", workflowLabel), ("tool", toolLabel.value), ("stage", stage.rawValue),
                ("outcome", outcome.rawValue),
            ])
        }
        if foldsWorkflow(.toolCalls, callLabels(.ok)) {
            workflowLabel = LabelSanitiser.overflow
            overflow.insert(.workflow)
        }
        let names = AttemptCell.Names(tool: tool, labels: labels)
        var cell = AttemptCell(
            overflow: overflow,
            toolHash: RetryWindow.hash(key.tool),
            ok: counters.id(.toolCalls, callLabels(.ok), created: created),
            error: counters.id(.toolCalls, callLabels(.error), created: created),
            timeout: counters.id(.toolCalls, callLabels(.timeout), created: created),
            rejected: counters.id(.toolCalls, callLabels(.rejected), created: created),
            duration: counters.id(.toolCallDuration, labels, created: created),
            retries: counters.id(
                .silentRetries, LabelText.render([("service_name", service), ("tool", toolLabel.value)]), created: created))
        if stage != .llm, policy.fuseNanoseconds(stage: stage, model: nil) != nil {
            cell.overruns = counters.id(.fuseOverruns, labels, created: created)
        }
        let isKept = isShort(key.workflow) && isShort(key.tool) && isShort(key.breakerID)
        return attempts.insert(key, cell, names, isKept: isKept)
    }

    mutating func countTimeout(_ span: borrowing ObservedSpan, _ classification: borrowing Classification, _ cell: Int) {
        guard let id = timeoutCounter(span, classification, cell) else { return }
        let end = min(span.endTimeUnixNano, span.receivedTimeUnixNano)
        countTimeout(id, span.traceID, span.spanID, endUnixNano: end)
    }

    mutating func countTimeout(_ id: CounterTable.ID, _ traceID: TraceID, _ spanID: SpanID, endUnixNano: Int64) {
        counters.add(id)
        counters.setExemplar(
            id, CounterTable.Exemplar(traceID: traceID, spanID: spanID, value: 1, timeUnixNano: endUnixNano))
    }

    /// The series of a timed-out attempt's reason and phase; `nil` for any other attempt.
    mutating func timeoutCounter(
        _ span: borrowing ObservedSpan, _ classification: borrowing Classification, _ cell: Int
    ) -> CounterTable.ID? {
        guard let reason = classification.timeoutReason else { return nil }
        return timeoutCounter(
            callLabels: counters.labels(attempts.cells[cell].ok), reason, classification.phase,
            created: span.receivedTimeUnixNano)
    }

    /// The series of a reason and a phase beside the one of `agent_tool_calls_total` with these labels, whose last is the
    /// outcome `ok`.
    mutating func timeoutCounter(
        callLabels: String, _ reason: TimeoutReason, _ phase: Phase, created: Int64
    ) -> CounterTable.ID {
        let ending = ",reason=\"\(reason.rawValue)\",phase=\"\(phase.rawValue)\""
        var text = callLabels.dropLast(Self.okEnding.utf8.count) + ending
        if foldsWorkflow(.toolTimeouts, String(text)),
            let start = text.firstRange(of: ",workflow=\""), let end = text.firstRange(of: "\",tool=\"")
        {
            text.replaceSubrange(start.upperBound..<end.lowerBound, with: LabelSanitiser.overflow)
        }
        return counters.id(.toolTimeouts, String(text), created: created)
    }

    private static let okEnding = ",outcome=\"ok\""

    mutating func runCell(_ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32) -> Int {
        if decision.cells.run >= 0 { return Int(decision.cells.run) }
        let key = RunCell.Key(instance: instance, workflow: span.workflow ?? "")
        let position = runs.position(key) ?? makeRunCell(key, span.receivedTimeUnixNano)
        decision.cells.run = Int32(truncatingIfNeeded: position)
        return position
    }

    private mutating func makeRunCell(_ key: RunCell.Key, _ created: Int64) -> Int {
        let service = serviceLabel(key.instance)
        let workflow = admit(.workflow, LabelSanitiser.clean(key.workflow), service, created)
        let pairs = [("service_name", service), ("workflow", workflow.value)]
        let cell = RunCell(
            overflow: workflow.isOverflow ? .workflow : [],
            ok: counters.id(.workflowRuns, LabelText.render(pairs + [("outcome", "ok")]), created: created),
            error: counters.id(.workflowRuns, LabelText.render(pairs + [("outcome", "error")]), created: created),
            duration: counters.id(.workflowDuration, LabelText.render(pairs), created: created))
        return runs.insert(key, cell, RunCell.Names(), isKept: isShort(key.workflow))
    }

    mutating func toolCell(_ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32) -> Int {
        if decision.cells.tool >= 0 { return Int(decision.cells.tool) }
        let key = ToolCell.Key(instance: instance, tool: decision.classification.toolLabel)
        let position = tools.position(key) ?? makeToolCell(key, span.receivedTimeUnixNano)
        decision.cells.tool = Int32(truncatingIfNeeded: position)
        return position
    }

    private mutating func makeToolCell(_ key: ToolCell.Key, _ created: Int64) -> Int {
        let service = serviceLabel(key.instance)
        let label = admit(.tool, LabelSanitiser.clean(key.tool), service, created)
        let names = ToolCell.Names(labels: LabelText.render([("service_name", service), ("tool", label.value)]))
        return tools.insert(key, ToolCell(overflow: label.isOverflow ? .tool : []), names, isKept: isShort(key.tool))
    }

    mutating func modelCell(_ span: borrowing ObservedSpan, _ decision: inout Decision, _ instance: Int32) -> Int {
        if decision.cells.model >= 0 { return Int(decision.cells.model) }
        let key = ModelCell.Key(instance: instance, workflow: span.workflow, model: span.model)
        let position = models.position(key) ?? makeModelCell(key, span.receivedTimeUnixNano)
        decision.cells.model = Int32(truncatingIfNeeded: position)
        return position
    }

    private mutating func makeModelCell(_ key: ModelCell.Key, _ created: Int64) -> Int {
        let service = serviceLabel(key.instance)
        let model = admit(.model, LabelSanitiser.clean(key.model ?? ""), service, created)
        let workflow = admit(.workflow, LabelSanitiser.clean(key.workflow ?? ""), service, created)
        var overflow: OverflowSet = model.isOverflow ? .model : []
        if workflow.isOverflow { overflow.insert(.workflow) }
        func tokenLabels(_ workflow: String) -> String {
            LabelText.render([("service_name", service), ("workflow", workflow), ("model", model.value)])
        }
        var text = tokenLabels(workflow.value)
        if foldsWorkflow(.tokens, text + ",type=\"input\"") {
            text = tokenLabels(LabelSanitiser.overflow)
            overflow.insert(.workflow)
        }
        let names = ModelCell.Names(
            labels: LabelText.render([("service_name", service), ("model", model.value)]), tokenLabels: text,
            modelLabel: LabelText.render([("model", model.value)]))
        return models.insert(key, ModelCell(overflow: overflow), names, isKept: isShort(key.workflow) && isShort(key.model))
    }

    func serviceLabels(_ service: Int) -> String { presence.labels(ofService: service) }

    private func serviceLabel(_ instance: Int32) -> String {
        presence.services[Int(presence.instances[Int(instance)].service)].label
    }

    mutating func admit(
        _ label: LabelTable.Label, _ value: String, _ service: String, _ created: Int64
    ) -> (value: String, isOverflow: Bool) {
        let capacity =
            switch label {
            case .service: policy.serviceLabelsMax
            case .tool: policy.toolLabelsMax
            case .workflow: policy.workflowLabelsMax
            case .model: policy.modelLabelsMax
            case .host: policy.hostLabelsMax
            }
        return labels.admit(label, value, service: service, capacity: capacity, isOpen: isAdmitting, at: created)
    }

    /// There are so many label sets with a workflow that a new one does without.
    func foldsWorkflow(_ family: Family, _ labels: String) -> Bool {
        counters.workflowSeriesCount >= Limits.workflowSeriesMax && counters.existing(family, labels) == nil
    }

    private func isShort(_ text: String?) -> Bool { (text?.utf8.count ?? 0) <= Limits.cachedStringBytesMax }
}
