import SQLite
import TelemetryModel

/// The rows of a segment that other spans may tell of too, as docs/metrics.md 2.12 looks at them. All others are what they say.
struct DoubtfulRows {
    /// Ascending.
    private(set) var rows: [Int32] = []
    /// Of each of them.
    private(set) var calls: [ToldCall] = []
    /// Of each of them the number of its trace in the segment.
    private(set) var traces: [Int] = []
    /// Of each of them; 0 without one, and where they were not asked for.
    private(set) var sessions: [UInt64] = []
    private(set) var traceIDs: [TraceID] = []
    /// How calls ended that are told by a child, by `ToldCall.failure`, which counts from 1.
    private(set) var endings: [SegmentCalls.Ending] = []
    /// Some were made of log records.
    private(set) var hasLogs = false

    var isEmpty: Bool { rows.isEmpty }

    /// Calls `body` with the number of each trace that has rows here, and the places of those in `rows`, ascending.
    func eachTrace(_ body: (_ trace: Int, _ places: ArraySlice<Int>) -> Void) {
        var starts = [Int](repeating: 0, count: traceIDs.count + 1)
        for trace in traces { starts[trace + 1] += 1 }
        for trace in traceIDs.indices { starts[trace + 1] += starts[trace] }
        var next = starts
        var places = [Int](repeating: 0, count: traces.count)
        for (place, trace) in traces.enumerated() {
            places[next[trace]] = place
            next[trace] += 1
        }
        for trace in traceIDs.indices where starts[trace] < starts[trace + 1] {
            body(trace, places[starts[trace]..<starts[trace + 1]])
        }
    }

    /// A text as a number that is not 0. By the seed of the process, since numbers of texts of many segments meet.
    private static func number(_ text: String) -> UInt64 {
        let bytes = text.utf8.span.bytes
        return ByteHash.hash(bytes, WireRange(offset: 0, count: bytes.byteCount), .process) | 1
    }

    /// Texts of a column as numbers.
    private struct Numbered {
        let column: PassedTexts
        let hashes: [UInt64]

        init(_ column: PassedTexts) {
            self.column = column
            hashes = column.texts.map(DoubtfulRows.number)
        }

        subscript(row: Int) -> UInt64 {
            let number = column.number(row)
            return number < 0 ? 0 : hashes[number]
        }
    }

    /// What says that a row is in doubt.
    private struct Signs {
        let tokens, input, output, cache, tells, may, log: PassedIntegers
        let outcome, stage, operation, tool, method: PassedTexts
        private let isWrapper: [Bool]
        private let model: Int

        init(_ segment: PassedSegment) throws(SQLiteError) {
            tokens = try segment.integers("tokens")
            input = try segment.integers("input_tokens")
            output = try segment.integers("output_tokens")
            cache = try segment.integers("cache_hit")
            tells = try segment.integers("tells_parent")
            may = try segment.integers("may_be_told")
            log = try segment.integers("told_by_log")
            // As spans themselves have it, and those without a time too: docs/metrics.md 2.12 asks what a span tells of.
            outcome = try segment.texts("own_outcome")
            stage = try segment.texts("stage")
            operation = try segment.texts("operation")
            tool = try segment.texts("tool_name")
            method = try segment.texts("protocol_method")
            isWrapper = operation.texts.map { Operations.isWrapper($0) }
            model = stage.texts.firstIndex(of: "llm") ?? .max
        }

        var mayHaveSome: Bool {
            model != .max || !method.texts.isEmpty || [tokens, input, output, cache, tells, may, log].contains { !$0.isEmpty }
        }

        func isOfModel(_ row: Int) -> Bool { stage.number(row) == model && isAttempt(row) }
        func isAttempt(_ row: Int) -> Bool { outcome.number(row) >= 0 && tells[row] != 1 }
        func isSpecial(_ row: Int) -> Bool { method.number(row) >= 0 || tells[row] == 1 || may[row] == 1 || (log[row] ?? 0) > 0 }

        func carries(_ row: Int) -> CallFacets {
            var facets: CallFacets = isAttempt(row) ? .call : []
            let number = operation.number(row)
            if number >= 0 && isWrapper[number] { return facets }
            if tokens[row] != nil || input[row] != nil || output[row] != nil { facets.insert(.tokens) }
            if cache[row] != nil { facets.insert(.cache) }
            return facets
        }

        func isInDoubt(_ row: Int, _ facets: CallFacets) -> Bool {
            facets.contains(.tokens) || facets.contains(.cache) && tool.number(row) < 0 || isOfModel(row) || isSpecial(row)
        }
    }

    /// - Parameter withSessions: read the sessions too.
    init(_ segment: PassedSegment, withSessions: Bool) throws(SQLiteError) {
        let signs = try Signs(segment)
        guard signs.mayHaveSome else { return }
        var carried: [CallFacets] = []
        for row in 0..<segment.spanCount {
            let facets = signs.carries(row)
            guard signs.isInDoubt(row, facets) else { continue }
            rows.append(Int32(truncatingIfNeeded: row))
            carried.append(facets)
        }
        if rows.isEmpty { return }
        try describe(segment, signs, carried, withSessions: withSessions || !signs.log.isEmpty)
    }

    private mutating func describe(
        _ segment: PassedSegment, _ signs: Signs, _ carried: [CallFacets], withSessions: Bool
    ) throws(SQLiteError) {
        let (spans, parents) = try segment.identities()
        let (ids, numbers) = try segment.traces()
        let (start, end) = (try segment.integers("start_time_unix_nano"), try segment.integers("end_time_unix_nano"))
        let (kind, status) = (try segment.integers("kind"), try segment.integers("status_code"))
        let (model, response) = (Numbered(try segment.texts("model")), Numbered(try segment.texts("response_id")))
        let (method, name) = (Numbered(signs.method), Numbered(try segment.texts("call_name")))
        let (reason, phase) = (try segment.texts("own_timeout_reason"), try segment.texts("own_timeout_phase"))
        let error = try segment.texts("error_type")
        let scopes = try segment.scopeNumbers(Self.number)
        let session = withSessions ? Numbered(try segment.texts("session_id")) : nil
        traceIDs = ids
        calls.reserveCapacity(rows.count)
        traces.reserveCapacity(rows.count)
        sessions.reserveCapacity(rows.count)
        for (place, number) in rows.enumerated() {
            let row = Int(number)
            let trace = Int(numbers[row] ?? -1)
            guard ids.indices.contains(trace) else { throw PassedSegment.damaged("a span of no trace") }
            var call = ToldCall(
                span: UInt64(bitPattern: spans[row] ?? 0), parent: UInt64(bitPattern: parents[row] ?? 0))
            (call.start, call.end) = (start[row] ?? 0, end[row] ?? 0)
            (call.model, call.response, call.scope) = (model[row], response[row], scopes(row))
            (call.input, call.output, call.total) = (signs.input[row] ?? -1, signs.output[row] ?? -1, signs.tokens[row] ?? -1)
            call.carries = carried[place]
            call.sort = signs.isOfModel(row) ? .model : signs.isAttempt(row) ? .tool : .none
            if method[row] != 0 {
                call.side = kind[row] == 2 ? .server : .client
                call.tool = name[row] ^ method[row]
            }
            call.source = ToldCall.Source(rawValue: UInt8(clamping: min(2, max(0, signs.log[row] ?? 0)))) ?? .span
            let outcome = signs.outcome.text(signs.outcome.number(row))
            call.isToldByChild = signs.may[row] == 1 && outcome == "ok" && error.number(row) < 0 && status[row] != 2
            call.tellsParent = signs.tells[row] == 1
            if call.tellsParent && (outcome == "error" || outcome == "timeout") {
                call.failure = failure(
                    SegmentCalls.Ending(
                        outcome: outcome.map { Array($0.utf8) }, reason: reason.text(reason.number(row)).map { Array($0.utf8) },
                        phase: phase.text(phase.number(row)).map { Array($0.utf8) }))
            }
            if call.source != .span { hasLogs = true }
            calls.append(call)
            traces.append(trace)
            sessions.append(session?[row] ?? 0)
        }
    }

    private mutating func failure(_ ending: SegmentCalls.Ending) -> UInt32 {
        let place = endings.firstIndex(of: ending) ?? endings.count
        if place == endings.count { endings.append(ending) }
        return UInt32(truncatingIfNeeded: place + 1)
    }
}
