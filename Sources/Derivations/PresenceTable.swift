import PrometheusText
import TelemetryModel

/// The services and their processes: when each was last heard of, the newest span, the queue depth. Times are steady, `Int64.min`
/// for never.
///
/// A change is written only once its span's receipt is settled: until then a replay of the spans that are not gives it back. So
/// each busy process costs one row a settle time.
struct PresenceTable: Sendable {
    static let serviceKind = "service"
    static let instanceKind = "instance"

    /// One exposed service.
    struct Service: Sendable {
        let label: String
        var lastReceived = Int64.min
        /// The latest end of a span, at most its receipt.
        var lastSpan = Int64.min
        /// The epoch of that: what came after the wall clock jumped is later.
        var lastSpanEpoch: UInt32 = 0
        /// The wall clock less steady time, as it was then.
        var lastSpanOffset: Int64 = 0
        var retrievalBatch: CounterTable.ID = -1
        var queueDepthObserved: CounterTable.ID = -1
        var isDirty = false
    }

    /// One process of one service as the clients name them.
    struct Instance: Sendable {
        let key: InstanceKey
        let service: Int32
        /// The service's name is past its label's cap.
        let isServiceOverflow: Bool
        /// Stands for the processes past the table's cap: no breaker is told apart in it.
        let isShared: Bool
        var lastReceived = Int64.min
        var queueDepth: Int64 = 0
        var queueDepthTime = Int64.min
        var queueDepthEpoch: UInt32 = 0
        var breakerCount = 0
        var isDirty = false
    }

    /// Clean strings.
    struct InstanceKey: Hashable, Sendable {
        @ByBytes var service: String
        @ByBytes var instance: String

        var text: String { "\(service)\u{1F}\(instance)" }
    }

    private struct Unsaved {
        var due: Int64
        var position: Int32
        var isInstance: Bool
    }

    var services: [Service] = []
    private var serviceIDs: [ExactText: Int32] = [:]
    private(set) var instances: [Instance] = []
    private var instanceIDs: [InstanceKey: Int32] = [:]
    private var free: [Int32] = []
    private var unsaved = FirstInFirstOut<Unsaved>()
    private var removed: [InstanceKey] = []

    init() {}

    var liveInstances: some Sequence<Instance> { instanceIDs.values.sorted().lazy.map { instances[Int($0)] } }

    /// The labels of a series of a service, by its position.
    func labels(ofService position: Int) -> String { LabelText.render([("service_name", services[position].label)]) }

    mutating func service(_ label: String) -> Int32 {
        if let position = serviceIDs[ExactText(label)] { return position }
        let position = Int32(truncatingIfNeeded: services.count)
        services.append(Service(label: label))
        serviceIDs[ExactText(label)] = position
        return position
    }

    func existing(_ key: InstanceKey) -> Int32? { instanceIDs[key] }

    /// The position of a process, which is made if there is room; otherwise that of its service's shared entry.
    mutating func instance(_ key: InstanceKey, service: Int32, isServiceOverflow: Bool) -> Int32 {
        if let position = instanceIDs[key] { return position }
        var key = key
        let isShared = instanceIDs.count >= SpanDerivations.Limits.instancesMax
        if isShared {
            key = InstanceKey(service: services[Int(service)].label, instance: LabelSanitiser.overflow)
            if let position = instanceIDs[key] { return position }
        }
        let instance = Instance(key: key, service: service, isServiceOverflow: isServiceOverflow, isShared: isShared)
        let position: Int32
        if let vacant = free.popLast() {
            position = vacant
            instances[Int(position)] = instance
        } else {
            position = Int32(truncatingIfNeeded: instances.count)
            instances.append(instance)
        }
        instanceIDs[key] = position
        return position
    }

    /// When the breaker's process, or without one its service, was last heard of.
    func lastReceived(service: Int32, instance: Int32) -> Int64 {
        instance < 0 ? services[Int(service)].lastReceived : instances[Int(instance)].lastReceived
    }

    /// Notes a span that came with a receipt. `end` is `nil` when it takes no part in what needs event times.
    @inline(__always)
    mutating func touch(
        _ position: Int32, received: Int64, end: Int64?, queueDepth: Int64?, _ receipt: SettleClock.Receipt
    ) {
        let index = Int(position)
        if received > instances[index].lastReceived {
            instances[index].lastReceived = received
            markInstance(position, receipt.due)
        }
        let service = instances[index].service
        if received > services[Int(service)].lastReceived {
            services[Int(service)].lastReceived = received
            markService(service, receipt.due)
        }
        guard let end else { return }
        let time = min(end, received)
        let epoch = receipt.epoch
        let known = services[Int(service)].lastSpanEpoch
        if epoch == known ? time > services[Int(service)].lastSpan : epoch > known {
            services[Int(service)].lastSpan = time
            services[Int(service)].lastSpanEpoch = epoch
            services[Int(service)].lastSpanOffset = receipt.offset
            markService(service, receipt.due)
        }
        guard let queueDepth else { return }
        let shown = instances[index].queueDepthEpoch
        if epoch == shown ? time >= instances[index].queueDepthTime : epoch > shown {
            instances[index].queueDepth = queueDepth
            instances[index].queueDepthTime = time
            instances[index].queueDepthEpoch = epoch
            markInstance(position, receipt.due)
        }
    }

    mutating func retainBreaker(instance: Int32) {
        if instance >= 0 { instances[Int(instance)].breakerCount += 1 }
    }

    mutating func releaseBreaker(instance: Int32) {
        if instance >= 0 { instances[Int(instance)].breakerCount -= 1 }
    }

    /// Forgets processes that have been silent for long and have no breaker. True when one was forgotten.
    mutating func sweep(_ clock: Int64) -> Bool {
        let count = instanceIDs.count
        for (key, position) in instanceIDs.sorted(by: { $0.value < $1.value }) {
            let instance = instances[Int(position)]
            guard !instance.isDirty, instance.breakerCount == 0,
                clock.subtractingSaturated(instance.lastReceived) > SpanDerivations.Limits.instanceIdleNanoseconds
            else { continue }
            instanceIDs[key] = nil
            free.append(position)
            removed.append(key)
        }
        return instanceIDs.count < count
    }

    @inline(__always)
    private mutating func markInstance(_ position: Int32, _ due: Int64) {
        guard !instances[Int(position)].isDirty else { return }
        instances[Int(position)].isDirty = true
        unsaved.append(Unsaved(due: due, position: position, isInstance: true))
    }

    @inline(__always)
    private mutating func markService(_ position: Int32, _ due: Int64) {
        guard !services[Int(position)].isDirty else { return }
        services[Int(position)].isDirty = true
        unsaved.append(Unsaved(due: due, position: position, isInstance: false))
    }
}

extension PresenceTable {
    /// The rows of what changed with spans that are settled, and the keys of the processes that are gone.
    mutating func takeChanges(_ time: SettleClock) -> (rows: [StateRow], removed: [DerivationChanges.StateKey]) {
        var rows: [StateRow] = []
        while let first = unsaved.first, time.isDue(first.due), let entry = unsaved.popFirst() {
            let index = Int(entry.position)
            if entry.isInstance {
                instances[index].isDirty = false
                rows.append(Self.row(instances[index]))
            } else {
                services[index].isDirty = false
                rows.append(Self.row(services[index]))
            }
        }
        let keys = removed.filter { instanceIDs[$0] == nil }.map { key in
            DerivationChanges.StateKey(kind: Self.instanceKind, key: key.text)
        }
        removed = []
        return (rows, keys)
    }

    mutating func read(service label: String, _ reader: StateReader) {
        let index = Int(service(label))
        services[index].lastReceived = reader.integer("last_received") ?? .min
        services[index].lastSpan = reader.integer("last_span") ?? .min
        services[index].lastSpanOffset = reader.integer("last_span_offset") ?? 0
        services[index].lastSpanEpoch = UInt32(truncatingIfNeeded: reader.integer("last_span_epoch") ?? 0)
    }

    mutating func read(instance position: Int32, _ reader: StateReader) {
        let index = Int(position)
        instances[index].lastReceived = reader.integer("last_received") ?? .min
        instances[index].queueDepth = reader.integer("queue_depth") ?? 0
        instances[index].queueDepthTime = reader.integer("queue_depth_time") ?? .min
        instances[index].queueDepthEpoch = UInt32(truncatingIfNeeded: reader.integer("queue_depth_epoch") ?? 0)
    }

    private static func row(_ service: Service) -> StateRow {
        var writer = StateWriter()
        writer.add("last_received", service.lastReceived)
        if service.lastSpan != .min { writer.add("last_span", service.lastSpan) }
        if service.lastSpanEpoch != 0 { writer.add("last_span_epoch", Int64(service.lastSpanEpoch)) }
        if service.lastSpanOffset != 0 { writer.add("last_span_offset", service.lastSpanOffset) }
        return StateRow(kind: serviceKind, key: service.label, value: writer.finish())
    }

    private static func row(_ instance: Instance) -> StateRow {
        var writer = StateWriter()
        writer.add("service", instance.key.service)
        writer.add("instance", instance.key.instance)
        writer.add("last_received", instance.lastReceived)
        if instance.queueDepthTime != .min {
            writer.add("queue_depth", instance.queueDepth)
            writer.add("queue_depth_time", instance.queueDepthTime)
            if instance.queueDepthEpoch != 0 { writer.add("queue_depth_epoch", Int64(instance.queueDepthEpoch)) }
        }
        return StateRow(kind: instanceKind, key: instance.key.text, value: writer.finish())
    }
}
