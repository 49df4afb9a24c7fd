package import TelemetryModel

/// What is to be forgotten. Of one kind, any of the names; of several kinds, what all of them name.
package struct ForgetSelection: Equatable, Sendable {
    package var traces: [TraceID]
    /// Traces with a span that has one of these as its `session_id`, whole.
    package var sessions: [String]
    /// Traces with a span that has one of these as its `user_id`, whole.
    package var users: [String]
    /// Only what ended, or happened, at or before this; nanoseconds since 1970. `nil` for all times.
    package var endedAtOrBeforeUnixNano: Int64?

    package init(
        traces: [TraceID] = [], sessions: [String] = [], users: [String] = [], endedAtOrBeforeUnixNano: Int64? = nil
    ) {
        self.traces = traces
        self.sessions = sessions
        self.users = users
        self.endedAtOrBeforeUnixNano = endedAtOrBeforeUnixNano
    }

    /// Whether it names traces, by themselves or by what they belong to; else it goes by time alone.
    package var namesTraces: Bool { !(traces.isEmpty && sessions.isEmpty && users.isEmpty) }

    package var isEmpty: Bool { !namesTraces && endedAtOrBeforeUnixNano == nil }

    package var json: JSONValue {
        [
            "traces": .array(traces.map { .string($0.hexadecimal) }), "sessions": .array(sessions.map(JSONValue.string)),
            "users": .array(users.map(JSONValue.string)), "ended_at_or_before_unix_nano": .optional(endedAtOrBeforeUnixNano),
        ]
    }

    /// The selection in a value; `nil` when it is none, or selects nothing.
    package init?(_ value: JSONValue) {
        func texts(_ name: String) -> [String]? {
            guard case .array(let values)? = value[name] else { return nil }
            let texts = values.compactMap(\.text)
            return texts.count == values.count ? texts : nil
        }
        guard let traces = texts("traces"), let sessions = texts("sessions"), let users = texts("users") else { return nil }
        self.init(traces: traces.compactMap { TraceID(hexadecimal: $0[...]) }, sessions: sessions, users: users)
        guard self.traces.count == traces.count else { return nil }
        switch value["ended_at_or_before_unix_nano"] {
        case .integer(let time): endedAtOrBeforeUnixNano = time
        case .null, nil: break
        default: return nil
        }
        if isEmpty { return nil }
    }
}

/// An order to forget, as a command gives it.
package struct ForgetOrder: Equatable, Sendable {
    /// What the command finds its order by again; it says nothing of what is forgotten.
    package var request: String
    package var selection: ForgetSelection

    package init(request: String, selection: ForgetSelection) {
        self.request = request
        self.selection = selection
    }
}

/// Which attributes of a log record, and of its resource, name its session and its user.
package struct ForgetKeys: Sendable {
    package var session: [String]
    package var user: [String]

    package init(session: [String], user: [String]) {
        self.session = session
        self.user = user
    }
}

/// What was, or would be, deleted.
package struct ForgetCounts: Equatable, Sendable {
    package var spans: Int64 = 0
    /// Segments that held them, written again or dropped.
    package var segments: Int64 = 0
    package var logRecords: Int64 = 0
    package var logSegments: Int64 = 0
    package var evals: Int64 = 0
    package var stalls: Int64 = 0

    package init() {}

    package var isZero: Bool { self == ForgetCounts() }
}

/// How far an order is.
package struct ForgetProgress: Equatable, Sendable {
    package enum Phase: String, Sendable {
        /// Finding the traces that it is about.
        case searching
        /// Writing segments again without them.
        case deleting
        /// Nothing shows them any more; what is left of their bytes in the file is being overwritten.
        case erasing
        case done
    }

    package var phase: Phase
    package var counts: ForgetCounts
    /// Bytes of free and unused places of the file that were overwritten: of what was forgotten, and of whatever else had gone.
    package var overwrittenBytes: Int64
    /// Why the last try ended before its time; empty when nothing is wrong.
    package var problem: String

    package init(phase: Phase, counts: ForgetCounts, overwrittenBytes: Int64 = 0, problem: String = "") {
        self.phase = phase
        self.counts = counts
        self.overwrittenBytes = overwrittenBytes
        self.problem = problem
    }
}
