import Synchronization

/// A value that goes up and down, without labels.
package final class GaugeMetric: MetricSource {
    /// Stands for "not set yet". A quiet NaN whose payload no computation gives; `set` stores other NaNs as the plain one.
    private static let unset = UInt64.max

    private let name: String
    private let help: String
    private let unit: MetricFamily.Unit?
    private let bits: Atomic<UInt64>

    /// With `initially` nil the gauge has no sample until it is set, which is right for a time that has not come yet.
    package init(_ name: String, help: String, unit: MetricFamily.Unit? = nil, initially: Double? = 0) {
        self.name = name
        self.help = help
        self.unit = unit
        bits = Atomic(initially.map(Self.bits) ?? Self.unset)
    }

    /// Replaces the value.
    package func set(_ value: Double) {
        bits.store(Self.bits(value), ordering: .relaxed)
    }

    /// Replaces the value; exact up to 2^53.
    package func set(_ value: Int) {
        set(Double(value))
    }

    /// Adds `amount`, which may be negative; an unset gauge counts as zero.
    package func add(_ amount: Double) {
        var current = bits.load(ordering: .relaxed)
        while true {
            let next = Self.bits((Self.value(current) ?? 0) + amount)
            let (exchanged, original) = bits.weakCompareExchange(expected: current, desired: next, ordering: .relaxed)
            if exchanged { return }
            current = original
        }
    }

    /// The value as it is now, `nil` when it was never set.
    package var value: Double? { Self.value(bits.load(ordering: .relaxed)) }

    package func family() -> MetricFamily {
        MetricFamily(
            name: name, help: help, kind: .gauge, unit: unit, samples: value.map { [.init(value: .double($0))] } ?? [])
    }

    private static func bits(_ value: Double) -> UInt64 {
        value.isNaN ? Double.nan.bitPattern : value.bitPattern
    }

    private static func value(_ bits: UInt64) -> Double? {
        bits == unset ? nil : Double(bitPattern: bits)
    }
}
