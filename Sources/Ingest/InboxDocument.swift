package import SpanStore
package import TelemetryModel

/// What a file in the inbox says: evals, a whole price table, or what an operator wants of targets of forwarding or wants
/// forgotten. JSON lines; the first line tells which.
package enum InboxDocument: Equatable, Sendable {
    case evals([EvalRow])
    case prices(PriceTable)
    case forward([ForwardOrder])
    case forget(ForgetOrder)

    package enum Limits {
        /// Evals in one file: what the writer takes between two commits of spans, a few tens of milliseconds of work.
        package static let evalsPerFile = 1000
    }

    // MARK: Encoding

    package var encoded: [UInt8] {
        var lines: [JSONValue]
        switch self {
        case .evals(let rows): lines = [["fusebox": "evals"]] + rows.map(Self.json)
        case .prices(let table):
            lines =
                [["fusebox": "prices"]] + table.models.map(Self.json) + table.hosts.map(Self.json) + table.links.map(Self.json)
        case .forward(let orders): lines = [["fusebox": "forward"]] + orders.map(Self.json)
        case .forget(let order):
            lines = [["fusebox": "forget"], ["request": .string(order.request), "selection": order.selection.json]]
        }
        return Array((lines.map(\.line).joined(separator: "\n") + "\n").utf8)
    }

    private static func json(_ row: EvalRow) -> JSONValue {
        [
            "name": .string(row.name), "score": .optional(row.score), "label": .optional(row.label),
            "explanation": .optional(row.explanation), "annotator": .optional(row.annotator),
            "annotator_kind": .optional(row.annotatorKind), "eval_id": .optional(row.evalID), "run_id": .optional(row.runID),
            "example_id": .optional(row.exampleID), "trace_id": .optional(row.traceID?.hexadecimal),
            "span_id": .optional(row.spanID?.hexadecimal), "session_id": .optional(row.sessionID),
            "response_id": .optional(row.responseID), "error": .optional(row.error), "dataset": .optional(row.dataset),
            "git_revision": .optional(row.gitRevision), "metadata": .optional(row.metadata),
            "time_unix_nano": .optional(row.timeUnixNano), "source": .string(row.source.rawValue),
        ]
    }

    private static func json(_ price: ModelPrice) -> JSONValue {
        [
            "model": .string(price.model), "effective_from_unix_nano": .integer(price.effectiveFromUnixNano),
            "kind": .string(price.kind.rawValue), "input": .double(price.input), "cache_read": .double(price.cacheRead),
            "cache_write": .double(price.cacheWrite), "output": .double(price.output), "source": .optional(price.source),
        ]
    }

    private static func json(_ host: HostRent) -> JSONValue {
        [
            "host": .string(host.host), "dollars_per_hour": .double(host.dollarsPerHour), "gpus": .integer(host.gpus),
            "granularity_s": .integer(host.granularitySeconds), "billed_from_unix_nano": .optional(host.billedFromUnixNano),
            "billed_until_unix_nano": .optional(host.billedUntilUnixNano),
        ]
    }

    private static func json(_ link: EgressPrice) -> JSONValue {
        [
            "link": .string(link.link), "dollars_per_unit": .double(link.dollarsPerUnit), "free_units": .double(link.freeUnits),
            "unit_bytes": .integer(link.unitBytes),
        ]
    }

    private static func json(_ order: ForwardOrder) -> JSONValue {
        switch order {
        case .pause(let target): ["order": "pause", "target": .string(target)]
        case .resume(let target): ["order": "resume", "target": .string(target)]
        case .replay(let target, let signal, let ordinal):
            ["order": "replay", "target": .string(target), "signal": .string(signal.rawValue), "from": .integer(ordinal)]
        }
    }

    // MARK: Decoding

    /// The document in the bytes; `nil` when it is none, whole.
    package init?(_ bytes: [UInt8]) {
        var values: [JSONValue] = []
        for line in bytes.split(separator: 0x0A) {
            guard let value = try? JSONValue.parse(line) else { return nil }
            values.append(value)
        }
        guard let kind = values.first?["fusebox"]?.text else { return nil }
        let rest = values.dropFirst()
        switch kind {
        case "evals":
            let rows = rest.compactMap(Self.evalRow)
            guard rows.count == rest.count else { return nil }
            self = .evals(rows)
        case "prices":
            var table = PriceTable()
            for value in rest {
                if let price = Self.modelPrice(value) {
                    table.models.append(price)
                } else if let host = Self.hostRent(value) {
                    table.hosts.append(host)
                } else if let link = Self.egressPrice(value) {
                    table.links.append(link)
                } else {
                    return nil
                }
            }
            self = .prices(table)
        case "forward":
            let orders = rest.compactMap(Self.forwardOrder)
            guard orders.count == rest.count else { return nil }
            self = .forward(orders)
        case "forget":
            guard rest.count == 1, let request = rest.first?["request"]?.text,
                let selection = rest.first?["selection"].flatMap({ ForgetSelection($0) })
            else { return nil }
            self = .forget(ForgetOrder(request: request, selection: selection))
        default: return nil
        }
    }

    private static func forwardOrder(_ value: JSONValue) -> ForwardOrder? {
        guard let target = value["target"]?.text else { return nil }
        switch value["order"]?.text {
        case "pause": return .pause(target: target)
        case "resume": return .resume(target: target)
        case "replay":
            guard let signal = value["signal"]?.text.flatMap(ForwardSignal.init(rawValue:)), let from = integer(value, "from")
            else { return nil }
            return .replay(target: target, signal: signal, from: from)
        default: return nil
        }
    }

    private static func evalRow(_ value: JSONValue) -> EvalRow? {
        guard let name = value["name"]?.text, !name.isEmpty else { return nil }
        var row = EvalRow(name: name)
        row.score = value["score"]?.number
        row.label = value["label"]?.text
        row.explanation = value["explanation"]?.text
        row.annotator = value["annotator"]?.text
        row.annotatorKind = value["annotator_kind"]?.text
        row.evalID = value["eval_id"]?.text
        row.runID = value["run_id"]?.text
        row.exampleID = value["example_id"]?.text
        row.traceID = value["trace_id"]?.text.flatMap { TraceID(hexadecimal: $0) }
        row.spanID = value["span_id"]?.text.flatMap { SpanID(hexadecimal: $0) }
        row.sessionID = value["session_id"]?.text
        row.responseID = value["response_id"]?.text
        row.error = value["error"]?.text
        row.dataset = value["dataset"]?.text
        row.gitRevision = value["git_revision"]?.text
        row.metadata = value["metadata"]?.text
        row.timeUnixNano = integer(value, "time_unix_nano")
        row.source = value["source"]?.text.flatMap(EvalRow.Source.init(rawValue:)) ?? .file
        return row
    }

    private static func modelPrice(_ value: JSONValue) -> ModelPrice? {
        guard let model = value["model"]?.text, let from = integer(value, "effective_from_unix_nano"),
            let kind = value["kind"]?.text.flatMap({ ModelPrice.Kind(rawValue: $0) }), let input = value["input"]?.number,
            let read = value["cache_read"]?.number, let write = value["cache_write"]?.number, let output = value["output"]?.number
        else { return nil }
        return ModelPrice(
            model: model, effectiveFromUnixNano: from, kind: kind, input: input, cacheRead: read, cacheWrite: write,
            output: output, source: value["source"]?.text)
    }

    private static func hostRent(_ value: JSONValue) -> HostRent? {
        guard let name = value["host"]?.text, let rate = value["dollars_per_hour"]?.number, let gpus = integer(value, "gpus"),
            let granularity = integer(value, "granularity_s")
        else { return nil }
        var host = HostRent(host: name, dollarsPerHour: rate)
        host.gpus = gpus
        host.granularitySeconds = max(1, granularity)
        host.billedFromUnixNano = integer(value, "billed_from_unix_nano")
        host.billedUntilUnixNano = integer(value, "billed_until_unix_nano")
        return host
    }

    private static func egressPrice(_ value: JSONValue) -> EgressPrice? {
        guard let name = value["link"]?.text, let price = value["dollars_per_unit"]?.number,
            let free = value["free_units"]?.number, let unit = integer(value, "unit_bytes")
        else { return nil }
        var link = EgressPrice(link: name, dollarsPerUnit: price)
        link.freeUnits = free
        link.unitBytes = max(1, unit)
        return link
    }

    private static func integer(_ value: JSONValue, _ name: String) -> Int64? {
        guard case .integer(let integer)? = value[name] else { return nil }
        return integer
    }
}
