/// Reads an exposition as the strictest of its readers would, and says what is wrong with it. Knows nothing of how it was made.
package struct ExpositionCheck {
    /// One line with a value.
    package struct Sample: Equatable {
        package var name: String
        package var labels: [String: String]
        package var value: Double
    }

    package struct Problem: Error, CustomStringConvertible {
        package var description: String
    }

    private struct Series: Hashable {
        var name: String
        var labels: [String: String]
    }

    private static let suffixes: [String: [String]] = [
        "counter": ["_total", "_created"], "histogram": ["_bucket", "_sum", "_count", "_created"], "info": ["_info"], "gauge": [],
    ]

    private let isOpenMetrics: Bool
    private var family = ""
    private var type = ""
    private var described: Set<String> = []
    private var claimed: Set<String> = []
    private var seen: Set<Series> = []
    private var samples: [Sample] = []
    private var current: [Sample] = []

    /// The samples of an exposition, in their order; throws the first breach.
    package static func samples(_ bytes: [UInt8], isOpenMetrics: Bool) throws -> [Sample] {
        guard let text = String(validatingUTF8Bytes: bytes) else { throw Problem(description: "not UTF-8") }
        var check = ExpositionCheck(isOpenMetrics: isOpenMetrics)
        var lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { String($0) ?? "" }
        guard lines.popLast() == "" else { throw Problem(description: "no newline at the end") }
        if isOpenMetrics {
            guard lines.popLast() == "# EOF" else { throw Problem(description: "no EOF") }
        }
        for line in lines { try check.read(line) }
        try check.endFamily()
        return check.samples
    }

    private init(isOpenMetrics: Bool) {
        self.isOpenMetrics = isOpenMetrics
    }

    private mutating func read(_ line: String) throws {
        guard line.hasPrefix("#") else { return try readSample(line) }
        let words = line.utf8.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
            .map { String($0) ?? "" }
        guard words.count == 4, words[0] == "#", Self.isName(words[2]) else { throw Problem(description: "no comment: \(line)") }
        switch words[1] {
        case "TYPE":
            try endFamily()
            guard Self.suffixes[words[3]] != nil, isOpenMetrics || words[3] != "info" else { throw Problem(description: "type: \(line)") }
            (family, type) = (words[2], words[3])
            described = ["TYPE"]
            try claim()
        case "HELP", "UNIT":
            guard words[2] == family, current.isEmpty, described.insert(words[1]).inserted else {
                throw Problem(description: "out of place: \(line)")
            }
            if words[1] == "UNIT", !isOpenMetrics || !family.hasSuffix("_" + words[3]) { throw Problem(description: "unit: \(line)") }
            if words[1] == "HELP" { try checkEscapes(words[3], isQuoted: false) }
        default: throw Problem(description: "no comment: \(line)")
        }
    }

    /// A family's names in either format, of which no two families may share one.
    private mutating func claim() throws {
        let base = !isOpenMetrics && type == "counter" && family.hasSuffix("_total") ? String(family.dropLast(6)) : family
        for name in [base] + (Self.suffixes[type] ?? []).map({ base + $0 }) {
            guard claimed.insert(name).inserted else { throw Problem(description: "\(family) shares the name \(name)") }
        }
    }

    private mutating func readSample(_ line: String) throws {
        let sample = try parse(line)
        let own = isOpenMetrics && type != "gauge" ? (Self.suffixes[type] ?? []).map { family + $0 }
            : type == "histogram" ? ["_bucket", "_sum", "_count"].map { family + $0 } : [family]
        guard own.contains(sample.name) else { throw Problem(description: "not of \(type) \(family): \(line)") }
        guard seen.insert(Series(name: sample.name, labels: sample.labels)).inserted else { throw Problem(description: "twice: \(line)") }
        if type == "counter", !(sample.value >= 0) { throw Problem(description: "a counter: \(line)") }
        current.append(sample)
    }

    private mutating func endFamily() throws {
        if type == "histogram" { try checkHistograms() }
        samples += current
        current = []
    }

    /// Every series' lines stand together: buckets that ascend to infinity, then the sum, then the count.
    private func checkHistograms() throws {
        var rest = current[...]
        var done: Set<[String: String]> = []
        while let first = rest.first {
            var labels = first.labels
            labels["le"] = nil
            guard done.insert(labels).inserted else { throw Problem(description: "\(family) is not in one piece") }
            let lines = rest.prefix { line in line.labels.filter { $0.key != "le" } == labels }
            rest = rest.dropFirst(lines.count)
            try checkHistogram(lines, labels)
        }
    }

    private func checkHistogram(_ lines: ArraySlice<Sample>, _ labels: [String: String]) throws {
        let buckets = lines.prefix { $0.name == family + "_bucket" }
        let totals = lines.dropFirst(buckets.count)
        let bounds = try buckets.map { bucket in
            guard let bound = bucket.labels["le"].flatMap({ Double($0) }), !bound.isNaN else { throw Problem(description: "le of \(bucket)") }
            return bound
        }
        guard bounds.last == .infinity, zip(bounds, bounds.dropFirst()).allSatisfy(<) else {
            throw Problem(description: "\(family) \(labels): bounds \(bounds)")
        }
        let counts = buckets.map(\.value)
        guard counts.allSatisfy({ $0 >= 0 && $0 == $0.rounded() }), zip(counts, counts.dropFirst()).allSatisfy(<=) else {
            throw Problem(description: "\(family) \(labels): counts \(counts)")
        }
        let names = totals.map(\.name)
        guard names == [family + "_sum", family + "_count"] || names == (isOpenMetrics ? [] : [family + "_count"]) else {
            throw Problem(description: "\(family) \(labels): \(names)")
        }
        if let total = totals.last, total.value != counts.last { throw Problem(description: "\(total) is not what is below +Inf") }
        if isOpenMetrics, let sum = totals.first, !(sum.value >= 0) || (bounds.first ?? 0) < 0 {
            throw Problem(description: "\(sum) may fall")
        }
    }

    // MARK: Lines

    private func parse(_ line: String) throws -> Sample {
        var rest = Substring(line)
        let name = String(rest.prefix { $0 != "{" && $0 != " " })
        rest.removeFirst(name.count)
        var labels: [String: String] = [:]
        if rest.first == "{" {
            rest.removeFirst()
            labels = try parseLabels(&rest, line)
        }
        // What follows a value is an exemplar, which clients' metrics have none of.
        let words = rest.split(separator: " ", omittingEmptySubsequences: false)
        guard Self.isName(name), words.first == "", words.count == 2 || (isOpenMetrics && words.count > 2 && words[2] == "#"),
            let value = Double(words[1].replacing("+Inf", with: "inf"))
        else { throw Problem(description: "no sample: \(line)") }
        return Sample(name: name, labels: labels, value: value)
    }

    private func parseLabels(_ rest: inout Substring, _ line: String) throws -> [String: String] {
        var labels: [String: String] = [:]
        var text = rest.unicodeScalars
        while true {
            let name = String(String.UnicodeScalarView(text.prefix { $0 != "=" }))
            text = text.dropFirst(name.unicodeScalars.count + 1)
            guard Self.isName(name), !name.contains(":"), text.popFirst() == "\"" else { throw Problem(description: "label: \(line)") }
            var value = String.UnicodeScalarView()
            while let scalar = text.popFirst(), scalar != "\"" {
                value.append(scalar)
                if scalar == "\\", let escaped = text.popFirst() { value.append(escaped) }
            }
            try checkEscapes(String(value), isQuoted: true)
            // Compared by their bytes, as readers do.
            guard labels.updateValue(value.map { String($0.value, radix: 16) }.joined(separator: " "), forKey: name) == nil else {
                throw Problem(description: "label twice: \(line)")
            }
            if name == "le" { labels[name] = String(value) }
            guard let next = text.popFirst() else { throw Problem(description: "labels: \(line)") }
            if next == "}" { break }
            guard next == "," else { throw Problem(description: "labels: \(line)") }
        }
        rest = Substring(text)
        return labels
    }

    private func checkEscapes(_ text: String, isQuoted: Bool) throws {
        var scalars = text.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == "\\" else { continue }
            let next = scalars.next()
            guard next == "\\" || next == "n" || (next == "\"" && (isQuoted || isOpenMetrics)) else {
                throw Problem(description: "escape in \(text)")
            }
        }
    }

    private static func isName(_ text: String) -> Bool {
        guard let first = text.unicodeScalars.first, !("0"..."9").contains(first) else { return false }
        return text.unicodeScalars.allSatisfy { scalar in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_", ":": true
            default: false
            }
        }
    }
}

extension String {
    fileprivate init?(validatingUTF8Bytes bytes: [UInt8]) {
        self.init(validating: bytes, as: UTF8.self)
    }
}
