/// What is told to a Kubernetes cluster of the models here, and under which names.
package struct ClusterPlan: Equatable, Sendable {
    /// A pod, with which what is told of it goes away.
    package struct Owner: Equatable, Sendable {
        package var pod: String
        package var uid: String

        package init(pod: String, uid: String) {
            self.pod = pod
            self.uid = uid
        }
    }

    package static let servicePrefixDefault = "model-"

    package var namespace: String
    /// What each Service's name begins with: small letters, digits and dashes, a letter first.
    package var servicePrefix = ClusterPlan.servicePrefixDefault
    /// Where the gateway is reached: an IPv4 or IPv6 address.
    package var address: String
    /// Of the gateway, and of each Service.
    package var port: Int
    package var isEncrypted = false
    /// Between two signs of life.
    package var heartbeatNanoseconds: Int64 = 10_000_000_000
    package var owner: Owner?
    /// Their names, as clients know them.
    package var models: [String]

    package init(namespace: String, address: String, port: Int, models: [String]) {
        self.namespace = namespace
        self.address = address
        self.port = port
        self.models = models
    }

    /// Whom the lease names as its holder.
    var holder: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
}

/// How the API server of a cluster is reached.
package struct ClusterAccess: Equatable, Sendable {
    /// Where a PEM document or a token comes from. Files are read again whenever they are needed: tokens of pods live an hour.
    package enum Source: Equatable, Sendable {
        case file(String)
        case text(String)
    }

    package var host: String
    package var port: Int
    package var isEncrypted: Bool
    /// What stands before each path, without a slash at its end.
    package var pathPrefix = ""
    /// Who may have issued the server's certificate; `nil` for those that the system trusts.
    package var authorities: Source?
    /// What is shown of ourselves: both or neither.
    package var certificate: Source?
    package var privateKey: Source?
    package var token: Source?
    /// The namespace that it names itself.
    package var namespace: String?

    package init(host: String, port: Int, isEncrypted: Bool) {
        self.host = host
        self.port = port
        self.isEncrypted = isEncrypted
    }
}
