import Derivations
import Testing

@testable import FuseboxConfiguration

@Suite struct ConfigurationLoaderTests {
    private func load(
        _ yaml: String? = nil, environment: [String: String] = [:], flags: [String: String] = [:]
    ) throws -> Configuration {
        try ConfigurationLoader(homeFolder: "/home/ada", environment: environment)
            .load(yaml: yaml.map { ($0, "fusebox.yaml") }, flags: flags)
    }

    @Test func aFlagBeatsTheEnvironmentWhichBeatsTheFile() throws {
        let yaml = "http_port: 1\nbreaker:\n  cooldown_s: 1\n  threshold: 5\n"
        let environment = ["FUSEBOX_HTTP_PORT": "2", "BREAKER_COOLDOWN_S": "0.5"]
        let configuration = try load(yaml, environment: environment, flags: ["http_port": "3"])
        #expect(configuration.httpPort == 3)
        #expect(configuration.policy.breakerCooldownNanoseconds == 500_000_000)
        #expect(configuration.policy.breakerThreshold == 5)
        #expect(configuration.origins["http_port"] == "flag")
        #expect(configuration.origins["breaker.cooldown_s"] == "BREAKER_COOLDOWN_S")
        #expect(configuration.origins["breaker.threshold"] == "fusebox.yaml")
    }

    @Test func theFileHoldsMapsOfModelsAndTools() throws {
        let configuration = try load("fuses:\n  prefill_budgets_s: {m: 2.5}\n  stages: {web: http_tool}\n")
        #expect(configuration.policy.prefillBudgetsNanoseconds == ["m": 2_500_000_000])
        #expect(configuration.policy.stageByTool == ["web": .httpTool])
    }

    @Test(arguments: [
        "/tmp/a #b", "a: b", "null", "", "~", "it's \"so\"", "two\nlines\u{85}", "\\ é 🦊", "- a", "[x", "*a", "'", "none",
    ])
    func whatIsPrintedGivesOddTextsAgain(text: String) throws {
        var configuration = try load()
        configuration.dataFolder = text
        configuration.redaction.patterns = ["a b", "(?i)it's", "#x"]
        configuration.policy.derivedStages = []
        configuration.policy.prefillBudgetsNanoseconds = [text: 1_000_000_000]
        configuration.policy.stageByTool = [text: .vector]
        // Printed as it takes effect.
        configuration.transport.grpcPort = .some(configuration.grpcPort)
        var again = try load(configuration.yaml)
        again.origins = [:]
        // The home folder stands for its sign.
        if text == "~" { again.dataFolder = text }
        #expect(again == configuration)
        #expect(try Configuration.policy(yaml: configuration.policyYAML) == configuration.policy)
    }

    @Test func whatIsPrintedGivesTheSameConfigurationAgain() throws {
        let yaml = """
            fuses:
              http_tool_timeout_s: 8.5
              subprocess_tree_limit_s: 60
              prefill_budgets_s: {"llama: 3": 2.5}
              stages: {run_tests: subprocess}
            breaker: {scope: service, derived_stages: [http_tool, subprocess]}
            gates: {p95_latency_ms_max: 4500}
            """
        let first = try load(yaml)
        let again = try load(first.yaml)
        #expect(again.policy == first.policy)
        #expect(again.yaml.split(separator: "\n").count == first.yaml.split(separator: "\n").count)
    }

    @Test(arguments: ["a, ,b", "' , a,b,'", "a,,b", "[a, ' ', b]"])
    func aListHasNoBlanks(text: String) throws {
        let configuration = try load("redaction:\n  keys: \(text)\n")
        #expect(configuration.redaction.keys == ["a", "b"])
        #expect(try load(configuration.yaml).redaction.keys == ["a", "b"])
    }

    @Test func homeIsExpandedInTheDataFolder() throws {
        #expect(try load("data_dir: ~/spans").dataFolder == "/home/ada/spans")
        #expect(try load().dataFolder == "/home/ada/.fusebox")
    }

    @Test(arguments: [
        ("http_port: 70000", "http_port is '70000', but must be a whole number from 0 to 65535"),
        ("breaker:\n  cooldwn_s: 3", "there is no setting 'breaker.cooldwn_s'"),
        ("breaker:\n  scope: host", "must be one of: process, service"),
        ("fuses:\n  stages: {a: b}", "a stage is one of"),
        ("- 1", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("breaker: {cooldown_s: -1}", "must be a number from 0.001"),
    ])
    func mistakesAreToldWithWhatToDo(yaml: String, message: String) {
        let error = #expect(throws: ConfigurationError.self) { try load(yaml) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func loopbackIsToldFromTheRest() throws {
        for address in ["127.0.0.1", "127.9.9.9", "localhost", "::1"] {
            #expect(try load("listen: '\(address)'").listensOnLoopback)
        }
        for address in ["0.0.0.0", "192.168.1.2", "::"] {
            #expect(try !load("listen: '\(address)'").listensOnLoopback)
        }
    }

    @Test func anUnusualFuseIsWarnedOf() throws {
        #expect(try load("fuses: {http_tool_timeout_s: 30}").warnings.count == 1)
        #expect(try load().warnings.isEmpty)
    }
}
