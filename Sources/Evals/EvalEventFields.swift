package import TelemetryModel

/// The attributes of a `gen_ai.evaluation.result`, which comes as an event of a span or as a log record.
enum EvalEventFields {
    static let eventName = "gen_ai.evaluation.result"

    /// Puts an attribute into the row, if it is one of an eval's.
    ///
    /// - Parameter text: the text of a slice.
    static func assign(_ key: String, _ value: AttributeRecord, to row: inout EvalRow, _ text: (ByteSlice) -> String) {
        switch key {
        case "gen_ai.evaluation.name": row.name = Self.text(value, text) ?? ""
        case "gen_ai.evaluation.score.value": row.score = number(value, text)
        case "gen_ai.evaluation.score.label": row.label = Self.text(value, text)
        case "gen_ai.evaluation.explanation": row.explanation = Self.text(value, text)
        case "gen_ai.response.id": row.responseID = Self.text(value, text)
        case "error.type": row.error = Self.text(value, text)
        default: break
        }
    }

    /// Whether there is a name and something that was judged.
    static func isWhole(_ row: EvalRow) -> Bool {
        !row.name.isEmpty && (row.score != nil || row.label != nil || row.explanation != nil || row.error != nil)
    }

    static func text(_ value: AttributeRecord, _ text: (ByteSlice) -> String) -> String? {
        switch value.kind {
        case .string:
            let text = EvalFields.trimmed(text(value.slice))
            return text.isEmpty ? nil : String(text.prefix(EvalReader.Limits.textBytesMax))
        case .int: return "\(value.int)"
        case .bool: return value.bool ? "true" : "false"
        case .double: return JSONValue.double(value.double).line
        case .empty, .array, .keyValueList, .bytes: return nil
        }
    }

    static func number(_ value: AttributeRecord, _ text: (ByteSlice) -> String) -> Double? {
        let number: Double? =
            switch value.kind {
            case .int: Double(value.int)
            case .double: value.double
            case .bool: value.bool ? 1 : 0
            case .string: Double(decimal: text(value.slice))
            case .empty, .array, .keyValueList, .bytes: nil
            }
        guard let number, number.isFinite else { return nil }
        return number
    }
}

/// Finds evals that came as log records: events `gen_ai.evaluation.result`. They judge the span that the record names, its trace, or
/// the call with the response id.
package enum LogEvalExtractor {
    /// The evals among a batch's records.
    package static func evals(of batch: LogBatch) -> [EvalRow] {
        var rows: [EvalRow] = []
        for record in batch.records where batch.equals(record.eventName, EvalEventFields.eventName) {
            var row = EvalRow(name: "")
            let text = { (slice: ByteSlice) in batch.string(slice) }
            for slice in batch.attributes[record.attributes.indices] {
                // Attributes were checked when the batch was decoded; one that does not read says nothing.
                guard let attribute = try? WireAttribute(batch.bytes.span.bytes, slice.range) else { continue }
                EvalEventFields.assign(batch.string(ByteSlice(attribute.key)), attribute.value, to: &row, text)
            }
            row.traceID = record.traceID.isValid ? record.traceID : nil
            row.spanID = record.spanID.isValid ? record.spanID : nil
            let time = record.timeUnixNano > 0 ? record.timeUnixNano : record.observedTimeUnixNano
            row.timeUnixNano = time > 0 ? time : nil
            row.source = .event
            if EvalEventFields.isWhole(row) && row.hasTarget { rows.append(row) }
        }
        return rows
    }
}
