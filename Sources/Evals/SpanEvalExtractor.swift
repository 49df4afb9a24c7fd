package import TelemetryModel

/// Finds evals that came as telemetry: span events `gen_ai.evaluation.result`, and OpenInference's annotations on a span, for
/// itself, its trace, its session, or the one span that it links to.
///
/// A batch without annotation keys costs a comparison a key, a span without events nothing.
package struct SpanEvalExtractor: Sendable {
    package enum Limits {
        /// Evals that are read of one span; further ones stay in its attributes only.
        package static let evalsPerSpanMax = 64
    }

    /// What a key like `trace.annotations.3.annotation.score` says.
    private struct Place {
        enum Scope: Sendable { case span, trace, session }

        var scope: Scope
        var index: Int
        var member: String
    }

    /// By the batch's key; `nil` for keys that are no annotation's.
    private var places: [Place?] = []
    private var hasAnnotations = false

    package init() {}

    /// Prepares for the spans of a batch.
    package mutating func begin(_ batch: SpanBatch) {
        hasAnnotations = false
        places.removeAll(keepingCapacity: true)
        for (number, key) in batch.keys.enumerated() {
            guard let place = Self.place(batch.bytes(key)) else { continue }
            if !hasAnnotations {
                hasAnnotations = true
                places = Array(repeating: nil, count: batch.keys.count)
            }
            places[number] = place
        }
    }

    /// Appends the evals of a span, if it has any.
    @inline(__always)
    package func extract(_ span: SpanRecord, of batch: SpanBatch, sessionID: ColumnValue, into rows: inout [EvalRow]) {
        guard hasAnnotations || span.events.count > 0 else { return }
        if span.events.count > 0 { extractEvents(span, batch, &rows) }
        if hasAnnotations { extractAnnotations(span, batch, sessionID, &rows) }
    }

    // MARK: Events

    private func extractEvents(_ span: SpanRecord, _ batch: SpanBatch, _ rows: inout [EvalRow]) {
        var count = 0
        for event in batch.events[span.events.indices] where batch.equals(event.name, EvalEventFields.eventName) {
            guard count < Limits.evalsPerSpanMax else { return }
            guard var row = row(event, batch) else { continue }
            row.traceID = span.traceID
            row.spanID = span.spanID
            row.timeUnixNano = event.timeUnixNano > 0 ? event.timeUnixNano : nil
            row.source = .event
            rows.append(row)
            count += 1
        }
    }

    private func row(_ event: EventRecord, _ batch: SpanBatch) -> EvalRow? {
        var row = EvalRow(name: "")
        for attribute in batch.attributes[event.attributes.indices] {
            EvalEventFields.assign(batch.string(batch.keys[Int(attribute.key)]), attribute, to: &row) { batch.string($0) }
        }
        return EvalEventFields.isWhole(row) ? row : nil
    }

    // MARK: Annotations

    private func extractAnnotations(
        _ span: SpanRecord, _ batch: SpanBatch, _ sessionID: ColumnValue, _ rows: inout [EvalRow]
    ) {
        var found: [(scope: Place.Scope, index: Int, row: EvalRow)] = []
        for attribute in batch.attributes[span.attributes.indices] {
            guard let place = places[Int(attribute.key)] else { continue }
            var position = found.firstIndex { $0.scope == place.scope && $0.index == place.index }
            if position == nil {
                guard found.count < Limits.evalsPerSpanMax else { continue }
                position = found.count
                found.append((place.scope, place.index, EvalRow(name: "")))
            }
            if let position { Self.fill(&found[position].row, place.member, attribute, batch) }
        }
        guard !found.isEmpty else { return }
        let target = span.links.count == 1 ? Self.link(batch.links[span.links.indices.lowerBound], batch) : nil
        for (scope, _, var row) in found where EvalEventFields.isWhole(row) {
            row.source = .annotation
            row.timeUnixNano = span.endTimeUnixNano > 0 ? span.endTimeUnixNano : nil
            switch scope {
            case .span: (row.traceID, row.spanID) = target ?? (span.traceID, span.spanID)
            case .trace: row.traceID = target?.trace ?? span.traceID
            case .session:
                guard sessionID.kind == .text else { continue }
                row.sessionID = batch.string(sessionID.slice)
            }
            rows.append(row)
        }
    }

    private static func fill(_ row: inout EvalRow, _ member: String, _ attribute: AttributeRecord, _ batch: SpanBatch) {
        switch member {
        case "name": row.name = text(attribute, batch) ?? ""
        case "score": row.score = number(attribute, batch)
        case "label": row.label = text(attribute, batch)
        case "explanation": row.explanation = text(attribute, batch)
        case "annotator_kind":
            row.annotatorKind = text(attribute, batch)
            if row.annotator == nil { row.annotator = row.annotatorKind }
        case "identifier": row.annotator = text(attribute, batch) ?? row.annotatorKind
        case "metadata": row.metadata = text(attribute, batch)
        default: break
        }
    }

    /// `[trace.|session.](annotations|evaluations).N.(annotation|evaluation).member`.
    private static func place(_ key: ArraySlice<UInt8>) -> Place? {
        guard let first = key.first,
            first == UInt8(ascii: "a") || first == UInt8(ascii: "e") || first == UInt8(ascii: "t")
                || first == UInt8(ascii: "s")
        else { return nil }
        var parts = key.split(separator: UInt8(ascii: "."), maxSplits: 5).map { String(decoding: $0, as: UTF8.self) }
        var scope = Place.Scope.span
        if parts.first == "trace" || parts.first == "session" { scope = parts.removeFirst() == "trace" ? .trace : .session }
        guard parts.count >= 4,
            parts[0] == "annotations" && parts[2] == "annotation"
                || parts[0] == "evaluations" && parts[2] == "evaluation",
            let index = Int(parts[1]), index >= 0
        else { return nil }
        return Place(scope: scope, index: index, member: parts[3])
    }

    /// The span that a link names: `Span.Link` fields 1 and 2.
    private static func link(_ slice: ByteSlice, _ batch: SpanBatch) -> (trace: TraceID, span: SpanID)? {
        let bytes = Array(batch.bytes(slice))
        var trace: TraceID?
        var span: SpanID?
        var reader = WireReader(bytes.span.bytes)
        do {
            while let tag = try reader.nextTag() {
                guard tag.field == 1 || tag.field == 2, tag.type == .lengthDelimited else {
                    try reader.skip(tag)
                    continue
                }
                let range = try reader.lengthDelimited(tag)
                let digits = Self.hexadecimal(bytes[range.offset..<range.end])
                if tag.field == 1 { trace = TraceID(hexadecimal: digits) } else { span = SpanID(hexadecimal: digits) }
            }
        } catch {
            return nil  // Links were checked when the batch was decoded; one that does not read names no span.
        }
        guard let trace, let span else { return nil }
        return (trace, span)
    }

    private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 0xF, radix: 16) }.joined()
    }

    // MARK: Values

    private static func text(_ attribute: AttributeRecord, _ batch: SpanBatch) -> String? {
        EvalEventFields.text(attribute) { batch.string($0) }
    }

    private static func number(_ attribute: AttributeRecord, _ batch: SpanBatch) -> Double? {
        EvalEventFields.number(attribute) { batch.string($0) }
    }
}
