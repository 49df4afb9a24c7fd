import HTTPTypes
import NIOCore
import NIOPosix
import Queries
import TelemetryModel
import WebPage

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The page at `/` and its files.
struct PageRoutes: Sendable {
    /// Where the files are read from while somebody works on them; `nil` serves those in the program.
    let folder: String?

    /// Scripts and styles come from here alone, none stand in the page, and nobody may frame it: an attribute that became markup
    /// after all could still do nothing.
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'none'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

    /// Whether there is a file of the page at the path.
    func has(_ path: String) -> Bool { WebPage.name(at: path) != nil }

    /// The question for the file at a path; `nil` when there is none.
    func question(_ head: HTTPRequest, at target: RequestTarget, refuse: @escaping @Sendable (Refusal) -> Response) -> Question? {
        guard let name = WebPage.name(at: target.path), head.method == .get || head.method == .head else { return nil }
        return Question(bodyBytesMax: 0, refuse: refuse) { request in
            guard let bytes = try await folder == nil ? WebPage.file(at: target.path)?.bytes : read(name) else {
                throw QueryError.notFound("there is nothing at \(target.path)")
            }
            return Self.response(bytes, name, request)
        }
    }

    private static func response(_ bytes: [UInt8], _ name: String, _ request: Request) -> Response {
        let tag = "\"\(String(ByteHash.hash(bytes.span.bytes, WireRange(offset: 0, count: bytes.count)), radix: 16))\""
        var headers: HTTPFields = [
            .contentType: WebPage.contentType(of: name), .eTag: tag, .cacheControl: "no-cache", .xContentTypeOptions: "nosniff",
            .contentSecurityPolicy: policy,
        ]
        for (header, value) in [("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin")] {
            if let field = HTTPField.Name(header) { headers[field] = value }
        }
        if request.headers[.ifNoneMatch] == tag { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// Files of the page are smaller.
    private static let fileBytesMax = 4 << 20

    private func read(_ name: String) async throws -> [UInt8]? {
        guard let folder else { return nil }
        return try await NIOThreadPool.singleton.runIfActive {
            guard let file = fopen("\(folder)/\(name)", "rb") else { return nil }
            defer { fclose(file) }
            return [UInt8](unsafeUninitializedCapacity: Self.fileBytesMax) { buffer, count in
                count = fread(buffer.baseAddress, 1, Self.fileBytesMax, file)
            }
        }
    }
}
