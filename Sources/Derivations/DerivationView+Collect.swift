package import PrometheusText
import TelemetryModel

/// The exposition: metrics.md 3.1. The same state at the same time gives the same families, exemplars aside.
extension DerivationView {
    private typealias Limits = SpanDerivations.Limits

    /// All families that have samples, by name, their samples by labels. `unixNano` is the server's wall clock.
    package func collect(at unixNano: Int64) -> [MetricFamily] {
        var families = everyFamily(at: unixNano)
        for index in families.indices { families[index].samples.sort { $0.labels < $1.labels } }
        return families.filter { !$0.samples.isEmpty }.sorted { $0.name < $1.name }
    }

    func everyFamily(at unixNano: Int64) -> [MetricFamily] {
        let now = time.steady(ofWall: unixNano)
        return counterFamilies() + breakerGauges(at: now) + presenceGauges(at: now, wall: unixNano) + configurationGauges()
            + contractGauges()
    }

    private func counterFamilies() -> [MetricFamily] {
        var samples: [Family: [MetricFamily.Sample]] = [:]
        for series in counters.series { samples[series.family, default: []].append(sample(series)) }
        return Family.allCases.map { family in
            MetricFamily(
                name: family.rawValue, help: family.help, kind: family.kind, unit: family.unit, samples: samples[family] ?? [])
        }
    }

    private func sample(_ series: CounterTable.Series) -> MetricFamily.Sample {
        guard series.family.isHistogram else {
            let value = counters.value(series.first)
            let exemplar = counters.exemplars[series.first].map { exemplar in
                MetricFamily.Exemplar(
                    traceID: exemplar.traceID.hexadecimal, spanID: exemplar.spanID.hexadecimal, value: exemplar.value,
                    timeUnixNano: exemplar.timeUnixNano)
            }
            return MetricFamily.Sample(
                labels: series.labels, value: series.family.isSeconds || series.family.isDollars ? .double(Self.seconds(value)) : .integer(value),
                exemplar: exemplar)
        }
        let bounds = series.family.bounds
        let counts = (0...bounds.count).map { counters.value(series.first + CounterTable.ID($0)) }
        let sum = counters.value(series.first + CounterTable.ID(bounds.count + 1))
        return MetricFamily.Sample(
            labels: series.labels,
            value: .histogram(
                MetricFamily.Histogram(
                    bounds: bounds, counts: counts, sum: series.family.isSeconds ? Self.seconds(sum) : Double(sum))))
    }

    /// Breakers by state. A series lives as long as its counters; its breakers leave when their process falls silent.
    private func breakerGauges(at now: Int64) -> [MetricFamily] {
        var reported = BreakerTally(opens: .breakerOpens, counters)
        var derived = BreakerTally(opens: .derivedOpens, counters)
        for breaker in book.live {
            let seen = presence.lastReceived(service: breaker.service, instance: breaker.instance)
            guard now.subtractingSaturated(seen) <= Limits.presenceNanoseconds else { continue }
            let machines = breaker.replayed(at: now, rules)
            if let machine = machines.reported, let stage = machine.stage {
                reported.add(breaker.labels(stage), machine.shown, openFor: now.subtractingSaturated(machine.since))
            }
            if let machine = machines.derived, let stage = machine.stage {
                derived.add(breaker.labels(stage), machine.state, openFor: 0)
            }
        }
        return [
            MetricFamily(
                name: "agent_breaker_instances", help: "Breakers by the state that clients reported.", kind: .gauge,
                samples: reported.instanceSamples),
            MetricFamily(
                name: "agent_breaker_open_age_seconds", help: "How long the oldest open breaker has been open.", kind: .gauge,
                unit: .seconds,
                samples: reported.ages.map { labels, age in
                    MetricFamily.Sample(labels: labels.text, value: .double(Self.seconds(age)))
                }),
            MetricFamily(
                name: "agent_breaker_derived_instances", help: "Breakers by the state that the fuse table asks for.",
                kind: .gauge, samples: derived.instanceSamples),
        ]
    }

    private func presenceGauges(at now: Int64, wall: Int64) -> [MetricFamily] {
        var depths: [Int32: Int64] = [:]
        for instance in presence.liveInstances
        where instance.queueDepthTime != .min
            && now.subtractingSaturated(instance.queueDepthTime) <= Limits.queueDepthNanoseconds
        {
            depths[instance.service] = max(depths[instance.service] ?? .min, instance.queueDepth)
        }
        let ends = presence.services.indices.filter { presence.services[$0].lastSpan != .min }
        return [
            MetricFamily(
                name: "agent_queue_depth", help: "The largest of the processes' newest queue depths.", kind: .gauge,
                samples: depths.map { MetricFamily.Sample(labels: presence.labels(ofService: Int($0.key)), value: .integer($0.value)) }),
            MetricFamily(
                name: "agent_last_span_timestamp_seconds", help: "The latest end of a span.", kind: .gauge, unit: .seconds,
                samples: ends.map { index in
                    let service = presence.services[index]
                    let end = time.told(service.lastSpan, offset: service.lastSpanOffset, at: wall)
                    return MetricFamily.Sample(labels: presence.labels(ofService: index), value: .double(Self.seconds(end)))
                }),
        ]
    }

    private func configurationGauges() -> [MetricFamily] {
        let fuses: [MetricFamily.Sample] = [Stage.httpTool, .subprocess, .vector].compactMap { stage in
            policy.fuseNanoseconds(stage: stage, model: nil).map { fuse in
                MetricFamily.Sample(
                    labels: LabelText.render([("stage", stage.rawValue)]), value: .double(Self.seconds(fuse)))
            }
        }
        func gauge(_ name: String, _ help: String, _ unit: MetricFamily.Unit?, _ value: MetricFamily.Value?) -> MetricFamily {
            MetricFamily(
                name: name, help: help, kind: .gauge, unit: unit, samples: value.map { [MetricFamily.Sample(value: $0)] } ?? [])
        }
        return [
            MetricFamily(
                name: "agent_fuse_limit_seconds", help: "The fuse of a stage, as configured.", kind: .gauge, unit: .seconds,
                samples: fuses),
            gauge(
                "agent_breaker_cooldown_limit_seconds", "How long a breaker stays open, as configured.", .seconds,
                .double(Self.seconds(rules.cooldown))),
            gauge(
                "agent_breaker_threshold_limit", "Timeouts in a row that open a breaker, as configured.", nil,
                .integer(Int64(rules.threshold))),
            gauge(
                "agent_gate_p95_limit_seconds", "The gate of workflow durations, as configured.", .seconds,
                policy.p95LatencyGateNanoseconds.map { .double(Self.seconds($0)) }),
        ]
    }

    /// What is left of each host's memory at the worst, and the limits of the configuration.
    private func contractGauges() -> [MetricFamily] {
        var used: [ExactText: Int64] = [:]
        for series in counters.series where series.family == .hostMemoryPeak { used[ExactText(series.labels)] = counters.value(series.first) }
        var headroom: [MetricFamily.Sample] = []
        for series in counters.series where series.family == .hostMemoryTotal {
            let total = counters.value(series.first)
            guard total > 0, let peak = used[ExactText(series.labels)] else { continue }
            headroom.append(MetricFamily.Sample(labels: series.labels, value: .double(1 - Double(peak) / Double(total))))
        }
        func limit(_ name: String, _ help: String, _ value: Int64?) -> MetricFamily {
            MetricFamily(
                name: name, help: help, kind: .gauge, samples: value.map { [MetricFamily.Sample(value: .integer($0))] } ?? [])
        }
        return [
            MetricFamily(
                name: "agent_host_memory_headroom_ratio", help: "Part of a host's memory that was free when least was.", kind: .gauge,
                unit: .ratio, samples: headroom),
            limit(
                "agent_workflow_concurrency_limit", "Workflows that may run at once in a process or on a host, as configured.",
                policy.workflowConcurrencyMax),
            limit("agent_retrieval_batch_limit", "Items that one retrieval may bring, as configured.", policy.retrievalBatchMax),
            limit("agent_embed_batch_limit", "Texts that one call may embed, as configured.", policy.embedBatchMax),
        ]
    }

    private static func seconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e9 }
}
