import Forwarding
import OTLP
import OutboundHTTP
import SpanStore
import Yams

/// Reads `forward.targets` and `engines` of `fusebox.yaml`. What is not known, or cannot be used, is refused with its line.
struct ForwardReader {
    private static let nameBytesMax = 64
    private static let headersMax = 32
    private static let endpointsMax = 16
    /// What the sender says itself.
    private static let ownHeaders: Set<String> = [
        "content-type", "content-length", "content-encoding", "host", "connection", "transfer-encoding", "user-agent",
    ]

    let path: String

    func read(_ node: Node, line: String) throws(ConfigurationError) -> [ForwardTargetPlan] {
        let list = SettingEntry(key: "forward.targets", node: node, place: path + line)
        var targets: [ForwardTargetPlan] = []
        for entry in try list.entries(path: path) { targets.append(try read(entry, name: entry.name(below: list))) }
        guard targets.count <= ForwardPlan.targetsMax else { throw list.error("has more than \(ForwardPlan.targetsMax) targets") }
        return targets
    }

    /// Engines that are asked and not sent to: a target each, of which only what asking takes can be said.
    func readEngines(_ node: Node, line: String) throws(ConfigurationError) -> [ForwardTargetPlan] {
        let list = SettingEntry(key: "engines", node: node, place: path + line)
        for entry in try list.entries(path: path) {
            for part in try entry.entries(path: path) where !Self.ofEngines.contains(part.name(below: entry)) {
                throw part.unknown(Self.ofEngines.joined(separator: ", "))
            }
        }
        var engines: [ForwardTargetPlan] = []
        for entry in try list.entries(path: path) {
            engines.append(try read(entry, name: entry.name(below: list), kind: .clickHouse(ClickHousePlan())))
        }
        guard engines.count <= ForwardPlan.targetsMax else { throw list.error("has more than \(ForwardPlan.targetsMax) engines") }
        return engines
    }

    private static let ofEngines = [
        "endpoint", "database", "table", "logs_table", "views", "user", "password_file", "auth", "token_file", "headers", "tls",
    ]

    private func read(
        _ entry: SettingEntry, name: String, kind: ForwardTargetKind = .otlp
    ) throws(ConfigurationError) -> ForwardTargetPlan {
        guard name.utf8.count <= Self.nameBytesMax, name.utf8.allSatisfy({ Self.isWord($0) }) else {
            throw entry.error("has a name that is none: up to \(Self.nameBytesMax) letters, digits, - and _")
        }
        let parts = try entry.entries(path: path)
        guard let address = parts.first(where: { $0.name(below: entry) == "endpoint" }) else {
            throw entry.error("needs an endpoint, such as https://hub.example:4318")
        }
        let endpoints = try endpoints(address)
        var target = ForwardTargetPlan(name: name, endpoint: endpoints[0])
        target.otherEndpoints = Array(endpoints.dropFirst())
        target.kind = kind
        if let kind = parts.first(where: { $0.name(below: entry) == "kind" }) { try ClickHouseReader.read(kind, into: &target) }
        for part in parts {
            if try ClickHouseReader.read(part, name: part.name(below: entry), into: &target) { continue }
            switch part.name(below: entry) {
            case "endpoint", "kind": break
            case "signals": target.signals = try signals(part)
            case "token_file": target.tokenFile = try part.text()
            case "headers": target.headers = try headers(part)
            case "compression": target.compression = try compression(part)
            case "spans_per_second": target.countPerSecond = try part.text() == "none" ? nil : try part.number(1...1e9)
            case "hold": target.holds = try part.flag()
            case "tls": target.tls = try tls(part)
            default:
                let known = "kind, endpoint, signals, token_file, headers, compression, spans_per_second, hold, tls"
                throw part.unknown(target.kind == .otlp ? known : known + ", " + ClickHouseReader.known)
            }
        }
        try ClickHouseReader.check(target, entry)
        if target.tokenFile != nil, target.headers.contains(where: { $0.name.lowercased() == "authorization" }) {
            throw entry.error("has a token_file and a header authorization: one of them is enough")
        }
        if target.tls != OutboundTLS() && !endpoints.allSatisfy(\.isEncrypted) {
            throw entry.error("has tls, but its endpoint begins with http:")
        }
        return target
    }

    /// One, or a list of some.
    private func endpoints(_ entry: SettingEntry) throws(ConfigurationError) -> [OutboundEndpoint] {
        guard let list = entry.node.sequence else { return [try endpoint(entry)] }
        guard (1...Self.endpointsMax).contains(list.count) else {
            throw entry.error("must be one address, or a list of up to \(Self.endpointsMax)")
        }
        var endpoints: [OutboundEndpoint] = []
        for node in list { endpoints.append(try endpoint(SettingEntry(key: entry.key, node: node, place: entry.place))) }
        return endpoints
    }

    private func endpoint(_ entry: SettingEntry) throws(ConfigurationError) -> OutboundEndpoint {
        let url = try ServiceURL(entry, example: "http://127.0.0.1:4318 or https://host/prefix")
        for path in ["/v1/traces", "/v1/logs", "/v1"] where url.pathPrefix.hasSuffix(path) {
            throw entry.error("ends in \(path), which is added by itself")
        }
        return OutboundEndpoint(host: url.host, port: url.port, isEncrypted: url.isEncrypted, pathPrefix: url.pathPrefix)
    }

    private func signals(_ entry: SettingEntry) throws(ConfigurationError) -> [ForwardSignal] {
        guard let list = entry.node.sequence else { throw entry.error("must be a list: [traces, logs]") }
        var signals: [ForwardSignal] = []
        for node in list {
            guard let text = node.scalar?.string, let signal = ForwardSignal(rawValue: text), !signals.contains(signal) else {
                throw entry.error("has '\(node.scalar?.string ?? "a list")', but there are traces and logs, each once")
            }
            signals.append(signal)
        }
        guard !signals.isEmpty else { throw entry.error("names nothing to forward") }
        return signals
    }

    private func headers(_ entry: SettingEntry) throws(ConfigurationError) -> [ForwardHeader] {
        var headers: [ForwardHeader] = []
        for part in try entry.entries(path: path) {
            let name = part.name(below: entry)
            // Never the value in a message: it may be a key.
            guard name.utf8.allSatisfy({ Self.isWord($0) }), !Self.ownHeaders.contains(name.lowercased()) else {
                throw part.error("is no header that can be set")
            }
            let value = try part.text()
            guard !value.isEmpty, value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
                throw part.error("has a value that no header can have: printable ASCII on one line")
            }
            headers.append(ForwardHeader(name: name, value: value))
        }
        guard headers.count <= Self.headersMax else { throw entry.error("has more than \(Self.headersMax) headers") }
        return headers
    }

    private func compression(_ entry: SettingEntry) throws(ConfigurationError) -> ContentEncoding {
        switch try entry.text() {
        case "gzip": return .gzip
        case "zstd": return .zstd
        case "none": return .identity
        case let other: throw entry.error("is '\(other)', but must be gzip, zstd or none")
        }
    }

    private func tls(_ entry: SettingEntry) throws(ConfigurationError) -> OutboundTLS {
        var tls = OutboundTLS()
        for part in try entry.entries(path: path) {
            switch part.name(below: entry) {
            case "ca": tls.authorities = try part.text()
            case "certificate": tls.certificate = try part.text()
            case "private_key": tls.privateKey = try part.text()
            default: throw part.unknown("ca, certificate, private_key")
            }
        }
        guard (tls.certificate == nil) == (tls.privateKey == nil) else {
            throw entry.error("has only one of certificate and private_key, which go together")
        }
        return tls
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D
            || byte == 0x5F
    }
}
