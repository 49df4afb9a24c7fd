package import GatewayRules
import TelemetryModel

/// What `gateway.kubernetes:` says. Without an address nothing is told to a cluster.
package struct KubernetesConfiguration: Equatable, Sendable {
    package static let accountFolderDefault = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// Where the gateway is reached from within the cluster.
    package var address: String?
    /// `nil`: the one of the pod's account, or of the kubeconfig's context.
    package var namespace: String?
    package var servicePrefix = ClusterPlan.servicePrefixDefault
    package var heartbeatNanoseconds: Int64 = 10_000_000_000
    /// `nil`: the pod's account.
    package var kubeconfig: String?
    package var accountFolder = KubernetesConfiguration.accountFolderDefault
    /// The pod that owns what is told, and its uid: both or neither.
    package var pod: String?
    package var podUID: String?

    package init() {}

    /// Refuses what would be ignored.
    func check() throws(ConfigurationError) {
        guard (pod == nil) == (podUID == nil) else {
            throw ConfigurationError("gateway.kubernetes has only one of pod and pod_uid, which go together")
        }
        var silent = KubernetesConfiguration()
        silent.address = address
        guard address != nil || self == silent else {
            throw ConfigurationError("gateway.kubernetes needs an address, at which the cluster reaches the gateway")
        }
    }

    /// How the API server is reached, and what is told to it; `nil` when nothing is.
    ///
    /// - Parameters:
    ///   - port: of the gateway.
    ///   - environment: KUBERNETES_SERVICE_HOST and _PORT are where a pod finds the API server.
    ///   - read: a file's text; `nil` when it cannot be read.
    package func cluster(
        models: [String], port: Int, isEncrypted: Bool, environment: [String: String], read: (String) -> String?
    ) throws(ConfigurationError) -> (plan: ClusterPlan, access: ClusterAccess)? {
        guard let address else { return nil }
        let access: ClusterAccess
        if let kubeconfig {
            guard let text = read(kubeconfig) else {
                throw ConfigurationError("gateway.kubernetes.kubeconfig: \(kubeconfig) cannot be read")
            }
            access = try Kubeconfig(path: kubeconfig).access(text)
        } else {
            access = try account(environment, read)
        }
        guard let namespace = namespace ?? access.namespace else {
            throw ConfigurationError("gateway.kubernetes needs a namespace: neither the account nor the kubeconfig names one")
        }
        var plan = ClusterPlan(namespace: namespace, address: address, port: port, models: models)
        plan.servicePrefix = servicePrefix
        plan.isEncrypted = isEncrypted
        plan.heartbeatNanoseconds = heartbeatNanoseconds
        if let pod, let podUID { plan.owner = .init(pod: pod, uid: podUID) }
        return (plan, access)
    }

    /// The account that a cluster gives to each pod.
    private func account(_ environment: [String: String], _ read: (String) -> String?) throws(ConfigurationError) -> ClusterAccess
    {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"].flatMap({ Int($0) }), (1...65535).contains(port)
        else {
            throw ConfigurationError(
                "gateway.kubernetes needs a kubeconfig: this is not a pod, since KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set"
            )
        }
        var access = ClusterAccess(host: host, port: port, isEncrypted: true)
        for name in ["token", "ca.crt"] where read("\(accountFolder)/\(name)") == nil {
            throw ConfigurationError(
                "gateway.kubernetes: \(accountFolder)/\(name) cannot be read; the pod needs automountServiceAccountToken: true")
        }
        access.token = .file("\(accountFolder)/token")
        access.authorities = .file("\(accountFolder)/ca.crt")
        access.namespace = read("\(accountFolder)/namespace").flatMap { text in
            text.split(whereSeparator: \.isWhitespace).first.map { String($0) }
        }
        return access
    }
}

extension Setting {
    static let kubernetes: [Setting] = [
        Setting(
            key: "gateway.kubernetes.address", environment: "FUSEBOX_GATEWAY_KUBERNETES_ADDRESS",
            help:
                "Address at which a Kubernetes cluster reaches the gateway; its models' readiness is told there. `none`: it is told nowhere.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gateway.kubernetes.address = text == "none" ? nil : try ClusterText.address(text)
            }, show: { $0.gateway.kubernetes.address.map(YAMLText.quoted) ?? "none" }),
        Setting(
            key: "gateway.kubernetes.namespace", environment: "FUSEBOX_GATEWAY_KUBERNETES_NAMESPACE",
            help: "Namespace of the Services. `none`: the account's own.",
            read: { text, configuration throws(ConfigurationError) in
                guard text == "none" || ClusterText.isLabel(text) else {
                    throw ConfigurationError("gateway.kubernetes.namespace is '\(text)', which is the name of none")
                }
                configuration.gateway.kubernetes.namespace = text == "none" ? nil : text
            }, show: { $0.gateway.kubernetes.namespace.map(YAMLText.quoted) ?? "none" }),
        Setting(
            key: "gateway.kubernetes.service_prefix", environment: "FUSEBOX_GATEWAY_KUBERNETES_SERVICE_PREFIX",
            help: "What the name of each model's Service begins with.",
            read: { text, configuration throws(ConfigurationError) in
                guard ClusterText.isPrefix(text) else {
                    throw ConfigurationError(
                        "gateway.kubernetes.service_prefix is '\(text)', but must be 1 to 32 small letters, digits and dashes, a letter first"
                    )
                }
                configuration.gateway.kubernetes.servicePrefix = text
            }, show: { YAMLText.quoted($0.gateway.kubernetes.servicePrefix) }),
        Setting(
            key: "gateway.kubernetes.heartbeat_s", environment: "FUSEBOX_GATEWAY_KUBERNETES_HEARTBEAT_S",
            help: "Seconds between two renewals of the lease that says that the gateway lives.",
            read: { text, configuration throws(ConfigurationError) in
                configuration.gateway.kubernetes.heartbeatNanoseconds = Int64(
                    try number(text, "gateway.kubernetes.heartbeat_s", 1...3_600) * 1e9)
            }, show: { Decimal.text(Double($0.gateway.kubernetes.heartbeatNanoseconds) / 1e9) }),
        file(
            "gateway.kubernetes.kubeconfig", "FUSEBOX_GATEWAY_KUBERNETES_KUBECONFIG",
            "File that says how the API server is reached. `none`: as the pod's own account.", \.kubeconfig),
        Setting(
            key: "gateway.kubernetes.account_dir", environment: "FUSEBOX_GATEWAY_KUBERNETES_ACCOUNT_DIR",
            help: "Folder of the pod's account: token, ca.crt, namespace.",
            read: { text, configuration in configuration.gateway.kubernetes.accountFolder = text },
            show: { YAMLText.scalar($0.gateway.kubernetes.accountFolder) }),
        file(
            "gateway.kubernetes.pod", "FUSEBOX_GATEWAY_KUBERNETES_POD",
            "Name of the gateway's own pod: what it told goes away with it. `none`: no pod.", \.pod),
        file(
            "gateway.kubernetes.pod_uid", "FUSEBOX_GATEWAY_KUBERNETES_POD_UID", "The uid of that pod.", \.podUID),
    ]

    private static func file(
        _ key: String, _ environment: String, _ help: String,
        _ path: any WritableKeyPath<KubernetesConfiguration, String?> & Sendable
    ) -> Setting {
        Setting(
            key: key, environment: environment, help: help,
            read: { text, configuration in configuration.gateway.kubernetes[keyPath: path] = text == "none" ? nil : text },
            show: { $0.gateway.kubernetes[keyPath: path].map(YAMLText.quoted) ?? "none" })
    }
}

/// Texts that Kubernetes takes.
private enum ClusterText {
    /// Ranges of which a cluster takes no endpoint.
    private static let refused = [
        "0.0.0.0", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255", "::", "::1", "fe80::/10", "ff00::/8",
    ].compactMap { AddressRange($0) }

    static func address(_ text: String) throws(ConfigurationError) -> String {
        guard AddressRange(text) != nil, !text.contains("/"), !text.contains("%") else {
            throw ConfigurationError("gateway.kubernetes.address is '\(text)', which is not an IP address")
        }
        guard !refused.contains(where: { $0.contains(text) }) else {
            throw ConfigurationError("gateway.kubernetes.address is \(text), which no other machine reaches")
        }
        return text.lowercased()
    }

    static func isLabel(_ text: String) -> Bool {
        (1...63).contains(text.utf8.count) && text.utf8.allSatisfy(isWord) && !text.hasPrefix("-") && !text.hasSuffix("-")
    }

    static func isPrefix(_ text: String) -> Bool {
        (1...32).contains(text.utf8.count) && text.utf8.allSatisfy(isWord)
            && text.utf8.first.map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) } == true
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "-")
    }
}
