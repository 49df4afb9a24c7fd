import ArgumentParser

/// `fusebox`: one file a subcommand; this one is the list of them.
@main
struct FuseboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fusebox",
        abstract: "An OpenTelemetry collector and span store for AI agents.",
        discussion: """
            Agents point their OTLP exporter at `fusebox serve`, which acknowledges a span once it is safely on disk. `fusebox sql` queries spans; \
            `traces`, `trace`, `session` and `tail` show them; `tools` and `fuses` show timeouts and circuit breakers; `mcp` answers \
            agents. Prometheus reads /metrics.

            Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 insufficient data, 4 damaged data.
            """,
        version: BuildInfo.versionText,
        subcommands: [
            Serve.self, SQL.self, Traces.self, Trace.self, Session.self, Tail.self, Tools.self, Fuses.self, Eval.self, Cost.self,
            Prices.self,
            Gate.self, Sweep.self, Compare.self, Soak.self, Stalls.self, AgentCommand.self, GatewayCommand.self,
            ConfigurationCommand.self,
            TokenCommand.self,
            DemoCommand.self,
            ForwardCommand.self, Verify.self, Backup.self, Export.self, Import.self, Prune.self, Forget.self, DDL.self,
        ])

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            Terminal.error(failure.message)
            exit(withError: ExitCode(failure.code.rawValue))
        } catch {
            // The parser's own messages: help and version go to standard output, mistakes to standard error.
            let code = exitCode(for: error)
            if code == .success { return Terminal.write(fullMessage(for: error) + "\n") }
            guard code == .validationFailure else { exit(withError: error) }
            Terminal.write(fullMessage(for: error) + "\n", to: .standardError)
            exit(withError: ExitCode(CommandFailure.Code.usage.rawValue))
        }
    }
}

/// Why a command ends without success: what happened and what to do next, and the exit code that says it to scripts.
struct CommandFailure: Error {
    enum Code: Int32 {
        case failed = 1
        case usage = 2
        case insufficientData = 3
        case integrity = 4
    }

    var code: Code
    var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
