#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A file that holds a bearer token. It is read for each request, so that a token that was changed counts at once. Used by one thread.
struct TokenFile {
    /// A longer file holds something else.
    private static let bytesMax = 64 << 10

    enum Problem: Error, Equatable {
        case unreadable(String)
        case noToken(String)

        var isRetryable: Bool { true }

        var message: String {
            switch self {
            case .unreadable(let path): "the token file \(path) cannot be read"
            case .noToken(let path): "the token file \(path) holds no token: one line of printable ASCII"
            }
        }
    }

    let path: String

    /// The token without the space around it.
    func token() throws(Problem) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw .unreadable(path) }
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        let token = bytes.prefix(count).drop(while: isSpace).reversed().drop(while: isSpace).reversed()
        // What is no token must not come into a header.
        guard !token.isEmpty, token.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw .noToken(path) }
        return String(decoding: Array(token), as: UTF8.self)
    }
}
