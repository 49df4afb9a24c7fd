/// The compressions of request bodies that we take.
package enum ContentEncoding: String, Sendable, CaseIterable {
    case identity
    case gzip
    /// What HTTP calls deflate is a zlib stream; some clients send a raw one, which is told apart by its first two bytes.
    case deflate
    case zstd

    /// Reads a `Content-Encoding` header; `nil` for a compression that is not ours or for more than one. Case does not matter.
    package init?(header: String?) {
        guard let header else {
            self = .identity
            return
        }
        let name = header.lowercased()
        let trimmed = String(name.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        switch trimmed {
        case "", "identity": self = .identity
        case "gzip", "x-gzip": self = .gzip
        case "deflate": self = .deflate
        case "zstd": self = .zstd
        default: return nil
        }
    }

    /// For `Accept-Encoding` beside a 415.
    package static let accepted = "gzip, deflate, zstd, identity"
}

/// Why a body could not be inflated. Never retryable.
package enum InflationError: Error, Equatable, Sendable {
    /// Not a stream of the encoding that the header names, cut short, with a wrong checksum, or with bytes behind its end.
    case corrupt(ContentEncoding)
    /// More than the cap after inflating.
    case tooLarge(limit: Int)

    package var isRetryable: Bool { false }

    package var message: String {
        switch self {
        case .corrupt(let encoding): "the body is not a complete \(encoding.rawValue) stream"
        case .tooLarge(let limit): "the body inflates to more than \(limit) bytes"
        }
    }
}
