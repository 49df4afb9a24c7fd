import HTTPTypes
import Hummingbird

/// Keeps pages of other sites from reading spans through a name of theirs that they let point to this machine (DNS rebinding).
///
/// A browser tells the name that it used. Names that somebody else can own have a dot and a public suffix; addresses, bare names and
/// suffixes that no public name has are fine.
enum HostCheck {
    private static let privateSuffixes = ["localhost", "local", "internal", "home.arpa", "test"]

    static func isOurs(_ authority: String?) -> Bool {
        guard let authority, !authority.isEmpty else { return true }
        // [::1]:4318, 127.0.0.1:4318, localhost:4318
        if authority.hasPrefix("[") { return true }
        let host = authority.prefix { $0 != ":" }.lowercased()
        guard host.contains(".") else { return true }
        if host.allSatisfy({ $0.isNumber || $0 == "." }) { return true }
        return privateSuffixes.contains { host.hasSuffix("." + $0) }
    }
}
