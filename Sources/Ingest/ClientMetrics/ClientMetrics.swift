package import PrometheusText
import Synchronization
package import TelemetryModel

/// The latest value of every series that clients sent, for `/metrics`: docs/metrics.md 4. Held in memory: a restart begins anew, as it
/// does for clients' own counters.
package final class ClientMetrics: Sendable {
    package let limits: ClientMetricsLimits
    /// The families that Fusebox itself may show.
    private let own: @Sendable () -> [MetricFamily]
    private let now: @Sendable () -> MetricsReceipt
    /// Names that they claim; made when the first request comes, by which time every metric is registered.
    private let ownNames = Mutex<Set<String>?>(nil)
    private let table: Mutex<ClientSeriesTable>
    private let points: CounterMetric
    private let dropped: LabeledCounterMetric
    private let removed: LabeledCounterMetric
    private let series: GaugeMetric
    private let lines: GaugeMetric
    private let bytes: GaugeMetric

    /// - Parameters:
    ///   - own: the families that Fusebox itself may show beside those of the registry; clients' names never meet theirs.
    ///   - now: the clocks, read at each request and scrape.
    package init(
        registry: MetricRegistry, own: @escaping @Sendable () -> [MetricFamily], limits: ClientMetricsLimits = ClientMetricsLimits(),
        now: @escaping @Sendable () -> MetricsReceipt
    ) {
        self.limits = limits
        self.own = { own() + registry.families() }
        self.now = now
        table = Mutex(ClientSeriesTable(limits: limits))
        points = registry.register(
            CounterMetric("fusebox_client_points_total", help: "Points of clients' metrics that are shown, or end a series."))
        dropped = registry.register(
            LabeledCounterMetric(
                "fusebox_client_points_dropped_total", help: "Points of clients' metrics that are not shown.", labels: ["reason"],
                labelSetsMax: PointRefusal.allCases.count))
        removed = registry.register(
            LabeledCounterMetric(
                "fusebox_client_series_removed_total", help: "Series of clients' metrics that are shown no more.", labels: ["reason"],
                labelSetsMax: Removal.allCases.count))
        series = registry.register(GaugeMetric("fusebox_client_series", help: "Series of clients' metrics that are held."))
        lines = registry.register(GaugeMetric("fusebox_client_exposition_lines", help: "Lines with clients' values in a scrape."))
        bytes = registry.register(
            GaugeMetric("fusebox_client_exposition_bytes", help: "At most the text of clients' metrics in a scrape.", unit: .bytes))
        for reason in PointRefusal.allCases { dropped.cell(reason.rawValue) }
        for reason in Removal.allCases { removed.cell(reason.rawValue) }
    }

    /// Why a series is shown no more: it was silent for too long, made room for others, or its client ended it.
    private enum Removal: String, CaseIterable {
        case expired, displaced, ended
    }

    /// Begins to take the points of one request.
    package func request() -> ClientMetricsRequest {
        let names = ownNames.withLock { names in
            let made = names ?? Set(own().flatMap { MetricFamily.claimedNames($0.name, $0.kind) })
            names = made
            return made
        }
        let receipt = now()
        let (expired, sequence) = table.withLock { table in (table.sweep(at: receipt.instant), table.sequence) }
        removed.increment(Removal.expired.rawValue, by: Int64(expired))
        return ClientMetricsRequest(metrics: self, receipt: receipt, sequence: sequence, ownNames: names)
    }

    /// Takes a point; the reason if it does not.
    fileprivate func take(_ point: MetricPoint, of request: ClientMetricsRequest) -> PointRefusal? {
        let outcome = table.withLock { table in
            let taking = PointTaking(point: point, receipt: request.receipt, sequence: request.sequence, ownNames: request.ownNames)
            let outcome = taking.apply(to: &table)
            show(table)
            return outcome
        }
        removed.increment(Removal.displaced.rawValue, by: Int64(outcome.displaced))
        if outcome.expired > 0 { removed.increment(Removal.expired.rawValue, by: Int64(outcome.expired)) }
        if outcome.hasEnded { removed.increment(Removal.ended.rawValue) }
        if outcome.refusal == nil { points.increment() }
        return outcome.refusal
    }

    fileprivate func count(_ refusals: [PointRefusal: Int]) {
        for (refusal, count) in refusals { dropped.increment(refusal.rawValue, by: Int64(count)) }
    }

    private func show(_ table: ClientSeriesTable) {
        series.set(table.seriesCount)
        lines.set(table.lines)
        bytes.set(table.bytes)
    }

    /// Every family as it is now, by name.
    package func families() -> [MetricFamily] {
        let instant = now().instant
        let (expired, families) = table.withLock { table in
            let expired = table.sweep(at: instant, isForced: true)
            show(table)
            let families = table.families.map { name, family in
                MetricFamily(
                    name: name, help: family.help, kind: family.kind.prometheus,
                    samples: family.series.compactMap { labels, slot in
                        table.series(slot)?.value.map { MetricFamily.Sample(labels: labels.text, value: $0.prometheus) }
                    })
            }
            return (expired, families)
        }
        removed.increment(Removal.expired.rawValue, by: Int64(expired))
        return families.filter { !$0.samples.isEmpty }.sorted { $0.name < $1.name }.map { family in
            family.with(family.samples.sorted { $0.labels.utf8.lexicographicallyPrecedes($1.labels.utf8) })
        }
    }
}

/// The points of one request while they come in.
package final class ClientMetricsRequest {
    private let metrics: ClientMetrics
    fileprivate let receipt: MetricsReceipt
    /// The table's before the request: what is written after it belongs to the request, or to one beside it.
    fileprivate let sequence: UInt64
    fileprivate let ownNames: Set<String>
    private var refusals: [PointRefusal: Int] = [:]

    fileprivate init(metrics: ClientMetrics, receipt: MetricsReceipt, sequence: UInt64, ownNames: Set<String>) {
        self.metrics = metrics
        self.receipt = receipt
        self.sequence = sequence
        self.ownNames = ownNames
    }

    package func take(_ point: MetricPoint) {
        if let refusal = metrics.take(point, of: self) { refusals[refusal, default: 0] += 1 }
    }

    /// Counts what was refused, with points that were not even read; how many they are, and the reasons in words.
    package func finish(unsupported: Int, tooMany: Int) -> (refused: Int, explanation: String) {
        for (refusal, count) in [(PointRefusal.unsupported, unsupported), (.tooMany, tooMany)] where count > 0 {
            refusals[refusal, default: 0] += count
        }
        metrics.count(refusals)
        let reasons = PointRefusal.allCases.compactMap { refusal in
            refusals[refusal].map { "\($0) \(refusal.explanation(metrics.limits))" }
        }
        return (refusals.values.reduce(0, +), reasons.isEmpty ? "" : "points refused: " + reasons.joined(separator: ", "))
    }
}
