import PrometheusText
import TelemetryModel

/// Names and labels of OpenTelemetry's metrics as Prometheus writes them: what its names cannot hold becomes an underscore, the
/// unit is spelled out at the end, and counters end in `_total`.
enum PrometheusName {
    /// Units as OpenTelemetry writes them (UCUM), and Prometheus' words.
    private static let units: [String: String] = [
        "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
        "ns": "nanoseconds",
        "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "kBy": "kilobytes", "MBy": "megabytes",
        "GBy": "gigabytes", "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams",
        "Cel": "celsius",
        "Hz": "hertz", "%": "percent",
    ]

    static func family(_ point: MetricPoint) -> String {
        var name = sanitized(point.name)
        guard !name.isEmpty else { return "" }
        if point.kind == .counter, name.hasSuffix("_total") { name.removeLast("_total".count) }
        if let unit = unit(point), !name.hasSuffix("_" + unit) { name += "_" + unit }
        return point.kind == .counter ? name + "_total" : name
    }

    /// The word for a unit; of `a/b` both, of braces and of what is no unit none.
    private static func unit(_ point: MetricPoint) -> String? {
        if point.unit == "1" { return point.kind == .gauge ? "ratio" : nil }
        let parts = point.unit.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard let first = parts.first, !first.isEmpty, !first.contains("{") else { return nil }
        guard parts.count == 2, !parts[1].contains("{") else { return units[first] ?? sanitized(first) }
        let divisor = units[parts[1]] ?? sanitized(parts[1])
        let single = divisor.hasSuffix("s") ? String(divisor.dropLast()) : divisor
        return (units[first] ?? sanitized(first)) + "_per_" + single
    }

    /// Letters, digits and underscores; none of them doubled, no digit first.
    static func sanitized(_ text: String) -> String {
        var name = ""
        for character in text.unicodeScalars {
            let isKept = ByteClass.isWord(character)
            if isKept { name.unicodeScalars.append(character) } else if name.last != "_" { name += "_" }
        }
        while name.last == "_" { name.removeLast() }
        guard let first = name.unicodeScalars.first else { return "" }
        return ("0"..."9").contains(first) ? "_" + name : name
    }

    /// The labels of a point as exposition text, in the order of their names; those that become the same name share it.
    static func labels(_ point: MetricPoint) -> String {
        var values: [String: String] = [:]
        for (key, value) in point.attributes {
            var name = sanitized(key)
            // `le` and `quantile` are Prometheus' own.
            if name == "le" || name == "quantile" || name.hasPrefix("__") { name = "key_" + name }
            guard !name.isEmpty, !value.isEmpty else { continue }
            values[name] = values[name].map { $0 + ";" + value } ?? value
        }
        if !point.job.isEmpty { values["job"] = point.job }
        if !point.instance.isEmpty { values["instance"] = point.instance }
        return LabelText.render(values.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }
}

private enum ByteClass {
    static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }
}
