import HTTPTypes
import OTLP

/// Which names a browser may have reached us by. A page whose name was bound anew to a loopback address (DNS rebinding) shows its
/// own name in `Host`; addresses and `localhost` cannot be bound.
package struct HostPolicy: Sendable {
    /// Further names, in lower case, without a port.
    package var names: Set<String> = []
    /// Whether names are taken that no public name can be, as container and cluster networks give them: without a dot, or in one of
    /// `privateDomains`.
    package var allowsPrivateNames = false

    /// Names that containers reach the machine's own loopback address by; they stand in hosts files and not in the DNS.
    private static let loopbackNames: Set = ["host.docker.internal", "host.containers.internal"]
    /// Domains that are kept free of public names (ICANN for `internal`, RFC 6762 for `local`), and a cluster's short form.
    private static let privateDomains = [".internal", ".local", ".svc"]

    package init() {}

    /// Whether the authority of a request, `host` or `host:port`, is one of ours.
    package func allows(_ authority: String?) -> Bool {
        guard let host = Self.host(authority) else { return false }
        if host == "localhost" || host.hasSuffix(".localhost") || names.contains(host) { return true }
        if Self.isAddress(host) || Self.loopbackNames.contains(host) { return true }
        return allowsPrivateNames && (!host.contains(".") || Self.privateDomains.contains { host.hasSuffix($0) })
    }

    /// The host of an authority in lower case; `nil` when there is none.
    private static func host(_ authority: String?) -> String? {
        guard let authority, !authority.isEmpty else { return nil }
        if authority.hasPrefix("[") { return authority.firstIndex(of: "]").map { String(authority[...$0]) } }
        let host = authority.prefix { $0 != ":" }.lowercased()
        return host.isEmpty ? nil : host
    }

    /// Four decimal numbers, or something in brackets.
    private static func isAddress(_ host: String) -> Bool {
        if host.hasPrefix("[") { return host.dropFirst().dropLast().allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." } }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }

    func check(_ authority: String?) throws {
        guard !allows(authority) else { return }
        throw Refusal(
            status: .misdirectedRequest, code: .permissionDenied,
            message: "the host '\(authority ?? "")' is none that this server goes by; if it should be, add it to allowed_hosts")
    }
}
