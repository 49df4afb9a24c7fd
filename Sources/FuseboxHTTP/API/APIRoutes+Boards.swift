import Derivations
import Fleet
import HTTPTypes
import Ingest
import Queries
import SpanStore
import StoreSQL
import TelemetryModel

extension APIRoutes {
    /// What is stored, and the configuration that figures are read against.
    func status() async throws -> Response {
        let policy = context.policy
        let version = context.versionText
        let now = context.clock()
        let engine = context.engine?.name
        let refusal = engine.map(FleetQuestions.closedBecause) ?? writer?.refusal
        let (user, project, scope) = (visitor.user, visitor.project, context.scope)
        return try await context.json(of: .nothing) { reader, json in
            // How much others have stored is told to nobody who may not read it, and counting one project takes a look at every segment.
            let row =
                scope?.isLimit == true || engine != nil ? [.null, .null, .null, .null, .null]
                : try reader.first(
                    """
                    SELECT coalesce(sum(span_count), 0), count(*), min(start_min), max(start_max),
                        (SELECT received_max FROM segment ORDER BY id DESC LIMIT 1) FROM segment
                    """
                )
                ?? []
            var isFirst = true
            json.raw("{")
            func member(_ name: String, _ value: QueryValue) {
                json.key(name, isFirst: &isFirst)
                if case .integer(let integer) = value, name.hasSuffix("_unix_nano") {
                    json.string("\(integer)")
                } else {
                    value.write(into: &json)
                }
            }
            member("version", .text(version))
            member("now_unix_nano", .integer(now))
            member("user", user.map(QueryValue.text) ?? .null)
            member("project", project.map(QueryValue.text) ?? .null)
            member("engine", .optional(engine))
            json.key("taking_spans", isFirst: &isFirst)
            json.bool(refusal == nil)
            member("refusing_because", refusal.map(QueryValue.text) ?? .null)
            member("span_count", row.first ?? .integer(0))
            member("segment_count", row.count > 1 ? row[1] : .integer(0))
            member("first_time_unix_nano", row.count > 2 ? row[2] : .null)
            member("last_time_unix_nano", row.count > 3 ? row[3] : .null)
            member("received_time_unix_nano", row.count > 4 ? row[4] : .null)
            json.key("fuses", isFirst: &isFirst)
            Self.write(policy, into: &json)
            json.raw("}")
        }
    }

    private static func write(_ policy: FusePolicy, into json: inout JSONWriter) {
        var isFirst = true
        json.raw("{")
        func member(_ name: String, _ value: Int64?) {
            json.key(name, isFirst: &isFirst)
            (value.map(QueryValue.integer) ?? .null).write(into: &json)
        }
        for stage in Stage.allCases { member("\(stage.rawValue)_ns", policy.fuseNanoseconds(stage: stage, model: nil)) }
        member("breaker_threshold", Int64(policy.breakerThreshold))
        member("breaker_cooldown_ns", policy.breakerCooldownNanoseconds)
        member("p95_gate_ns", policy.p95LatencyGateNanoseconds)
        json.key("breaker_scope", isFirst: &isFirst)
        json.string(policy.breakerScope.rawValue)
        json.raw("}")
    }

    // MARK: Overview

    /// Buckets of one answer.
    private static let pointsMax = 500

    func overview(_ query: QueryString) async throws -> Response {
        let asked = try timeWindow(query)
        let points = try query.integer("points", 10...Self.pointsMax, fallback: 120)
        let service = query["service"]
        let (context, now) = (context, context.clock())
        if context.engine != nil { return try await overviewOfEngine(asked, points: points, service: service, nowUnixNano: now) }
        let limit = APIContext.TimeLimit.query
        // Side by side: each looks at many spans when it is asked for the first time.
        async let pendingOpenings = context.pool.run(limit: limit) { reader in
            try OpeningReading.openings(asked, reader).filter { service?.isExactly($0.serviceName) ?? true }
        }
        async let pendingBuckets = context.pool.run(limit: limit) { reader in
            try StoredTimes.window(asked, nowUnixNano: now, reader).map { window in
                let step = OverviewCache.step(for: window.nanoseconds, points: points)
                return (window, step, try context.overview.read(window, step: step, service: service, reader))
            }
        }
        let (openings, found) = try await (pendingOpenings, pendingBuckets)
        // On a reading thread too: percentiles over all runs are too much for an event loop.
        return try await context.json(limit: limit) { _, json in
            guard case (var window, let step, let buckets)? = found else { return OverviewText.writeNothing(into: &json) }
            // A cooldown may end after the last span began.
            if asked.to == .max {
                window.to = max(window.to, (openings.map { $0.endUnixNano(at: now) }.max() ?? 0).addingSaturated(1))
            }
            OverviewText(step: step, window: window, buckets: buckets, openings: openings, nowUnixNano: now).write(into: &json)
        }
    }

    /// The same of an engine's spans. Openings of breakers are kept by nodes: they are null, since 0 would say that none opened.
    private func overviewOfEngine(_ asked: TimeWindow, points: Int, service: String?, nowUnixNano now: Int64) async throws -> Response {
        try await context.json(limit: APIContext.TimeLimit.query, of: .window(asked)) { reader, json in
            guard let window = try StoredTimes.window(asked, nowUnixNano: now, reader) else { return OverviewText.writeNothing(into: &json) }
            let step = OverviewCache.step(for: window.nanoseconds, points: points)
            let buckets = try OverviewCache.read(window, step: step, service: service, reader)
            OverviewText(step: step, window: window, buckets: buckets, openings: nil, nowUnixNano: now).write(into: &json)
        }
    }

    // MARK: Breakers

    /// How far the targets of forwarding are, and what they refused last.
    func forward() async throws -> Response {
        let now = context.clock()
        return try await context.json { reader, json in try ForwardReading.write(nowUnixNano: now, reader, into: &json) }
    }

    func breakers(_ query: QueryString) async throws -> Response {
        let window = try timeWindow(query)
        let now = context.clock()
        let policy = context.policy
        let scope = context.scope
        if let scope, scope.isLimit, !scope.isService {
            throw QueryError.forbidden("this token may read project '\(scope.name)' alone, and breakers are kept by service")
        }
        // Of a project that is no service, every breaker is shown as one of all.
        guard let writer else { throw QueryError.notHere("breakers are kept by each node: ask one of them, at the same path") }
        let live = await writer.breakers().filter { scope?.isService != true || $0.service == scope?.name }
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
            json.raw("{\"now_unix_nano\":")
            json.string("\(now)")
            json.raw(",\"cooldown_ns\":")
            json.integer(policy.breakerCooldownNanoseconds)
            json.raw(",\"breakers\":[")
            for (index, breaker) in live.enumerated() {
                if index > 0 { json.raw(",") }
                Self.write(breaker, into: &json)
            }
            json.raw("],\"states_before\":")
            try Boards.writeStatesBefore(window, reader, into: &json)
            json.raw(",\"transitions\":")
            try Boards.writeTransitions(window, reader, into: &json)
            json.raw(",\"openings\":[")
            for (index, opening) in try OpeningReading.openings(window, reader).enumerated() {
                if index > 0 { json.raw(",") }
                Self.write(opening, now, into: &json)
            }
            json.raw("],\"timeouts\":")
            try Boards.writeTimeouts(window, reader, into: &json)
            json.raw("}")
        }
    }

    private static func write(_ opening: BreakerOpening, _ now: Int64, into json: inout JSONWriter) {
        var isFirst = true
        json.raw("{")
        let fields = [
            ("service_name", opening.serviceName), ("scope", opening.scope), ("tool_name", opening.toolName),
            ("machine", opening.machine), ("start_time_unix_nano", "\(opening.fromUnixNano)"),
            ("end_time_unix_nano", "\(opening.endUnixNano(at: now))"),
        ]
        for (name, value) in fields {
            json.key(name, isFirst: &isFirst)
            json.string(value)
        }
        json.raw("}")
    }

    private static func write(_ breaker: BreakerView, into json: inout JSONWriter) {
        var isFirst = true
        json.raw("{")
        for (name, text) in [("service_name", breaker.service), ("tool_name", breaker.tool), ("scope", breaker.scope)] {
            json.key(name, isFirst: &isFirst)
            json.string(text)
        }
        for (name, machine) in [("reported", breaker.reported), ("derived", breaker.derived)] {
            json.key(name, isFirst: &isFirst)
            write(machine, into: &json)
        }
        json.raw("}")
    }

    private static func write(_ machine: BreakerView.Machine?, into json: inout JSONWriter) {
        guard let machine else { return json.raw("null") }
        var isFirst = true
        json.raw("{")
        json.key("stage", isFirst: &isFirst)
        json.string(machine.stage.rawValue)
        json.key("state", isFirst: &isFirst)
        json.string(machine.state.rawValue)
        let counts = [
            ("opens", machine.opens), ("half_opens", machine.halfOpens), ("closes", machine.closes),
            ("cooldown_ns", machine.cooldownNanoseconds),
        ]
        for (name, value) in counts {
            json.key(name, isFirst: &isFirst)
            json.integer(value)
        }
        json.key("since_unix_nano", isFirst: &isFirst)
        (machine.sinceUnixNano.map { QueryValue.text("\($0)") } ?? .null).write(into: &json)
        json.raw("}")
    }

    // MARK: Compare

    /// Two windows, or two services, side by side: what each tool and workflow did in them.
    func compare(_ query: QueryString) async throws -> Response {
        var sides: [(window: TimeWindow, service: String?)] = []
        for side in ["a", "b"] {
            sides.append((try timeWindow(query, of: "\(side)."), query["\(side).service"]))
        }
        let asked = sides
        let need = SpanNeed.window(from: sides.map(\.window.from).min() ?? .min, to: sides.map(\.window.to).max() ?? .max)
        return try await context.json(limit: APIContext.TimeLimit.query, of: need) { reader, json in
            json.raw("{")
            for (index, side) in asked.enumerated() {
                json.raw(index == 0 ? "\"a\":{\"tools\":" : ",\"b\":{\"tools\":")
                try ToolBoard.write(side.window, service: side.service, reader, into: &json)
                json.raw(",\"workflows\":")
                try WorkflowBoard.write(side.window, service: side.service, reader, into: &json)
                json.raw("}")
            }
            json.raw("}")
        }
    }
}
