/// One point of a metric that a client sent.
package struct MetricPoint: Equatable, Sendable {
    /// What the metric is to Prometheus.
    package enum Kind: Equatable, Sendable {
        case gauge, counter, histogram
    }

    package enum Value: Equatable, Sendable {
        case number(Double)
        /// `counts` has one more than `bounds`; not cumulative.
        case buckets(bounds: [Double], counts: [UInt64], sum: Double)
    }

    package var name = ""
    package var unit = ""
    package var help = ""
    package var kind = Kind.gauge
    /// Whether the value is what came since the last point, rather than since the start.
    package var isDelta = false
    /// Attributes of the point, as text.
    package var attributes: [(key: String, value: String)] = []
    /// `service.name`, with its namespace before a slash.
    package var job = ""
    /// `service.instance.id`
    package var instance = ""
    package var timeUnixNano: UInt64 = 0
    package var value = Value.number(0)

    package init() {}

    package static func == (left: MetricPoint, right: MetricPoint) -> Bool {
        left.name == right.name && left.unit == right.unit && left.kind == right.kind && left.isDelta == right.isDelta
            && left.attributes.elementsEqual(right.attributes, by: ==) && left.job == right.job && left.instance == right.instance
            && left.timeUnixNano == right.timeUnixNano && left.value == right.value
    }
}
