import Derivations
import Queries
import TelemetryModel

/// `list_breakers`: circuit breakers as they stand, and how long they were open in a window.
enum BreakerTool {
    private static let shape = RowShape([
        ("service", .text, "The service."), ("tool", .text, "The tool."), ("scope", .text, "The process; empty when processes share it."),
        ("machine", .text, "reported: what the agent said of its breaker; derived: what one run by the fuse table would have done."),
        ("stage", .text, "The kind of call."), ("state", .text, "closed, open, half_open or unknown, now."),
        ("opens_ever", .integer, "Openings since the store began."),
        ("cooldown_ever_ms", .milliseconds, "Time spent open since the store began."),
        ("opens", .integer, "Openings that began in the window."),
        ("open_ms", .milliseconds, "Time that it was open within the window."),
        ("open_since", .time, "When the present opening began."), ("example_trace_id", .text, "What opened it last in the window."),
    ])

    static let tool = Tool(
        name: "list_breakers", title: "Circuit breakers and cooldown",
        purpose: "Every circuit breaker: its state now, how often it opened and how long calls were refused in a window. Those that opened come first.",
        parameters: [Parameter.sinceDay, Parameter.until, Parameter.service, Parameter.limit(30, max: 100, of: "Breakers")],
        output: AnswerSchema.object([
            ("window", AnswerSchema.window), ("breakers", AnswerSchema.list(shape, "Those that were open longest first.")),
            ("more", AnswerSchema.value("boolean", "There are more: narrow by service.")),
        ]),
        run: run)

    private struct Key: Hashable {
        var service, tool, scope, machine: String
    }

    private struct Opened {
        var count: Int64 = 0
        var nanoseconds: Int64 = 0
        var trace: String?
    }

    private static func run(_ call: ToolCall) async throws -> JSONValue {
        var window = try call.arguments.window()
        if window.to == .max { window.to = call.now }
        let service = call.arguments.text("service")
        let live = try await call.sources.breakers()
        let asked = window
        let openings = try await call.read { reader in
            try OpeningReading.openings(asked, reader)
        }
        var opened: [Key: Opened] = [:]
        for opening in openings {
            let key = Key(service: opening.serviceName, tool: opening.toolName, scope: opening.scope, machine: opening.machine)
            var own = opened[key] ?? Opened()
            if opening.isCounted(from: asked.from, to: asked.to) { own.count += 1 }
            own.nanoseconds = own.nanoseconds.addingSaturated(opening.openNanoseconds(from: asked.from, to: asked.to, at: call.now))
            own.trace = opening.traceID.hexadecimal
            opened[key] = own
        }
        let rows = live.filter { service?.isExactly($0.service) ?? true }.flatMap { breaker in
            [("reported", breaker.reported), ("derived", breaker.derived)].compactMap { name, machine in
                machine.map { row(breaker, name, $0, opened) }
            }
        }.sorted { ($0.order, $0.name) < ($1.order, $1.name) }
        var page = Page()
        for row in rows.prefix(call.arguments.integer("limit")) where !page.append(row.json) { break }
        return [
            "window": .string(asked.text), "breakers": .array(page.rows), "more": .bool(page.rows.count < rows.count),
        ]
    }

    private static func row(
        _ breaker: BreakerView, _ machine: String, _ view: BreakerView.Machine, _ opened: [Key: Opened]
    ) -> (order: Int64, name: String, json: JSONValue) {
        let within =
            opened[Key(service: breaker.service, tool: breaker.tool, scope: breaker.scope, machine: machine)] ?? Opened()
        let json = shape.row([
            .text(breaker.service), .text(breaker.tool), .text(breaker.scope), .text(machine), .text(view.stage.rawValue),
            .text(view.state.rawValue), .integer(view.opens), .integer(view.cooldownNanoseconds), .integer(within.count),
            .integer(within.nanoseconds), view.sinceUnixNano.map(QueryValue.integer) ?? .null,
            within.trace.map(QueryValue.text) ?? .null,
        ])
        return (-within.nanoseconds, "\(breaker.service)/\(breaker.tool)/\(breaker.scope)/\(machine)", json)
    }
}
