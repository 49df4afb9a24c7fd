import FuseboxConfiguration
import GatewayRules
import Testing

struct KubernetesConfigurationTests {
    private func load(_ yaml: String, _ environment: [String: String] = [:]) throws -> Configuration {
        try ConfigurationLoader(homeFolder: "/home/u", environment: environment).load(yaml: (yaml, "fusebox.yaml"), flags: [:])
    }

    private func message(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "no error"
        } catch let error as ConfigurationError {
            return error.message
        } catch {
            return "\(error)"
        }
    }

    private static let whole = """
        gateway:
          port: 4321
          kubernetes:
            address: 10.0.0.7
            namespace: models
            service_prefix: llm-
            heartbeat_s: 5
            kubeconfig: /k/config
            account_dir: /a
            pod: p-0
            pod_uid: 1f3a
        """

    @Test func everythingIsReadAndPrintedSoThatItGivesTheSameAgain() throws {
        let configuration = try load(Self.whole)
        #expect(try load(configuration.yaml).gateway.kubernetes == configuration.gateway.kubernetes)
        #expect(configuration.gateway.kubernetes.heartbeatNanoseconds == 5_000_000_000)
        // What another setting of the section comes after stands at its place.
        #expect(configuration.yaml.contains("\n  kubernetes:\n    address: \"10.0.0.7\""))
    }

    @Test func aPodTellsItsAddressByAVariable() throws {
        let configuration = try load("", ["FUSEBOX_GATEWAY_KUBERNETES_ADDRESS": "fd00::7"])
        #expect(configuration.gateway.kubernetes.address == "fd00::7")
    }

    @Test(arguments: [
        ("addres: 1", "(line 3): there is no setting 'gateway.kubernetes.addres'"),
        ("address: host", "(line 3): gateway.kubernetes.address is 'host'"),
        ("address: 127.0.0.1", "(line 3): gateway.kubernetes.address is 127.0.0.1, which no other machine reaches"),
        ("address: 10.0.0.0/8", "which is not an IP address"), ("address: fe80::1", "no other machine"),
        ("namespace: a", "gateway.kubernetes needs an address"),
        ("namespace: A", "(line 3): gateway.kubernetes.namespace is 'A'"),
        ("service_prefix: 1a", "(line 3): gateway.kubernetes.service_prefix is '1a'"),
        ("heartbeat_s: 0", "(line 3): gateway.kubernetes.heartbeat_s"),
        ("pod: p", "has only one of pod and pod_uid"),
    ])
    func whatCannotBeUsedIsRefusedWithItsLine(_ line: String, _ expected: String) {
        let message = message { _ = try load("gateway:\n  kubernetes:\n    \(line)\n") }
        #expect(message.contains(expected), "\(message)")
    }

    // MARK: How the API server is reached

    private func cluster(
        _ yaml: String, _ environment: [String: String] = [:], _ files: [String: String]
    ) throws -> (plan: ClusterPlan, access: ClusterAccess)? {
        try load(yaml).gateway.kubernetes.cluster(
            models: ["m"], port: 4320, isEncrypted: false, environment: environment, read: { files[$0] })
    }

    @Test func aPodGoesByItsOwnAccount() throws {
        let folder = KubernetesConfiguration.accountFolderDefault
        let files = ["\(folder)/token": "t\n", "\(folder)/ca.crt": "c", "\(folder)/namespace": "own\n"]
        let environment = ["KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"]
        let yaml = "gateway:\n  kubernetes:\n    address: 10.0.0.7\n"
        let (plan, access) = try #require(try cluster(yaml, environment, files))
        #expect(plan.namespace == "own" && access.host == "10.96.0.1" && access.port == 443 && access.isEncrypted)
        #expect(access.token == .file("\(folder)/token") && access.authorities == .file("\(folder)/ca.crt"))
        #expect(message { _ = try cluster(yaml, [:], files) }.contains("this is not a pod"))
        #expect(message { _ = try cluster(yaml, environment, [:]) }.contains("automountServiceAccountToken"))
        #expect(try cluster("", environment, files) == nil)
    }

    private static let kubeconfig = """
        apiVersion: v1
        kind: Config
        current-context: there
        clusters:
          - {name: other, cluster: {server: "http://no"}}
          - {name: c, cluster: {server: "https://10.0.0.1:6443/k", certificate-authority-data: Y2VydA==}}
        contexts:
          - {name: there, context: {cluster: c, user: u, namespace: ns}}
        users:
          - {name: u, user: {USER}}
        """

    @Test(arguments: [
        ("token: abc", ClusterAccess.Source.text("abc")), ("tokenFile: secrets/token", .file("/k/secrets/token")),
        ("token: abc, tokenFile: /t", .file("/t")),
    ])
    func aKubeconfigIsReadByItsCurrentContext(_ user: String, _ token: ClusterAccess.Source) throws {
        let files = ["/k/config": Self.kubeconfig.replacing("USER", with: user)]
        let yaml = "gateway:\n  kubernetes: {address: 10.0.0.7, kubeconfig: /k/config}\n"
        let (plan, access) = try #require(try cluster(yaml, [:], files))
        #expect(plan.namespace == "ns" && access.host == "10.0.0.1" && access.port == 6443 && access.pathPrefix == "/k")
        #expect(access.authorities == .text("cert") && access.token == token)
    }

    @Test(arguments: [
        ("exec: {command: aws}", "signs in by 'exec'"), ("{}", "neither a token nor"), ("client-certificate: a", "only one of"),
        ("client-certificate-data: '%', client-key-data: a", "is not base64"),
    ])
    func aUserThatCannotBeUsedIsRefused(_ user: String, _ expected: String) {
        let files = ["/k/config": Self.kubeconfig.replacing("{USER}", with: user == "{}" ? "{x: y}" : "{\(user)}")]
        let message = message {
            _ = try cluster("gateway:\n  kubernetes: {address: 10.0.0.7, kubeconfig: /k/config}\n", [:], files)
        }
        #expect(message.contains(expected), "\(message)")
    }

    @Test(arguments: [
        ("current-context: there", "", "no current-context"), ("name: c,", "name: d,", "no 'c' among its clusters"),
        ("https://10.0.0.1:6443/k", "http://10.0.0.1", "begins with http:"),
        ("certificate-authority-data: Y2VydA==", "insecure-skip-tls-verify: true", "show the token to anybody"),
        ("kind: Config", "kind: [", "is not YAML"),
    ])
    func aFileThatCannotBeUsedIsRefused(_ part: String, _ other: String, _ expected: String) {
        let text = Self.kubeconfig.replacing("USER", with: "token: t").replacing(part, with: other)
        let message = message {
            _ = try cluster("gateway:\n  kubernetes: {address: 10.0.0.7, kubeconfig: /k/config}\n", [:], ["/k/config": text])
        }
        #expect(message.contains(expected), "\(message)")
    }
}
