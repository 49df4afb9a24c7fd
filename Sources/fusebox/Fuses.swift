import ArgumentParser
import Derivations
import FuseboxConfiguration
import SpanStore
import StoreSQL
import TelemetryModel

/// `fusebox fuses`: the fuse table, and every breaker with what it did.
struct Fuses: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the fuse table and every circuit breaker: state, opens, cooldown.",
        discussion: """
            Reported is what agents said of their breakers (breaker_state); derived is what a breaker run by the fuse table would have \
            done. It reads the data file, so it works beside a running server and without one. The fuse table is that of the server \
            which runs or ran last, and the configuration's only where no server has run yet.
            """)

    @OptionGroup var common: CommonOptions

    @Option(help: "\(SQLFormat.allCases.map(\.rawValue).joined(separator: ", ")) of the breakers.")
    var format: SQLFormat = .table

    @Flag(help: "Show it again every two seconds, until Ctrl+C.")
    var watch = false

    private static let pause = Duration.seconds(2)
    /// Lines above and below the rows of breakers.
    private static let otherLines = 10

    mutating func run() async throws {
        guard watch else { return try show() }
        while true {
            // Home and wipe, so that the screen stands still but for what changed.
            if Terminal.isTerminal(.standardOutput) { Terminal.write("\u{1B}[H\u{1B}[2J") }
            try show()
            try await Task.sleep(for: Self.pause)
        }
    }

    private func show() throws {
        let configuration = try common.configuration()
        let stored: StoredBreakers
        do {
            stored = try StoredBreakers(SQLReader(folder: StoreFolder(path: configuration.dataFolder)), configuration.policy)
        } catch {
            throw error.failure
        }
        let (breakers, told) = (stored.breakers, stored.toldPolicy)
        if format == .table {
            let heading = told == nil ? "Fuses, as configured here: no server has told its own" : "Fuses of the server"
            Terminal.write(Self.table(of: told ?? configuration.policy, heading) + "\n")
        }
        if breakers.isEmpty && format == .table {
            Terminal.write("No breaker yet: no tool reported a breaker_state, and no tool of a derived stage was called.\n")
            return
        }
        // Those that opened are what one looks for.
        write(format == .table ? breakers.sorted { Self.opens($0) > Self.opens($1) } : breakers)
    }

    private static func opens(_ breaker: BreakerView) -> Int64 {
        max(breaker.reported?.opens ?? 0, breaker.derived?.opens ?? 0)
    }

    // MARK: Fuses

    private static func table(of policy: FusePolicy, _ heading: String) -> String {
        var lines = [heading]
        lines.append("  http_tool    \(seconds(policy.httpToolTimeoutNanoseconds))")
        lines.append("  vector       \(seconds(policy.vectorQueryTimeoutNanoseconds))")
        let subprocess = policy.fuseNanoseconds(stage: .subprocess, model: nil)
        lines.append("  subprocess   \(subprocess.map(seconds) ?? "none")")
        for (model, budget) in policy.prefillBudgetsNanoseconds.sorted(by: { $0.key < $1.key }) {
            lines.append("  llm prefill  \(seconds(budget))  \(Terminal.escaped(model))")
        }
        lines.append(
            "Breakers open after \(policy.breakerThreshold) timeouts in a row, cool down for "
                + "\(seconds(policy.breakerCooldownNanoseconds)), scope \(policy.breakerScope.rawValue)")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func seconds(_ nanoseconds: Int64) -> String {
        let seconds = Double(nanoseconds) / 1e9
        return "\(Int64(exactly: seconds).map { "\($0)" } ?? "\(seconds)") s"
    }

    // MARK: Breakers

    private func write(_ breakers: [BreakerView]) {
        var rows = SQLRowWriter(
            format: format, escapes: Terminal.isTerminal(.standardOutput),
            columns: [
                "service_name", "tool", "scope", "machine", "stage", "state", "opens", "half_opens", "closes", "cooldown_s",
                "open_since",
            ],
            fit: .terminal(optional: ["half_opens", "scope", "open_since", "stage", "closes"]))
        // A screen that is shown again must not scroll: those that opened come first.
        let linesMax = watch && format == .table ? Terminal.lines.map { max(1, $0 - Self.otherLines) } ?? .max : .max
        var count = 0
        var hidden = 0
        for breaker in breakers {
            let lines = (breaker.reported == nil ? 0 : 1) + (breaker.derived == nil ? 0 : 1)
            guard hidden == 0, count + lines <= linesMax else {
                hidden += 1
                continue
            }
            count += lines
            for (name, machine) in [("reported", breaker.reported), ("derived", breaker.derived)] {
                guard let machine else { continue }
                rows.write([
                    .text(breaker.service), .text(breaker.tool), .text(breaker.scope), .text(name), .text(machine.stage.rawValue),
                    .text(machine.state.rawValue), .integer(machine.opens), .integer(machine.halfOpens), .integer(machine.closes),
                    .double((Double(machine.cooldownNanoseconds) / 1e6).rounded() / 1000),
                    machine.sinceUnixNano.map { .text(TimeText.iso8601(unixNano: $0)) } ?? .null,
                ])
            }
        }
        rows.finish()
        if hidden > 0 { Terminal.write("and \(hidden) more that opened no oftener\n") }
    }
}
