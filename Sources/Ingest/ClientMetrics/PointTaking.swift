import PrometheusText
import TelemetryModel

/// One point on its way into the table.
struct PointTaking {
    struct Outcome {
        var refusal: PointRefusal?
        /// Series that were shown and made room.
        var displaced = 0
        /// Series that were shown, had fallen silent and were in the way.
        var expired = 0
        /// Whether a series that was shown is not any more.
        var hasEnded = false
    }

    let point: MetricPoint
    let receipt: MetricsReceipt
    /// Series written after it do not make room.
    let sequence: UInt64
    let ownNames: Set<String>

    func apply(to table: inout ClientSeriesTable) -> Outcome {
        let name = PrometheusName.family(point)
        guard !point.isTooLarge, name.utf8.count <= table.limits.textBytesMax else { return Outcome(refusal: .tooLarge) }
        if name.isEmpty || isOwn(name) { return Outcome(refusal: .name) }
        guard point.isEnd || point.value?.isPossible(point.kind, isDelta: point.isDelta) == true else {
            return Outcome(refusal: .invalid)
        }
        let pairs = PrometheusName.labels(point)
        let longest = pairs.map { max($0.name.utf8.count, $0.value.utf8.count) }.max() ?? 0
        guard pairs.count <= table.limits.labelsMax, longest <= table.limits.textBytesMax else { return Outcome(refusal: .tooLarge) }
        let labels = ExactText(LabelText.render(pairs))
        var expired = 0
        if !table.admits(name, point.kind) {
            guard let removed = table.makeWay(for: name, point.kind, at: receipt.instant) else { return Outcome(refusal: .conflict) }
            expired += removed
        }
        var slot = table.slot(name, labels)
        if let other = slot, let series = table.series(other), series.identity != point.identity {
            guard table.isSilent(other, at: receipt.instant) else { return Outcome(refusal: .conflict) }
            expired += table.remove([other])
            slot = nil
        }
        var outcome = point.isEnd ? end(slot, &table) : write(name, labels, slot, &table)
        outcome.expired = expired
        return outcome
    }

    private func isOwn(_ name: String) -> Bool {
        !ownNames.isDisjoint(with: MetricFamily.claimedNames(name, point.kind.prometheus))
    }

    // MARK: Times

    /// Times up to here can be trusted.
    private func latest(_ limits: ClientMetricsLimits) -> UInt64 {
        let (latest, overflow) = UInt64(clamping: receipt.unixNano).addingReportingOverflow(limits.aheadNanosecondsMax)
        return overflow ? .max : latest
    }

    private func isTrusted(_ limits: ClientMetricsLimits) -> Bool {
        point.timeUnixNano > 0 && point.timeUnixNano <= latest(limits)
    }

    /// Whether the series has seen something later. Times that cannot be trusted, the point's or the series', say nothing: then what
    /// comes later is later. A series that began anew is later too.
    private func isLate(_ series: ClientSeriesTable.Series, _ limits: ClientMetricsLimits) -> Bool {
        guard isTrusted(limits), series.timeUnixNano <= latest(limits), point.timeUnixNano < series.timeUnixNano else { return false }
        let hasBegunAnew =
            series.startTimeUnixNano > 0 && point.startTimeUnixNano > series.startTimeUnixNano
            && point.startTimeUnixNano <= point.timeUnixNano
        return !hasBegunAnew
    }

    private func note(_ series: inout ClientSeriesTable.Series, _ limits: ClientMetricsLimits) {
        guard isTrusted(limits) else { return }
        // Deltas come in any order.
        let isOlder = point.isDelta && series.timeUnixNano <= latest(limits) && point.timeUnixNano < series.timeUnixNano
        if !isOlder { series.timeUnixNano = point.timeUnixNano }
        series.startTimeUnixNano = point.startTimeUnixNano
    }

    // MARK: Values

    private func end(_ slot: Int?, _ table: inout ClientSeriesTable) -> Outcome {
        // What was never shown need not end.
        guard let slot, var series = table.series(slot) else { return Outcome() }
        if isLate(series, table.limits) { return Outcome(refusal: .late) }
        let wasShown = series.value != nil
        note(&series, table.limits)
        series.value = nil
        series.lines = 0
        series.bytes = ClientSeriesTable.textBytes(series.family, series.labels, lines: 1)
        series.written = receipt.instant
        table.write(slot, series)
        return Outcome(hasEnded: wasShown)
    }

    private func write(_ name: String, _ labels: ExactText, _ slot: Int?, _ table: inout ClientSeriesTable) -> Outcome {
        let limits = table.limits
        var series = slot.flatMap(table.series)
        guard var value = point.value else { return Outcome(refusal: .invalid) }
        var deltas = series?.deltas ?? RememberedDeltas()
        if point.isDelta {
            if point.timeUnixNano != 0, deltas.remember(digest(value), countMax: limits.deltasRememberedMax) {
                return Outcome(refusal: .duplicate)
            }
            if let series, series.isDelta, let old = series.value { value = old.adding(value) }
        } else if let series, isLate(series, limits) {
            return Outcome(refusal: .late)
        }
        let bytes = ClientSeriesTable.textBytes(name, labels, lines: value.lines)
        guard bytes <= limits.seriesBytesMax else { return Outcome(refusal: .tooLarge) }
        let head = table.families[name] == nil ? ClientSeriesTable.headBytes(name, point.help) : 0
        let more = (
            series: slot == nil ? 1 : 0, lines: value.lines - (series?.lines ?? 0), bytes: bytes - (series?.bytes ?? 0) + head
        )
        guard let leaving = table.leaving(for: more, keeping: slot, after: sequence) else { return Outcome(refusal: .full) }
        let displaced = table.remove(leaving)
        let place = slot ?? table.add(name, labels, point, at: receipt.instant)
        series = table.series(place)
        guard var series else { return Outcome(refusal: .full) }
        note(&series, limits)
        series.value = value
        series.isDelta = point.isDelta
        series.deltas = deltas
        series.written = receipt.instant
        series.lines = value.lines
        series.bytes = bytes
        table.write(place, series)
        return Outcome(displaced: displaced)
    }

    /// The same for a point that is sent again: of the same process, start, time and value.
    private func digest(_ value: MetricPoint.Value) -> Int {
        var hasher = Hasher()
        hasher.combine(point.source)
        hasher.combine(point.startTimeUnixNano)
        hasher.combine(point.timeUnixNano)
        hasher.combine(value)
        return hasher.finalize()
    }
}
