import TelemetryModel

/// How the field calls the fields of an eval: schemas/evals/synonyms.txt.
package struct EvalSynonyms: Sendable {
    enum Field: String, CaseIterable, Sendable {
        case traceID = "trace_id"
        case spanID = "span_id"
        case sessionID = "session_id"
        case responseID = "response_id"
        case evalID = "eval_id"
        case exampleID = "example_id"
        case runID = "run_id"
        case name, score, value, label, passed, explanation, annotator
        case annotatorKind = "annotator_kind"
        case error, time, dataset
        case gitRevision = "git_revision"
        case dataType = "data_type"
    }

    /// By the name as it is compared: the field, and how far down its line it stands.
    private(set) var fields: [String: [(field: Field, rank: Int)]] = [:]
    private(set) var unwrap: Set<String> = []
    private(set) var children: Set<String> = []
    private(set) var metrics: Set<String> = []
    private(set) var metricColumns: Set<String> = []

    package static let standard = EvalSynonyms(text: String(decoding: PackageResources.synonyms_txt, as: UTF8.self))

    init(text: String) {
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2 else { continue }
            let names = sides[1].split(separator: ",").map { Self.folded($0) }
            switch String(sides[0]) {
            case "unwrap": unwrap.formUnion(names)
            case "children": children.formUnion(names)
            case "metrics": metrics.formUnion(names)
            case "metric_columns": metricColumns.formUnion(names)
            case let word:
                guard let field = Field(rawValue: word) else { continue }
                for (rank, name) in names.enumerated() { fields[name, default: []].append((field, rank)) }
            }
        }
    }

    /// A name as it is compared: lower-case letters and digits only.
    static func folded(_ name: some StringProtocol) -> String {
        String(name.lowercased().unicodeScalars.filter { $0.properties.isAlphabetic || ("0"..."9").contains($0) })
    }
}
