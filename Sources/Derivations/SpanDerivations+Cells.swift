import PrometheusText
import TelemetryModel

/// From a span's strings to the counters of its label values: each distinct tuple is cleaned, admitted and rendered once.
extension SpanDerivations {
    @inline(__always)
    mutating func attemptCell(
        _ span: borrowing ObservedSpan, _ classification: borrowing Classification, _ instance: Int32
    ) -> Int {
        let key = AttemptCell.Key(
            instance: instance, stage: classification.stage.code, workflow: span.workflow, tool: classification.toolLabel,
            breakerID: span.breakerID)
        return attempts.position(key) ?? makeAttemptCell(key, span.receivedTimeUnixNano)
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
        let names = AttemptCell.Names(
            serviceLabel: service, toolLabel: toolLabel.value, tool: tool, workflowLabel: workflowLabel, labels: labels)
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
        guard let reason = classification.timeoutReason else { return }
        let names = attempts.names[cell]
        let (stage, phase) = (classification.stage.rawValue, classification.phase.rawValue)
        func labels(_ workflow: String) -> String {
            LabelText.render([
                ("service_name", names.serviceLabel), ("workflow", workflow), ("tool", names.toolLabel), ("stage", stage),
                ("reason", reason.rawValue), ("phase", phase),
            ])
        }
        var text = labels(names.workflowLabel)
        if foldsWorkflow(.toolTimeouts, text) { text = labels(LabelSanitiser.overflow) }
        let id = counters.id(.toolTimeouts, text, created: span.receivedTimeUnixNano)
        counters.add(id)
        let end = min(span.endTimeUnixNano, span.receivedTimeUnixNano)
        counters.setExemplar(
            id, CounterTable.Exemplar(traceID: span.traceID, spanID: span.spanID, value: 1, timeUnixNano: end))
    }

    mutating func runCell(_ span: borrowing ObservedSpan, _ instance: Int32) -> Int {
        let key = RunCell.Key(instance: instance, workflow: span.workflow ?? "")
        if let position = runs.position(key) { return position }
        let created = span.receivedTimeUnixNano
        let service = serviceLabel(instance)
        let workflow = admit(.workflow, LabelSanitiser.clean(key.workflow), service, created)
        let pairs = [("service_name", service), ("workflow", workflow.value)]
        let cell = RunCell(
            overflow: workflow.isOverflow ? .workflow : [],
            ok: counters.id(.workflowRuns, LabelText.render(pairs + [("outcome", "ok")]), created: created),
            error: counters.id(.workflowRuns, LabelText.render(pairs + [("outcome", "error")]), created: created),
            duration: counters.id(.workflowDuration, LabelText.render(pairs), created: created))
        return runs.insert(key, cell, RunCell.Names(), isKept: isShort(key.workflow))
    }

    mutating func toolCell(_ span: borrowing ObservedSpan, _ tool: String, _ instance: Int32) -> Int {
        let key = ToolCell.Key(instance: instance, tool: tool)
        if let position = tools.position(key) { return position }
        let service = serviceLabel(instance)
        let label = admit(.tool, LabelSanitiser.clean(tool), service, span.receivedTimeUnixNano)
        let names = ToolCell.Names(labels: LabelText.render([("service_name", service), ("tool", label.value)]))
        return tools.insert(key, ToolCell(overflow: label.isOverflow ? .tool : []), names, isKept: isShort(tool))
    }

    mutating func modelCell(_ span: borrowing ObservedSpan, _ instance: Int32) -> Int {
        let key = ModelCell.Key(instance: instance, workflow: span.workflow, model: span.model)
        if let position = models.position(key) { return position }
        let created = span.receivedTimeUnixNano
        let service = serviceLabel(instance)
        let model = admit(.model, LabelSanitiser.clean(span.model ?? ""), service, created)
        let workflow = admit(.workflow, LabelSanitiser.clean(span.workflow ?? ""), service, created)
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
        return models.insert(key, ModelCell(overflow: overflow), names, isKept: isShort(span.workflow) && isShort(span.model))
    }

    func serviceLabels(_ service: Int) -> String { LabelText.render([("service_name", presence.services[service].label)]) }

    private func serviceLabel(_ instance: Int32) -> String {
        presence.services[Int(presence.instances[Int(instance)].service)].label
    }

    private mutating func admit(
        _ label: LabelTable.Label, _ value: String, _ service: String, _ created: Int64
    ) -> (value: String, isOverflow: Bool) {
        let capacity =
            switch label {
            case .service: policy.serviceLabelsMax
            case .tool: policy.toolLabelsMax
            case .workflow: policy.workflowLabelsMax
            case .model: policy.modelLabelsMax
            }
        return labels.admit(label, value, service: service, capacity: capacity, isOpen: isAdmitting, at: created)
    }

    /// There are so many label sets with a workflow that a new one does without.
    private func foldsWorkflow(_ family: Family, _ labels: String) -> Bool {
        counters.workflowSeriesCount >= Limits.workflowSeriesMax && counters.existing(family, labels) == nil
    }

    private func isShort(_ text: String?) -> Bool { (text?.utf8.count ?? 0) <= Limits.cachedStringBytesMax }
}
