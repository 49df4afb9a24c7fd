import PrometheusText
import TelemetryModel

/// The loop contract: metrics.md 2.14. Only runs, model calls, embeddings, batches and readings of memory come here.
extension SpanDerivations {
    mutating func observeContract(_ span: borrowing ObservedSpan, _ decision: borrowing Decision, _ instance: Int32, _ overflow: inout OverflowSet) {
        let service = presence.instances[Int(instance)].service
        let created = span.receivedTimeUnixNano
        observeBatches(span, service, created)
        observeMemory(span, service, created, &overflow)
        guard span.isTimed, span.endTimeUnixNano > span.startTimeUnixNano else { return }
        let isEmbedding = span.operation == Operations.embeddings
        let isModelCall = decision.classification.stage == .llm && !isEmbedding
        guard decision.classification.isRun || isEmbedding || isModelCall else { return }
        let origin = contract.origin(service: span.service, instance: span.instance, host: span.declaration.host)
        if decision.classification.isRun { observeRun(span, origin, service, created, &overflow) }
        guard isEmbedding || isModelCall else { return }
        let gained = contract.addCall(span.startTimeUnixNano, span.endTimeUnixNano, isEmbedding: isEmbedding, from: origin)
        if gained > 0 {
            let host = host(span.declaration.host, created, &overflow)
            counters.add(counter(of: host, .overlap, .embeddingOverlap, created), gained)
        }
    }

    private mutating func observeRun(
        _ span: borrowing ObservedSpan, _ origin: ContractBook.Origin, _ service: Int32, _ created: Int64, _ overflow: inout OverflowSet
    ) {
        let limit = policy.workflowConcurrencyMax ?? span.declaration.workflowLimit
        let found = contract.addRun(span.startTimeUnixNano, span.endTimeUnixNano, limit: limit, from: origin)
        counters.raise(counter(of: service, .concurrency, .workflowConcurrency, created), to: found.inProcess)
        let host = host(span.declaration.host, created, &overflow)
        counters.raise(counter(of: host, .hostConcurrency, .hostWorkflowConcurrency, created), to: found.onHost)
        // Both are there, at zero, before the first breach.
        if limit != nil { _ = (breaches(of: service, isOfHost: false, created), breaches(of: service, isOfHost: true, created)) }
        for breach in found.breaches {
            let label = labels.exposed(.service, breach.source.service, service: "")
            counters.add(breaches(of: presence.service(label), isOfHost: breach.isOfHost, created))
        }
    }

    private mutating func observeBatches(_ span: borrowing ObservedSpan, _ service: Int32, _ created: Int64) {
        if let size = span.embedBatch {
            counters.observe(counter(of: service, .embedBatch, .embedBatch, created), size, .embedBatch)
            if let limit = policy.embedBatchMax ?? span.declaration.embedLimit {
                let breaches = counter(of: service, .embedBreaches, .embedBatchBreaches, created)
                if size > limit { counters.add(breaches) }
            }
        }
        if let size = span.retrievalBatch, let limit = policy.retrievalBatchMax ?? span.declaration.retrievalLimit {
            let breaches = counter(of: service, .retrievalBreaches, .retrievalBatchBreaches, created)
            if size > limit { counters.add(breaches) }
        }
    }

    private mutating func observeMemory(
        _ span: borrowing ObservedSpan, _ service: Int32, _ created: Int64, _ overflow: inout OverflowSet
    ) {
        let process = span.processMemory ?? span.declaration.processMemory
        let used = span.hostMemory ?? span.declaration.hostMemory
        let total = span.hostMemoryTotal ?? span.declaration.hostMemoryTotal
        guard process != nil || used != nil || total != nil else { return }
        if let process { counters.raise(counter(of: service, .processMemory, .processMemoryPeak, created), to: process) }
        let host = host(span.declaration.host, created, &overflow)
        counters.raise(counter(of: host, .hostMemory, .hostMemoryPeak, created), to: max(process ?? 0, used ?? 0))
        counters.raise(counter(of: host, .hostMemoryTotal, .hostMemoryTotal, created), to: total ?? 0)
    }

    // MARK: Counters

    private mutating func counter(of service: Int32, _ kind: ContractSeries.Kind, _ family: Family, _ created: Int64) -> CounterTable.ID {
        let key = ContractSeries.Key(owner: service, kind: kind)
        if let known = contract.series.numbers[key] { return known }
        let made = counters.id(family, serviceLabels(Int(service)), created: created)
        contract.series.numbers[key] = made
        return made
    }

    private mutating func breaches(of service: Int32, isOfHost: Bool, _ created: Int64) -> CounterTable.ID {
        let key = ContractSeries.Key(owner: service, kind: isOfHost ? .hostBreaches : .processBreaches)
        if let known = contract.series.numbers[key] { return known }
        let scope = ",scope=\"\(isOfHost ? "host" : "process")\""
        let made = counters.id(.workflowBreaches, serviceLabels(Int(service)) + scope, created: created)
        contract.series.numbers[key] = made
        return made
    }

    private mutating func counter(
        of host: ContractSeries.Host, _ kind: ContractSeries.Kind, _ family: Family, _ created: Int64
    ) -> CounterTable.ID {
        let key = ContractSeries.Key(owner: host.number, kind: kind)
        if let known = contract.series.numbers[key] { return known }
        let made = counters.id(family, host.labels, created: created)
        contract.series.numbers[key] = made
        return made
    }

    private mutating func host(_ name: String, _ created: Int64, _ overflow: inout OverflowSet) -> ContractSeries.Host {
        let host: ContractSeries.Host
        if let known = contract.series.hosts[ExactText(name)] {
            host = known
        } else {
            if contract.series.hosts.count >= Limits.contractHostsMax { contract.series.removeAll() }
            let label = admit(.host, LabelSanitiser.clean(name), "", created)
            host = ContractSeries.Host(
                number: Int32(truncatingIfNeeded: contract.series.hosts.count), labels: LabelText.render([("host", label.value)]),
                isOverflow: label.isOverflow)
            contract.series.hosts[ExactText(name)] = host
        }
        if host.isOverflow { overflow.insert(.host) }
        return host
    }
}

extension ObservedSpan {
    /// It tells a batch's size, or of memory, itself.
    @inline(__always)
    var hasReadings: Bool {
        retrievalBatch != nil || embedBatch != nil || processMemory != nil || hostMemory != nil || hostMemoryTotal != nil
    }
}
