import Derivations
import GatewayRules
import PrometheusText
import TelemetryModel

/// The gauges that the rules know: made of one look at them.
struct GatewayGauges: MetricSource {
    enum Which: CaseIterable {
        case inflight, slots, depth, limit, breaker, opens, saturated, state, resident, memory, cluster
        case gpuUtilization, gpuUsed, gpuTotal, gpuOfProcess
    }

    let which: Which
    let shared: GatewayShared

    func family() -> MetricFamily {
        let view = shared.desk.view
        return switch which {
        case .inflight: backends("fusebox_gateway_inflight_requests", "Calls that hold a slot.", view) { Double($0.running) }
        case .slots: backends("fusebox_gateway_slots", "Calls that a backend may have at once.", view) { Double($0.slots) }
        case .depth: models("fusebox_gateway_queue_depth", "Requests that wait.", view) { Double($0.waiting) }
        case .limit: models("fusebox_gateway_queue_limit", "Requests that may wait.", view) { Double($0.queueDepth) }
        case .breaker:
            MetricFamily(
                name: "fusebox_gateway_breaker_state", help: "1 for the state that a backend's breaker is in.", kind: .gauge,
                samples: view.backends.flatMap { backend in
                    [BreakerState.closed, .halfOpen, .open].map { state in
                        .init(
                            labels: LabelText.render([("backend", backend.name), ("state", state.rawValue)]),
                            value: .double(backend.breaker == state ? 1 : 0))
                    }
                })
        case .saturated:
            MetricFamily(
                name: "fusebox_gateway_saturated", help: "1 for each reason why a model's backends do not keep up.", kind: .gauge,
                samples: view.models.flatMap { model in
                    Saturation.Cause.allCases.map { cause in
                        .init(
                            labels: LabelText.render([("model", model.name), ("cause", cause.rawValue)]),
                            value: .double(model.saturation.contains(cause) ? 1 : 0))
                    }
                })
        case .state: state(view)
        case .resident: resident()
        case .memory: memory()
        case .gpuUtilization:
            gpus("fusebox_gateway_gpu_utilization_ratio", "Part of the time in which a GPU worked, from 0 to 1.", .ratio) {
                $0.utilizationRatio
            }
        case .gpuUsed:
            gpus("fusebox_gateway_gpu_memory_used_bytes", "Memory of a GPU that is taken, in bytes.", .bytes) {
                $0.usedBytes.map { Double($0) }
            }
        case .gpuTotal:
            gpus("fusebox_gateway_gpu_memory_bytes", "Memory of a GPU, in bytes.", .bytes) { $0.totalBytes.map { Double($0) } }
        case .gpuOfProcess: gpuOfProcesses()
        case .cluster:
            MetricFamily(
                name: "fusebox_gateway_kubernetes_in_sync",
                help: "1 when the cluster says of the models what is true here, 0 when it does not.", kind: .gauge,
                samples: shared.cluster.reporter.map { [.init(value: .double($0.condition.isInSync ? 1 : 0))] } ?? [])
        case .opens:
            MetricFamily(
                name: "fusebox_gateway_breaker_opens_total", help: "How often a backend's breaker opened.", kind: .counter,
                samples: view.backends.map {
                    .init(labels: LabelText.render([("backend", $0.name)]), value: .integer($0.opens))
                })
        }
    }

    private func backends(
        _ name: String, _ help: String, _ view: GatewayView, _ value: (GatewayView.Backend) -> Double
    ) -> MetricFamily {
        MetricFamily(
            name: name, help: help, kind: .gauge,
            samples: view.backends.map {
                .init(labels: LabelText.render([("backend", $0.name)]), value: .double(value($0)))
            })
    }

    private func models(
        _ name: String, _ help: String, _ view: GatewayView, _ value: (GatewayView.Model) -> Double
    ) -> MetricFamily {
        MetricFamily(
            name: name, help: help, kind: .gauge,
            samples: view.models.map { .init(labels: LabelText.render([("model", $0.name)]), value: .double(value($0))) })
    }

    /// 1 for the state that a backend is in; other states have no line.
    private func state(_ view: GatewayView) -> MetricFamily {
        let now = GatewaySources.uptimeNanoseconds()
        return MetricFamily(
            name: "fusebox_gateway_backend_state", help: "1 for the state that a backend is in.", kind: .gauge,
            samples: view.backends.enumerated().map { index, backend in
                let state = GatewayStatus.state(index, shared, now).state
                return .init(labels: LabelText.render([("backend", backend.name), ("state", state)]), value: .double(1))
            })
    }

    private func resident() -> MetricFamily {
        MetricFamily(
            name: "fusebox_gateway_process_resident_bytes", help: "Memory of the processes that the gateway started, in bytes.",
            kind: .gauge, unit: .bytes,
            samples: shared.supervisors.list.map {
                .init(labels: LabelText.render([("backend", $0.name)]), value: .integer($0.condition.residentBytes))
            })
    }

    /// Of the machine; without processes of ours nobody asks.
    private func memory() -> MetricFamily {
        let memory = shared.supervisors.list.isEmpty ? nil : HostMemory.current()
        return MetricFamily(
            name: "fusebox_gateway_memory_available_ratio", help: "Part of the memory that is available, from 0 to 1.",
            kind: .gauge,
            unit: .ratio,
            samples: memory.map { [.init(value: .double(Double($0.availableBytes) / Double(max($0.totalBytes, 1))))] } ?? [])
    }

    /// What a driver does not tell has no line.
    private func gpus(
        _ name: String, _ help: String, _ unit: MetricFamily.Unit, _ value: (GPUReading.Device) -> Double?
    ) -> MetricFamily {
        MetricFamily(
            name: name, help: help, kind: .gauge, unit: unit,
            samples: (shared.gpus.current()?.devices ?? []).compactMap { device in
                value(device).map { .init(labels: LabelText.render([("gpu", device.name)]), value: .double($0)) }
            })
    }

    private func gpuOfProcesses() -> MetricFamily {
        let uses = shared.supervisors.list.isEmpty ? [] : shared.gpus.current()?.uses ?? []
        return MetricFamily(
            name: "fusebox_gateway_process_gpu_memory_bytes",
            help: "Memory on GPUs of the processes that the gateway started, in bytes.", kind: .gauge, unit: .bytes,
            samples: shared.supervisors.list.compactMap { supervisor in
                guard let pid = supervisor.condition.pid else { return nil }
                let own = uses.filter { ProcessGroup.of($0.pid) == pid }
                guard !own.isEmpty else { return nil }
                return .init(
                    labels: LabelText.render([("backend", supervisor.name)]),
                    value: .integer(own.reduce(Int64(0)) { $0.addingSaturated($1.bytes) }))
            })
    }
}
