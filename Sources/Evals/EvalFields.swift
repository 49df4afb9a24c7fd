import TelemetryModel

/// The fields of one eval as they were found, nested objects flattened.
struct EvalFields {
    /// Fields that a row inside another takes over from it.
    private static let inheritedFields: Set<EvalSynonyms.Field> = [
        .traceID, .spanID, .sessionID, .responseID, .evalID, .exampleID, .runID, .time, .dataset, .gitRevision,
    ]

    private let synonyms: EvalSynonyms
    private var found: [EvalSynonyms.Field: (value: JSONValue, rank: Int, name: String)] = [:]
    private var rest: [JSONValue.Member] = []

    init(_ synonyms: EvalSynonyms) {
        self.synonyms = synonyms
    }

    mutating func add(_ members: [JSONValue.Member], prefix: String, depth: Int) {
        for member in members {
            let folded = prefix + EvalSynonyms.folded(member.name)
            guard !folded.isEmpty else { continue }
            let isField = take(folded, member)
            guard case .object(let nested) = member.value else {
                if !isField && depth == 0 { rest.append(member) }
                continue
            }
            if depth < EvalReader.Limits.flattenedDepthMax { add(nested, prefix: folded, depth: depth + 1) }
            if depth == 0 && !synonyms.metrics.contains(folded) { rest.append(member) }
        }
    }

    private mutating func take(_ folded: String, _ member: JSONValue.Member) -> Bool {
        guard let entries = synonyms.fields[folded] else { return false }
        if Self.isBlank(member.value) { return true }
        if case .object = member.value { return false }
        if case .array = member.value { return false }
        for (field, rank) in entries {
            if let known = found[field], known.rank <= rank { continue }
            found[field] = (member.value, rank, folded)
        }
        return true
    }

    /// The ids alone, for the rows inside this one. The name of a test case is the example, not the metric.
    func inherited() -> EvalFields {
        var fields = EvalFields(synonyms)
        fields.found = found.filter { Self.inheritedFields.contains($0.key) }
        if fields.found[.exampleID] == nil, let name = found[.name], fields.found[.traceID] == nil, fields.found[.evalID] == nil {
            fields.found[.exampleID] = (name.value, .max, name.name)
        }
        // A found field of the row inside is the row's own, however the outer one calls it.
        for field in fields.found.keys { fields.found[field]?.rank = .max }
        return fields
    }

    func has(_ field: EvalSynonyms.Field) -> Bool { found[field] != nil }

    func value(_ field: EvalSynonyms.Field) -> JSONValue? { found[field]?.value }

    /// Whether the field came under this name.
    func isNamed(_ field: EvalSynonyms.Field, _ name: String) -> Bool { found[field]?.name == name }

    /// The field as text; numbers in decimal; `nil` when it is blank.
    func text(_ field: EvalSynonyms.Field) -> String? {
        switch found[field]?.value {
        case .string(let text): Self.trimmed(text).isEmpty ? nil : Self.trimmed(text)
        case .integer(let integer): "\(integer)"
        case .double, .digits: found[field]?.value.line
        case .bool(let flag): flag ? "true" : "false"
        case .null, .array, .object, nil: nil
        }
    }

    /// Everything that is no field, as a JSON object; `nil` when there is nothing.
    var metadata: String? {
        let kept = rest.filter { !Self.isBlank($0.value) }
        if kept.isEmpty { return nil }
        if kept.count == 1, EvalSynonyms.folded(kept[0].name) == "metadata", case .object = kept[0].value { return kept[0].value.line }
        return JSONValue.object(kept).line
    }

    static func isBlank(_ value: JSONValue) -> Bool {
        switch value {
        case .null: true
        case .string(let text): trimmed(text).isEmpty
        case .array(let values): values.isEmpty
        case .object(let members): members.isEmpty
        case .bool, .integer, .double, .digits: false
        }
    }

    static func flag(_ value: JSONValue) -> Bool? {
        switch value {
        case .bool(let flag): return flag
        case .integer(let integer): return integer == 1 ? true : integer == 0 ? false : nil
        case .string(let text):
            switch trimmed(text).lowercased() {
            case "true", "pass", "passed", "yes", "1", "correct": return true
            case "false", "fail", "failed", "no", "0", "incorrect": return false
            default: return nil
            }
        case .null, .double, .digits, .array, .object: return nil
        }
    }

    static func trimmed(_ text: String) -> String {
        var scalars = text.unicodeScalars[...]
        while scalars.first?.properties.isWhitespace == true { scalars.removeFirst() }
        while scalars.last?.properties.isWhitespace == true { scalars.removeLast() }
        return String(scalars)
    }
}
