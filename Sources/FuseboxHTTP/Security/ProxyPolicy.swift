import HTTPTypes
import OTLP
import TelemetryModel

/// Whom a reverse proxy signed in: it names its user in a header field, which counts when the proxy itself sends it.
package struct ProxyPolicy: Sendable {
    /// Characters of a name.
    private static let nameMax = 256

    /// The header field; `nil` where no proxy signs users in.
    private var header: HTTPField.Name?
    /// Where the proxy's requests come from.
    private var trusted: [AddressRange] = []

    package init() {}

    /// - Parameters:
    ///   - header: the name of the header field; without one no user is named.
    ///   - trusted: addresses and ranges; what is neither is nobody's.
    package init(header: String?, trusted: [String]) {
        self.header = header.flatMap { HTTPField.Name($0) }
        self.trusted = trusted.compactMap { AddressRange($0) }
    }

    /// The user that a request names; `nil` when it names none.
    ///
    /// - Parameter address: of the machine that sent the request; `nil` when it is not known.
    /// - Throws: a refusal when somebody else than the proxy names a user.
    func user(_ fields: HTTPFields, from address: String?) throws -> String? {
        guard let header, !fields[values: header].isEmpty else { return nil }
        guard let address, trusted.contains(where: { $0.contains(address) }) else {
            throw Refusal(
                status: .forbidden, code: .permissionDenied,
                message: "\(header.rawName) counts only from the addresses in auth.trusted_proxies, and this request came from another")
        }
        // Two names would be one that the proxy set and one that its client did.
        let names = fields[values: header].map { $0.trimmingPrefix(while: { $0 == " " }) }.filter { !$0.isEmpty }
        guard names.count <= 1 else {
            throw Refusal(status: .badRequest, code: .invalidArgument, message: "\(header.rawName) is there more than once")
        }
        return names.first.map { String($0.prefix(Self.nameMax)) }
    }
}

/// Who asks, as far as that is known.
package struct Visitor: Sendable {
    /// Whom a trusted proxy named.
    package var user: String?
    /// The only project that it may read; `nil` for all.
    package var project: String?

    package init() {}
}
