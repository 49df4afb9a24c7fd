import SpanStore
import StoreSQL
package import TelemetryModel

/// How far the targets of forwarding are, as `fusebox forward status` tells it.
package enum ForwardReading {
    /// Signals of targets, and refusals, of one answer.
    private static let targetsMax = 200
    private static let refusalsMax = 50

    /// Writes `{"targets":[…],"refusals":[…]}`: both empty where nothing was ever forwarded; refusals with the latest first.
    package static func write(nowUnixNano: Int64, _ reader: QueryReader, into json: inout JSONWriter) throws {
        let targets = try reader.reader.forwardStatus().map { status in
            let cursor = status.cursor
            return [
                ("target", .text(cursor.target)), ("signal", .text(cursor.signal.rawValue)), ("state", .text(status.shownState)),
                ("message", .text(cursor.message)), ("behind", .integer(status.behind)),
                ("behind_s", .integer(status.behindSeconds(nowUnixNano: nowUnixNano))), ("sent", .integer(cursor.sent)),
                ("refused", .integer(cursor.refused)), ("lost", .integer(cursor.lost)), ("next_ordinal", .integer(cursor.nextOrdinal)),
                ("hold", .integer(cursor.holds ? 1 : 0)), ("last_success_unix_nano", cursor.lastSuccessUnixNano.map(QueryValue.integer) ?? .null),
            ] as [(String, QueryValue)]
        }
        let refusals = try reader.reader.forwardRefusals(max: refusalsMax).map { refusal in
            [
                ("time_unix_nano", .integer(refusal.timeUnixNano)), ("target", .text(refusal.target)), ("signal", .text(refusal.signal)),
                ("count", .integer(refusal.row.count)), ("trace_id", refusal.row.traceID.map { .text($0.hexadecimal) } ?? .null),
                ("span_id", refusal.row.spanID.map { .text($0.hexadecimal) } ?? .null), ("code", .integer(Int64(refusal.row.code))),
                ("message", .text(refusal.row.message)),
            ] as [(String, QueryValue)]
        }
        json.raw("{\"targets\":")
        try reader.write(targets, rowsMax: targetsMax, of: "targets", into: &json)
        json.raw(",\"refusals\":")
        try reader.write(refusals, rowsMax: refusalsMax, of: "refusals", into: &json)
        json.raw("}")
    }
}
