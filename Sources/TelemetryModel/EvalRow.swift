/// One judgement of a span, a trace, a session or a data set's example, as the store keeps it.
package struct EvalRow: Equatable, Sendable {
    /// Where a row came from.
    package enum Source: String, CaseIterable, Sendable {
        case file
        /// A span event `gen_ai.evaluation.result`.
        case event
        /// OpenInference's annotations on a span, or on a span that carries them for another.
        case annotation
    }

    package var evalID: String?
    package var runID: String?
    package var exampleID: String?
    /// What was judged, such as `faithfulness`; never empty.
    package var name: String
    package var score: Double?
    package var label: String?
    package var explanation: String?
    /// Who judged: a person, a model, a program; the kind when nothing else is known.
    package var annotator: String?
    /// `HUMAN`, `LLM` or `CODE`, or as it came.
    package var annotatorKind: String?
    package var traceID: TraceID?
    package var spanID: SpanID?
    package var sessionID: String?
    package var responseID: String?
    package var error: String?
    package var dataset: String?
    package var gitRevision: String?
    /// A JSON object of everything else that came; `nil` when there is nothing.
    package var metadata: String?
    /// When it was judged, nanoseconds since 1970.
    package var timeUnixNano: Int64?
    package var source = Source.file

    package init(name: String) {
        self.name = name
    }

    /// Whether it says what it is about.
    package var hasTarget: Bool {
        traceID != nil || spanID != nil || evalID != nil || exampleID != nil || sessionID != nil || responseID != nil
    }

    /// What makes two rows the same one: the eval id, else the target, in its run; the name; the annotator.
    package var key: String {
        let what: [String]
        if let evalID {
            what = ["eval", evalID]
        } else {
            what = [
                "target", traceID?.hexadecimal ?? "", spanID?.hexadecimal ?? "", exampleID ?? "", sessionID ?? "", responseID ?? "",
            ]
        }
        return (what + [runID ?? "", name, annotator ?? ""]).joined(separator: "\u{1F}")
    }
}
