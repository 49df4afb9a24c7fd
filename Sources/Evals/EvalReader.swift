package import TelemetryModel

/// Turns one object of an eval file, in any of the field's forms, into rows.
package struct EvalReader: Sendable {
    package enum Limits {
        /// Nested objects deeper than this are kept as metadata only.
        static let flattenedDepthMax = 3
        /// Bytes of an id, a name or a label; longer ones are refused.
        package static let idBytesMax = 1024
        /// Bytes of an explanation or of metadata; what is longer is cut.
        package static let textBytesMax = 64 << 10
        /// Rows that one object may give.
        package static let rowsPerObjectMax = 10_000
    }

    /// Why an object is no eval; the message says what it lacks.
    package struct Refusal: Error, Equatable, Sendable {
        package var message: String
        package var isRetryable: Bool { false }
    }

    private let synonyms: EvalSynonyms
    /// Columns that are a metric each, as the user named them.
    private let scoreColumns: Set<String>
    /// What was judged, for rows that do not say it.
    private let name: String?

    package init(scoreColumns: [String] = [], name: String? = nil, synonyms: EvalSynonyms = .standard) {
        self.synonyms = synonyms
        self.name = name
        self.scoreColumns = Set(scoreColumns.map { EvalSynonyms.folded($0) })
    }

    /// What an object gives.
    package struct Reading: Sendable {
        package var rows: [EvalRow] = []
        /// Parts of it that are no eval; the others count.
        package var refusals: [Refusal] = []

        fileprivate mutating func add(_ make: () throws(Refusal) -> EvalRow) {
            do throws(Refusal) {
                rows.append(try make())
            } catch {
                refusals.append(error)
            }
        }
    }

    /// The rows of an object; one, or one for each metric of a wide one and for each eval of a list inside.
    package func read(_ value: JSONValue) throws(Refusal) -> Reading {
        guard case .object(let members) = value else { throw Refusal(message: "an eval is a JSON object, and this is none") }
        if let own = try EvalForm.row(members) {
            try check(own)
            return Reading(rows: [own])
        }
        var flat = EvalFields(synonyms)
        flat.add(members, prefix: "", depth: 0)
        let nested = childLists(members)
        var reading = Reading()
        if nested.isEmpty {
            let wide = wideMetrics(members)
            for (name, metric) in spanMetrics(members) {
                reading.add { () throws(Refusal) in
                    var made = try wideRow(name, metric, flat)
                    made.name = name
                    return made
                }
            }
            if !reading.rows.isEmpty || !reading.refusals.isEmpty { return reading }
            if flat.has(.name) || wide.isEmpty {
                reading.rows = [try row(flat)]
            } else {
                for (name, metric) in wide { reading.add { () throws(Refusal) in try wideRow(name, metric, flat) } }
            }
        } else {
            guard nested.count <= Limits.rowsPerObjectMax else {
                throw Refusal(message: "one object has more than \(Limits.rowsPerObjectMax) evals")
            }
            for child in nested {
                guard case .object(let childMembers) = child else { continue }
                var fields = flat.inherited()
                fields.add(childMembers, prefix: "", depth: 0)
                reading.add { () throws(Refusal) in try row(fields) }
            }
        }
        return reading
    }

    // MARK: Lists and wide rows

    private func childLists(_ members: [JSONValue.Member]) -> [JSONValue] {
        var children: [JSONValue] = []
        for member in members where synonyms.children.contains(EvalSynonyms.folded(member.name)) {
            if case .array(let values) = member.value {
                children += values.filter { if case .object = $0 { true } else { false } }
            }
        }
        return children
    }

    private func wideMetrics(_ members: [JSONValue.Member]) -> [(name: String, value: JSONValue)] {
        var found: [(String, JSONValue)] = []
        for member in members {
            // Metrics with settings have these behind their name: factual_correctness(mode=f1).
            let folded = EvalSynonyms.folded(member.name.prefix { $0 != "(" })
            if synonyms.metrics.contains(folded), case .object(let metrics) = member.value {
                found += metrics.map { ($0.name, $0.value) }
            } else if scoreColumns.contains(folded) || synonyms.metricColumns.contains(folded) {
                found.append((member.name, member.value))
            } else if member.name.lowercased().hasSuffix("_score") {
                found.append((String(member.name.dropLast(6)), member.value))
            }
        }
        return found.filter { !EvalFields.isBlank($0.1) }
    }

    /// Phoenix' data frames of spans: `eval.Hallucination.score`, `.label` and `.explanation` beside each other.
    private func spanMetrics(_ members: [JSONValue.Member]) -> [(name: String, value: JSONValue)] {
        var names: [String] = []
        var metrics: [ExactText: [JSONValue.Member]] = [:]
        for member in members where member.name.hasPrefix("eval.") && !EvalFields.isBlank(member.value) {
            let parts = member.name.dropFirst(5).split(separator: ".")
            guard parts.count >= 2, let field = parts.last, ["score", "label", "explanation"].contains(field) else { continue }
            let name = parts.dropLast().joined(separator: ".")
            if metrics[ExactText(name)] == nil { names.append(name) }
            metrics[ExactText(name), default: []].append(.init(String(field), member.value))
        }
        return names.map { ($0, .object(metrics[ExactText($0)] ?? [])) }
    }

    private func wideRow(_ name: String, _ metric: JSONValue, _ shared: EvalFields) throws(Refusal) -> EvalRow {
        var fields = shared.inherited()
        var value = metric
        if case .string(let text) = metric, text.utf8.first == UInt8(ascii: "{"),
            let parsed = try? JSONValue.parse(Array(text.utf8)[...])
        {
            value = parsed
        }
        if case .object(let members) = value {
            fields.add(members, prefix: "", depth: 0)
        } else {
            fields.add([.init("value", value)], prefix: "", depth: 0)
        }
        if !fields.has(.name) { fields.add([.init("name", .string(name))], prefix: "", depth: 0) }
        return try row(fields)
    }

    // MARK: One row

    private func row(_ fields: EvalFields) throws(Refusal) -> EvalRow {
        guard let name = fields.text(.name) ?? name else {
            throw Refusal(message: "it has no name of what was judged (name, metric, evaluator, …); --name gives one")
        }
        var row = EvalRow(name: name)
        row.evalID = fields.text(.evalID)
        row.runID = fields.text(.runID)
        row.exampleID = fields.text(.exampleID)
        row.sessionID = fields.text(.sessionID)
        row.responseID = fields.text(.responseID)
        row.explanation = fields.text(.explanation).map(Self.cut)
        row.annotatorKind = fields.text(.annotatorKind).map(Self.kind)
        row.annotator = fields.text(.annotator) ?? row.annotatorKind
        row.error = fields.text(.error)
        row.dataset = fields.text(.dataset)
        row.gitRevision = fields.text(.gitRevision)
        row.timeUnixNano = fields.value(.time).flatMap(EvalTime.unixNano)
        row.metadata = fields.metadata.map(Self.cut)
        try Self.judge(&row, fields)
        try Self.target(&row, fields)
        try check(row)
        return row
    }

    /// Score and label: a number or a flag scores, a word labels.
    private static func judge(_ row: inout EvalRow, _ fields: EvalFields) throws(Refusal) {
        row.label = fields.text(.label)
        // The number of such a score is the place of its label in a list.
        let isCategorical = fields.text(.dataType)?.uppercased() == "CATEGORICAL"
        for field in [EvalSynonyms.Field.score, .value] where !(isCategorical && row.label != nil) {
            guard row.score == nil, let value = fields.value(field) else { continue }
            switch value {
            case .integer, .double, .digits: row.score = value.number
            case .bool(let flag):
                row.score = flag ? 1 : 0
                if row.label == nil { row.label = flag ? "true" : "false" }
            case .string(let text):
                if let number = Double(decimal: text), number.isFinite {
                    row.score = number
                } else if ["nan", "inf", "-inf"].contains(text.lowercased()) {
                    continue
                } else if field == .value || row.label == nil {
                    row.label = row.label ?? text
                }
            case .null, .array, .object: continue
            }
        }
        if let passed = fields.value(.passed).flatMap(EvalFields.flag) {
            if row.label == nil { row.label = passed ? "pass" : "fail" }
            if row.score == nil { row.score = passed ? 1 : 0 }
        }
    }

    private static func target(_ row: inout EvalRow, _ fields: EvalFields) throws(Refusal) {
        if let text = fields.text(.traceID) {
            guard let trace = EvalIdentifier.trace(text) else {
                throw Refusal(message: "its trace id '\(text.prefix(80))' is not 32 hexadecimal digits")
            }
            row.traceID = trace
        }
        if let text = fields.text(.spanID) {
            guard let span = EvalIdentifier.span(text) else {
                throw Refusal(message: "its span id '\(text.prefix(80))' is not 16 hexadecimal digits")
            }
            row.spanID = span
        }
        // LangSmith: the run is the span, whose id is the first half of the run's UUID; the session is the experiment.
        if row.spanID == nil, fields.isNamed(.name, "key"), let run = row.runID, let trace = EvalIdentifier.uuid(run) {
            row.spanID = SpanID(trace.high)
            row.runID = row.sessionID
            row.sessionID = nil
        }
    }

    private func check(_ row: EvalRow) throws(Refusal) {
        guard row.score != nil || row.label != nil || row.explanation != nil || row.error != nil else {
            throw Refusal(message: "it has neither score, label, explanation nor error")
        }
        guard row.hasTarget else {
            throw Refusal(
                message: "it does not say what it is about: no eval_id, span_id, trace_id, example_id, session_id or response_id")
        }
        for text in [row.name, row.label, row.evalID, row.runID, row.exampleID, row.sessionID, row.responseID, row.annotator] {
            guard (text?.utf8.count ?? 0) <= Limits.idBytesMax else {
                throw Refusal(message: "a name, label or id is longer than \(Limits.idBytesMax) bytes")
            }
        }
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > Limits.textBytesMax else { return text }
        return String(decoding: Array(text.utf8.prefix(Limits.textBytesMax - 3)), as: UTF8.self) + "…"
    }

    /// `LLM_JUDGE`, `AI_JUDGE` and `model` are LLM; `heuristic` and `API` are CODE.
    private static func kind(_ text: String) -> String {
        switch text.uppercased() {
        case "LLM", "LLM_JUDGE", "AI_JUDGE", "MODEL": "LLM"
        case "CODE", "HEURISTIC", "API", "EVAL": "CODE"
        case "HUMAN", "ANNOTATION", "APP", "USER": "HUMAN"
        default: text
        }
    }
}
