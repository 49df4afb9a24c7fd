import GatewayRules
import TelemetryModel
import Yams

/// Reads the file by which `kubectl` reaches a cluster. What would have to run a program, or trusts anybody, is refused.
struct Kubeconfig {
    let path: String

    /// By the file's current context.
    func access(_ text: String) throws(ConfigurationError) -> ClusterAccess {
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw ConfigurationError("\(path) is not YAML: \(error)")
        }
        guard let root, let name = root["current-context"]?.scalar?.string, !name.isEmpty else {
            throw ConfigurationError("\(path) has no current-context")
        }
        let context = try entry(root, "contexts", name, "context")
        let cluster = try entry(root, "clusters", try word(context, "cluster"), "cluster")
        let user = try entry(root, "users", try word(context, "user"), "user")
        var access = try server(cluster)
        access.namespace = self.text(context, "namespace")
        access.authorities = try source(cluster, "certificate-authority")
        access.certificate = try source(user, "client-certificate")
        access.privateKey = try source(user, "client-key")
        guard (access.certificate == nil) == (access.privateKey == nil) else {
            throw ConfigurationError("\(path): the user has only one of client-certificate and client-key, which go together")
        }
        // As for kubectl, a file counts before a token beside it: it may be renewed.
        access.token = self.text(user, "tokenFile").map { .file(resolved($0)) } ?? self.text(user, "token").map { .text($0) }
        for key in ["exec", "auth-provider", "username"] where user[key] != nil {
            throw ConfigurationError("\(path): the user signs in by '\(key)', but a token or a client certificate is needed")
        }
        guard access.token != nil || access.certificate != nil else {
            throw ConfigurationError("\(path): the user has neither a token nor a client certificate")
        }
        guard access.isEncrypted || (access.authorities == nil && access.certificate == nil) else {
            throw ConfigurationError("\(path): the cluster has certificates, but its server begins with http:")
        }
        return access
    }

    private func server(_ cluster: Node) throws(ConfigurationError) -> ClusterAccess {
        if let flag = text(cluster, "insecure-skip-tls-verify"), flag != "false" {
            throw ConfigurationError(
                "\(path): insecure-skip-tls-verify would show the token to anybody; name a certificate-authority")
        }
        guard let node = cluster["server"] else { throw ConfigurationError("\(path): the cluster has no server") }
        let url = try ServiceURL(
            SettingEntry(key: "server", node: node, place: path), example: "https://10.0.0.1:6443")
        var access = ClusterAccess(host: url.host, port: url.port, isEncrypted: url.isEncrypted)
        access.pathPrefix = url.pathPrefix
        return access
    }

    /// The element of a list that has a name, and in it what is called `part`.
    private func entry(_ root: Node, _ list: String, _ name: String, _ part: String) throws(ConfigurationError) -> Node {
        guard let found = root[list]?.sequence?.first(where: { $0["name"]?.scalar?.string == name })?[part] else {
            throw ConfigurationError("\(path) has no '\(name)' among its \(list)")
        }
        return found
    }

    private func word(_ node: Node, _ key: String) throws(ConfigurationError) -> String {
        guard let text = text(node, key) else { throw ConfigurationError("\(path): the context names no \(key)") }
        return text
    }

    private func text(_ node: Node, _ key: String) -> String? {
        guard let text = node[key]?.scalar?.string, !text.isEmpty else { return nil }
        return text
    }

    /// A file, or what stands in place of it in base64.
    private func source(_ node: Node, _ key: String) throws(ConfigurationError) -> ClusterAccess.Source? {
        if let data = text(node, key + "-data") {
            // Never the text in a message: it may be a key.
            guard let bytes = Base64.decoded(Array(data.utf8)[...]) else {
                throw ConfigurationError("\(path): \(key)-data is not base64")
            }
            return .text(String(decoding: bytes, as: UTF8.self))
        }
        return text(node, key).map { .file(resolved($0)) }
    }

    /// Paths are relative to the file's folder.
    private func resolved(_ file: String) -> String {
        if file.hasPrefix("/") { return file }
        guard let slash = path.lastIndex(of: "/") else { return file }
        return path[...slash] + file
    }
}
