import PrometheusText
import TelemetryModel

/// Names and labels of OpenTelemetry's metrics as Prometheus writes them: what its names cannot hold becomes an underscore, the
/// unit is spelled out at the end, and counters end in `_total`. A name with letters beyond ASCII is escaped whole, by the scheme
/// that Prometheus 3 reads back (`U__`), so that two of them do not become one.
enum PrometheusName {
    /// Empty for a metric without a name.
    static func family(_ point: MetricPoint) -> String {
        guard !point.name.isEmpty else { return "" }
        var name = cleaned(point.name)
        if point.kind == .counter, name.hasSuffix("_total") { name.removeLast("_total".count) }
        if name.isEmpty { name = point.name }
        if let unit = PrometheusUnit.word(point.unit, isGauge: point.kind == .gauge), name != unit, !name.hasSuffix("_" + unit) {
            name += "_" + unit
        }
        return escaped(point.kind == .counter ? name + "_total" : name)
    }

    /// The labels of a point in the order of their names, one a name; keys that become the same name share it, their values in the
    /// order of the keys. An empty value is no label.
    static func labels(_ point: MetricPoint) -> [(name: String, value: String)] {
        var parts: [(name: String, key: String, text: String)] = []
        for attribute in point.attributes { parts.append((own(label(attribute.key)), attribute.key, attribute.text)) }
        for attribute in point.scope.attributes {
            let name = label(attribute.key)
            let isTaken = ["name", "version", "schema_url"].contains(name)
            parts.append(("otel_scope_" + (isTaken ? "key_" : "") + name, attribute.key, attribute.text))
        }
        parts.append(("otel_scope_name", "", point.scope.name))
        parts.append(("otel_scope_version", "", point.scope.version))
        parts.append(("otel_scope_schema_url", "", point.scope.schemaURL))
        parts.append(("job", "", point.job))
        parts.append(("instance", "", point.instance))
        parts.removeAll(where: \.text.isEmpty)
        parts.sort { left, right in
            if left.name != right.name { return precedes(left.name, right.name) }
            // A key may come twice.
            return left.key == right.key ? precedes(left.text, right.text) : precedes(left.key, right.key)
        }
        var labels: [(name: String, value: String)] = []
        for part in parts {
            if let last = labels.indices.last, labels[last].name == part.name {
                labels[last].value += ";" + part.text
            } else {
                labels.append((part.name, part.text))
            }
        }
        return labels
    }

    private static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    /// A key as a label's name. `le` and `quantile` are Prometheus' own, and so is what begins with two underscores.
    private static func label(_ key: String) -> String {
        let name = cleaned(key)
        if name == "le" || name == "quantile" || name.hasPrefix("__") { return escaped("key_" + name) }
        return escaped(name.isEmpty ? key : name)
    }

    /// A label that a point has under a name that its resource or scope gives: as Prometheus calls what is behind its own.
    private static func own(_ name: String) -> String {
        name == "job" || name == "instance" || name.hasPrefix("otel_scope_") ? "exported_" + name : name
    }

    /// Letters, digits and underscores, and what is beyond ASCII; no run of other characters makes more than one underscore, none is
    /// at the end, and no digit first. May be empty.
    static func cleaned(_ text: String) -> String {
        var name = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if isWord(scalar) || !scalar.isASCII { name.append(scalar) } else if name.last != "_" { name.append("_") }
        }
        while name.last == "_" { name.removeLast() }
        guard let first = name.first else { return "" }
        return ("0"..."9").contains(first) ? "_" + String(name) : String(name)
    }

    /// The name itself if it is one to Prometheus, else `U__` and the name with underscores doubled and every other character that
    /// does not belong as its number between underscores.
    static func escaped(_ name: String) -> String {
        if let first = name.unicodeScalars.first, !("0"..."9").contains(first), name.unicodeScalars.allSatisfy(isWord) { return name }
        var escaped = "U__"
        for scalar in name.unicodeScalars {
            if scalar == "_" {
                escaped += "__"
            } else if isWord(scalar) {
                escaped.unicodeScalars.append(scalar)
            } else {
                escaped += "_" + String(scalar.value, radix: 16) + "_"
            }
        }
        return escaped
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }
}

/// Units as OpenTelemetry writes them (UCUM), and Prometheus' words.
enum PrometheusUnit {
    private static let words: [String: String] = [
        "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
        "µs": "microseconds", "μs": "microseconds", "ns": "nanoseconds", "wk": "weeks", "mo": "months", "a": "years",
        "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tebibytes", "kBy": "kilobytes",
        "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes", "bit": "bits",
        "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "K": "kelvin", "Hz": "hertz",
        "Cel": "celsius", "°C": "celsius", "℃": "celsius", "[degF]": "fahrenheit", "°F": "fahrenheit", "℉": "fahrenheit",
        "Ohm": "ohms", "\u{3A9}": "ohms", "deg": "degrees", "°": "degrees", "%": "percent",
    ]

    /// Words that stay as they are behind `per`.
    private static let uncounted: Set<String> = ["celsius", "fahrenheit", "kelvin", "hertz", "percent"]

    /// The word that a name ends in; `nil` for what is no unit: braces, and 1 of what is no gauge.
    static func word(_ unit: String, isGauge: Bool) -> String? {
        if unit == "1" { return isGauge ? "ratio" : nil }
        let parts = unit.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let first = word(parts.first ?? "")
        guard parts.count == 2, let divisor = word(parts[1]) else { return first }
        let single = divisor.hasSuffix("s") && !uncounted.contains(divisor) ? String(divisor.dropLast()) : divisor
        return (first.map { $0 + "_" } ?? "") + "per_" + single
    }

    private static func word(_ unit: String) -> String? {
        if unit.contains("{") || unit == "1" { return nil }
        if let word = words[unit] { return word }
        // Of what is not known, what a name can hold.
        var rest = Substring(PrometheusName.cleaned(String(String.UnicodeScalarView(unit.unicodeScalars.filter(\.isASCII)))))
        while rest.first == "_" { rest.removeFirst() }
        return rest.isEmpty ? nil : String(rest)
    }
}
