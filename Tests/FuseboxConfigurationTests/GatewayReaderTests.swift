import Derivations
import FuseboxConfiguration
import GatewayRules
import Testing

struct GatewayReaderTests {
    private func load(_ yaml: String) throws -> Configuration {
        try ConfigurationLoader(homeFolder: "/home/u", environment: [:]).load(yaml: (yaml, "fusebox.yaml"), flags: [:])
    }

    private func message(_ yaml: String) -> String {
        do {
            _ = try load(yaml)
            return "no error"
        } catch let error as ConfigurationError {
            return error.message
        } catch {
            return "\(error)"
        }
    }

    private let whole = """
        fuses:
          prefill_budgets_s:
            "llama-3.3-70b-q4": 2.5
        gateway:
          port: 4321
          max_concurrency: 3
          headroom_ratio: 0.25
          models:
            "llama-3.3-70b-q4":
              backends:
                - name: local
                  url: http://127.0.0.1:8080/
                  kind: llama_cpp
                  max_concurrent: 2
                  group: gpu0
                - {name: rented, url: "https://[::1]:9443/p", upstream_model: "70b", ask_usage: false}
              queue: {depth: 8, timeout_s: 10}
              fuses: {connect_s: 0.5, first_token_s_per_1k_tokens: 1.5, gap_s: none, answer_s: 20, total_s: 60}
              retry: {max: 2, backoff_s: 0.1}
            "local":
              backends:
                - name: own
                  kind: llama_cpp
                  command: [llama-server, -m, "a b.gguf", --port, "{port}"]
                  max_concurrent: auto
                  start_timeout_s: 600
                  stall_s: 45
                  stop_timeout_s: 2.5
                  memory_bytes: 70000000000
              fuses: {first_token_s: none}
            "*":
              backends: [{name: any, url: "http://h"}]
              fuses: {first_token_s: none}
        """

    @Test func everythingIsReadAndPrintedSoThatItGivesTheSameAgain() throws {
        let configuration = try load(whole)
        let plan = try configuration.gateway.plan(configuration.policy)
        #expect(configuration.gateway.port == 4321)
        #expect(plan.callsMax == 3)
        #expect(plan.models.map(\.name) == ["llama-3.3-70b-q4", "local", "*"])
        #expect(plan.models[0].backends == [0, 1])
        #expect(plan.models[0].fuses.firstTokenNanoseconds == 2_500_000_000)
        #expect(plan.models[0].fuses.firstToken(promptTokens: 2000) == 5_500_000_000)
        #expect(plan.models[0].fuses.gapNanoseconds == nil)
        #expect(plan.models[1].fuses.firstTokenNanoseconds == nil)
        #expect(plan.backends[0].pathPrefix == "")
        #expect(plan.backends[1].host == "::1")
        #expect(plan.backends[1].isEncrypted)
        #expect(plan.backends[1].pathPrefix == "/p")
        #expect(plan.backends[2].process?.command == ["llama-server", "-m", "a b.gguf", "--port", "{port}"])
        #expect(plan.backends[2].process?.stopTimeoutNanoseconds == 2_500_000_000)
        #expect(plan.backends[2].process?.memoryBytes == 70_000_000_000)
        #expect(plan.backends[2].asksForSlots)
        #expect(plan.backends[3].port == 80)
        #expect(plan.model("whatever") == 2)
        var again = try load(configuration.yaml)
        let places = configuration.gateway.models.map(\.place)
        for index in again.gateway.models.indices { again.gateway.models[index].place = places[index] }
        #expect(again.gateway.programs.map(\.name) == configuration.gateway.programs.map(\.name))
        again.gateway.programs = configuration.gateway.programs
        #expect(again.gateway == configuration.gateway)
    }

    @Test func aProgramThatCannotBeRunIsRefusedWithItsLine() throws {
        func check(_ program: String) throws {
            let yaml = """
                gateway:
                  models:
                    m:
                      backends:
                        - name: b
                          command: [\(program), "{port}"]
                      fuses: {first_token_s: none}
                """
            try load(yaml).gateway.checkPrograms(path: "/usr/bin:/bin")
        }
        try check("sh")
        try check("/bin/sh")
        for program in ["no-such-program", "/bin/no-such-program", "./sh"] {
            let error = #expect(throws: ConfigurationError.self) { try check(program) }
            #expect(error?.message == "fusebox.yaml (line 6): there is no program '\(program)' that can be run here")
        }
    }

    @Test func withoutModelsThereIsNoGateway() throws {
        #expect(try load("gateway: {port: 1}").gateway.isConfigured == false)
    }

    @Test func theLimitOverAllComesFromTheEnvironmentToo() throws {
        let loader = ConfigurationLoader(homeFolder: "/home/u", environment: ["WORKFLOW_MAX_CONCURRENCY": "2"])
        #expect(try loader.load(yaml: nil, flags: [:]).gateway.callsMax == 2)
    }

    private static let backend = "      backends: [{name: b, url: \"http://h\"}]"

    @Test(arguments: [
        ("gateway:\n  prt: 1", "(line 2): there is no setting 'gateway.prt'"),
        ("gateway:\n  models:\n    m:\n\(backend)", "(line 3): the model 'm' has no limit for its first token"),
        ("gateway:\n  models:\n    m:\n      fuses: {first_token_s: 1}", "(line 3): gateway.models.m needs backends"),
        ("gateway:\n  models:\n    m:\n\(backend)\n      queues: {}", "(line 5): there is no setting 'gateway.models.m.queues'"),
        (
            "gateway:\n  models:\n    m:\n\(backend)\n      queue:\n        depth: x",
            "(line 6): gateway.models.m.queue.depth is 'x', but must be a whole number"
        ),
        (
            "gateway:\n  models:\n    m:\n      backends:\n        - name: b\n          url: ftp://h",
            "(line 6): gateway.models.m.backends[].url is 'ftp://h'"
        ),
        (
            "gateway:\n  models:\n    m:\n      backends:\n        - name: b\n          url: http://h:1/v1",
            "(line 6): gateway.models.m.backends[].url ends in /v1"
        ),
        (
            "gateway:\n  models:\n    m:\n      backends:\n        - name: b\n          kind: gpt\n          url: http://h",
            "(line 6): gateway.models.m.backends[].kind is 'gpt', but must be one of: llama_cpp"
        ),
        (
            "gateway:\n  models:\n    m:\n      backends: [{url: \"http://h\"}]",
            "(line 4): gateway.models.m.backends[] needs a name"
        ),
        (
            "gateway:\n  models:\n    m:\n      backends: [{name: b, url: \"http://h\"}, {name: b, url: \"http://i\"}]",
            "two backends are called 'b'"
        ),
        ("gateway:\n  models: 3", "(line 2): gateway.models must be a mapping"),
        (
            "gateway:\n  models:\n    m:\n      backends: [{name: b, url: \"http://h\", max_concurrent: auto}]",
            "is 'auto', but only llama_cpp says how many"
        ),
        ("gateway:\n  headroom_ratio: 15", "(line 2): gateway.headroom_ratio is '15', but must be a number from 0 to 1"),
        (
            "gateway:\n  models:\n    m:\n      backends:\n        - name: b\n          command: [x, --port, \"8080\"]",
            "(line 6): gateway.models.m.backends[].command must hold {port}"
        ),
        (
            "gateway:\n  models:\n    m:\n      backends:\n        - name: b\n          command: llama-server",
            "(line 6): gateway.models.m.backends[].command must be a list"
        ),
        (
            "gateway:\n  models:\n    m:\n      backends:\n        - {name: b, url: \"http://h\", command: [x, \"{port}\"]}",
            "(line 5): gateway.models.m.backends[] has a url and a command"
        ),
        (
            "gateway:\n  models:\n    m:\n      backends:\n        - name: b\n          url: http://h\n          stall_s: 3",
            "(line 7): gateway.models.m.backends[].stall_s is of a backend with a command"
        ),
    ])
    func whatIsNotKnownOrCannotBeUsedIsRefusedWithItsLine(_ yaml: String, _ expected: String) {
        #expect(message(yaml).contains(expected))
    }
}
