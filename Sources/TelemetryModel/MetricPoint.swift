/// One point of a metric that a client sent.
package struct MetricPoint: Equatable, Sendable {
    /// What the metric is to Prometheus.
    package enum Kind: Equatable, Sendable {
        case gauge, counter, histogram
    }

    package enum Value: Hashable, Sendable {
        /// A whole number, exact.
        case integer(Int64)
        case number(Double)
        /// `bounds` ascend, none of them twice, without infinity; `counts` has one more, for what lies above them all, and is not
        /// cumulative. The sum is `nil` when the client did not tell it.
        case buckets(bounds: [Double], counts: [UInt64], sum: Double?)
    }

    /// An attribute whose value is written as a label: texts, numbers and truth as they are, bytes in base64, lists and maps as JSON.
    package struct Attribute: Equatable, Sendable {
        package var key: String
        package var text: String

        package init(key: String, text: String) {
            self.key = key
            self.text = text
        }
    }

    /// The instrumentation scope: which library measures.
    package struct Scope: Equatable, Sendable {
        package var name = ""
        package var version = ""
        package var schemaURL = ""
        package var attributes: [Attribute] = []

        package init() {}
    }

    package var name = ""
    package var unit = ""
    package var help = ""
    package var kind = Kind.gauge
    /// Whether the value is what came since the last point, rather than since the start.
    package var isDelta = false
    package var attributes: [Attribute] = []
    package var scope = Scope()
    /// `service.name`, with its namespace before a slash; empty without one.
    package var job = ""
    /// `service.instance.id`, or what stands for it: `ResourceIdentity.instanceID`.
    package var instance = ""
    /// A seeded hash of the whole resource: two points with different ones come from different processes.
    package var source = 0
    /// A seeded hash of what tells the series from all others as it came over the wire: name, unit, scope and attributes. Labels
    /// cannot tell them all apart.
    package var identity = 0
    /// Nanoseconds since 1970; 0 when the client did not say.
    package var startTimeUnixNano: UInt64 = 0
    /// Nanoseconds since 1970; 0 when the client did not say.
    package var timeUnixNano: UInt64 = 0
    /// `nil` when the point has none.
    package var value: Value?
    /// Whether the point says that the series has ended (the flag "no recorded value").
    package var isEnd = false
    /// Whether something of it was longer than the decoder's limits, and is missing here.
    package var isTooLarge = false

    package init() {}
}
