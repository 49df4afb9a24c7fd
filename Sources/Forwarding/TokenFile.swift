#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A file that holds a bearer token or a password. It is read for each request, so that one that was changed counts at once. Used by one thread.
struct TokenFile {
    /// What it holds, as messages name it.
    enum Content: String {
        case token, password
    }

    /// A longer file holds something else.
    private static let bytesMax = 64 << 10

    enum Problem: Error, Equatable {
        case unreadable(Content, String)
        case noToken(Content, String)
        case shortOfMemory

        var isRetryable: Bool { true }

        var message: String {
            switch self {
            case .unreadable(let content, let path): "the \(content.rawValue) file \(path) cannot be read"
            case .noToken(let content, let path):
                "the \(content.rawValue) file \(path) holds no \(content.rawValue): one line of printable ASCII"
            case .shortOfMemory: "memory is short: a body could not be compressed"
            }
        }
    }

    let path: String
    var content = Content.token

    /// The token without the space around it.
    func token() throws(Problem) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(content, path) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw .unreadable(content, path) }
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        let token = bytes.prefix(count).drop(while: isSpace).reversed().drop(while: isSpace).reversed()
        // What is no token must not come into a header. A password may have spaces inside.
        let first: UInt8 = content == .password ? 0x20 : 0x21
        guard !token.isEmpty, token.allSatisfy({ (first...0x7E).contains($0) }) else { throw .noToken(content, path) }
        return String(decoding: Array(token), as: UTF8.self)
    }
}
