import Foundation
import Yams

/// A value of `fusebox.yaml` with where it stands: what readers of nested settings are made of.
struct SettingEntry {
    var key: String
    var node: Node
    var place: String

    func error(_ message: String) -> ConfigurationError { ConfigurationError("\(place): \(key) \(message)") }

    func text() throws(ConfigurationError) -> String {
        guard let scalar = node.scalar else { throw error("must be one value") }
        return node.null != nil && (scalar.style == .plain || scalar.style == .any) ? "none" : scalar.string
    }

    func located<Value>(
        _ read: (String) throws(ConfigurationError) -> Value
    ) throws(ConfigurationError) -> Value {
        let text = try text()
        do {
            return try read(text)
        } catch {
            throw ConfigurationError("\(place): \(error.message)")
        }
    }

    func seconds() throws(ConfigurationError) -> Int64 {
        try located { text throws(ConfigurationError) in try Setting.nanoseconds(text, key) }
    }

    func optionalSeconds() throws(ConfigurationError) -> Int64? {
        try text() == "none" ? nil : try seconds()
    }

    func integer(_ range: ClosedRange<Int>) throws(ConfigurationError) -> Int {
        try located { text throws(ConfigurationError) in try Setting.integer(text, key, range) }
    }

    func number(_ range: ClosedRange<Double>) throws(ConfigurationError) -> Double {
        try located { text throws(ConfigurationError) in try Setting.number(text, key, range) }
    }

    func flag() throws(ConfigurationError) -> Bool {
        try located { text throws(ConfigurationError) in try Setting.flag(text, key) }
    }

    /// The entries of a mapping; their keys are below its own.
    func entries(path: String) throws(ConfigurationError) -> [SettingEntry] {
        guard let mapping = node.mapping else { throw error("must be a mapping") }
        var entries: [SettingEntry] = []
        for (keyNode, value) in mapping {
            guard let name = keyNode.string, !name.isEmpty else { throw error("has a key that is not text") }
            let place = keyNode.mark.map { "\(path) (line \($0.line))" } ?? place
            entries.append(SettingEntry(key: "\(key).\(name)", node: value, place: place))
        }
        return entries
    }

    /// The part of a key behind its parent's.
    func name(below parent: SettingEntry) -> String { String(key.dropFirst(parent.key.count + 1)) }

    func unknown(_ known: String) -> ConfigurationError {
        ConfigurationError("\(place): there is no setting '\(key)'; there are: \(known)")
    }
}

/// A URL of another service.
struct ServiceURL {
    var host: String
    var port: Int
    var isEncrypted: Bool
    /// Without a slash at its end.
    var pathPrefix: String

    /// - Parameter example: what it must be like, for the message.
    init(_ entry: SettingEntry, example: String) throws(ConfigurationError) {
        let text = try entry.text()
        guard let url = URLComponents(string: text), let scheme = url.scheme?.lowercased(), scheme == "http" || scheme == "https",
            let host = url.host, !host.isEmpty, url.query == nil, url.fragment == nil, url.user == nil
        else { throw entry.error("is '\(text)', but must be like \(example)") }
        let port = url.port ?? (scheme == "https" ? 443 : 80)
        guard (1...65535).contains(port) else { throw entry.error("has the port \(port), which is none") }
        self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        self.port = port
        isEncrypted = scheme == "https"
        var prefix = url.percentEncodedPath
        while prefix.hasSuffix("/") { prefix.removeLast() }
        pathPrefix = prefix
    }
}
