import Derivations
import HTTPTypes
import Hummingbird
import Ingest
import Queries
import TelemetryModel

extension APIRoutes {
    /// What is stored, and the configuration that figures are read against.
    func status() async throws -> Response {
        let policy = context.policy
        let version = context.versionText
        let now = context.clock()
        let isTaking = await writer.isTaking
        return try await context.json { reader, json in
            let row =
                try reader.first(
                    "SELECT coalesce(sum(span_count), 0), count(*), min(start_min), max(start_max), max(received_max) FROM segment"
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
            json.key("taking_spans", isFirst: &isFirst)
            json.bool(isTaking)
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
        let limit = APIContext.TimeLimit.query
        // Side by side: each looks at many spans when it is asked for the first time.
        async let pendingOpenings = context.pool.run(limit: limit) { reader in
            try Self.openings(asked, context.policy, now, reader).filter { service == nil || $0.key.service == service }
        }
        async let pendingBuckets = context.pool.run(limit: limit) { reader in
            try Self.stored(asked, reader).map { window in
                let step = OverviewCache.step(for: window.to - window.from, points: points)
                return (window, step, try context.overview.read(window, step: step, service: service, reader))
            }
        }
        let (openings, found) = try await (pendingOpenings, pendingBuckets)
        // On a reading thread too: percentiles over all runs are too much for an event loop.
        return try await context.json(limit: limit) { _, json in
            guard case (var window, let step, let buckets)? = found else {
                json.raw("{\"step_ns\":0,\"from_unix_nano\":null,\"to_unix_nano\":null,\"buckets\":[],\"totals\":null}")
                return
            }
            // A cooldown may end after the last span began.
            if asked.to == .max { window.to = max(window.to, (openings.map(\.endUnixNano).max() ?? 0) + 1) }
            OverviewText(step: step, window: window, buckets: buckets, openings: openings).write(into: &json)
        }
    }

    /// The part of a window in which there are spans; `nil` when there are none.
    private static func stored(_ window: TimeWindow, _ reader: QueryReader) throws -> TimeWindow? {
        if window.from > .min, window.to < .max { return window }
        let ends = try reader.first("SELECT min(start_min), max(start_max) FROM segment") ?? []
        guard let first = ends.first?.integer, let last = ends.last?.integer else { return nil }
        let bounded = TimeWindow(from: max(window.from, first), to: min(window.to, last + 1))
        return bounded.from < bounded.to ? bounded : TimeWindow(from: bounded.from, to: bounded.from + 1)
    }

    // MARK: Breakers

    func breakers(_ query: QueryString) async throws -> Response {
        let window = try timeWindow(query)
        let now = context.clock()
        let policy = context.policy
        let live = try await writer.breakers()
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
            for (index, opening) in try Self.openings(window, policy, now, reader).enumerated() {
                if index > 0 { json.raw(",") }
                Self.write(opening, into: &json)
            }
            json.raw("],\"timeouts\":")
            try Boards.writeTimeouts(window, reader, into: &json)
            json.raw("}")
        }
    }

    private static func openings(
        _ window: TimeWindow, _ policy: FusePolicy, _ now: Int64, _ reader: QueryReader
    ) throws -> [BreakerTimeline.Opening] {
        try BreakerReading.openings(
            window, cooldownNanoseconds: policy.breakerCooldownNanoseconds, perProcess: policy.breakerScope == .process,
            nowUnixNano: now, reader)
    }

    private static func write(_ opening: BreakerTimeline.Opening, into json: inout JSONWriter) {
        var isFirst = true
        json.raw("{")
        let fields = [
            ("service_name", opening.key.service), ("scope", opening.key.scope), ("tool_name", opening.key.tool),
            ("machine", opening.key.machine), ("start_time_unix_nano", "\(opening.startUnixNano)"),
            ("end_time_unix_nano", "\(opening.endUnixNano)"),
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
        let now = context.clock()
        var sides: [(window: TimeWindow, service: String?)] = []
        for side in ["a", "b"] {
            let window = TimeWindow(
                from: try query.time("\(side).from", nowUnixNano: now) ?? .min,
                to: try query.time("\(side).to", nowUnixNano: now) ?? .max)
            sides.append((window, query["\(side).service"]))
        }
        let asked = sides
        return try await context.json(limit: APIContext.TimeLimit.query) { reader, json in
            json.raw("{")
            for (index, side) in asked.enumerated() {
                json.raw(index == 0 ? "\"a\":{\"tools\":" : ",\"b\":{\"tools\":")
                try Boards.writeTools(side.window, service: side.service, reader, into: &json)
                json.raw(",\"workflows\":")
                try Boards.writeWorkflows(side.window, service: side.service, reader, into: &json)
                json.raw("}")
            }
            json.raw("}")
        }
    }
}
