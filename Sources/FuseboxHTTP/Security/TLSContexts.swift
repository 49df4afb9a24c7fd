package import Logging
import NIOPosix
package import NIOSSL
import Synchronization
import TelemetryModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The files of a TLS server.
package struct TLSFiles: Equatable, Sendable {
    /// PEM, the server's certificate first, then those that issued it.
    package var certificate: String
    /// PEM.
    package var privateKey: String
    /// PEM of those who issue clients' certificates; with it, every client must show one (mutual TLS).
    package var clientAuthorities: String?

    package init(certificate: String, privateKey: String, clientAuthorities: String? = nil) {
        self.certificate = certificate
        self.privateKey = privateKey
        self.clientAuthorities = clientAuthorities
    }
}

/// Why TLS cannot be served.
package struct TLSError: Error, Sendable {
    package var message: String

    package var isRetryable: Bool { false }
}

/// The TLS settings of a server, read from its files again when they change. A connection keeps those with which it began.
package final class TLSContexts: Sendable {
    /// How often the files are looked at.
    private static let interval = Duration.seconds(5)

    private struct State {
        var context: NIOSSLContext
        var stamp: [[UInt8]]
    }

    private let files: TLSFiles
    private let applicationProtocols: [String]
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameter applicationProtocols: ALPN names that are offered, most wanted first.
    package init(files: TLSFiles, applicationProtocols: [String], logger: Logger) throws(TLSError) {
        self.files = files
        self.applicationProtocols = applicationProtocols
        self.logger = logger
        let stamp = Self.stamp(files)
        state = Mutex(State(context: try Self.context(files, applicationProtocols), stamp: stamp))
    }

    /// The settings for a new connection.
    package var current: NIOSSLContext { state.withLock { $0.context } }

    /// Looks at the files until its task is cancelled.
    package func watch() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.interval)
            try? await NIOThreadPool.singleton.runIfActive { [self] in refresh() }
        }
    }

    /// Reads the files again if they changed. Files that cannot be used leave everything as it was, and are tried again.
    package func refresh() {
        let stamp = Self.stamp(files)
        guard stamp != state.withLock({ $0.stamp }) else { return }
        do throws(TLSError) {
            let context = try Self.context(files, applicationProtocols)
            state.withLock { $0 = State(context: context, stamp: stamp) }
            logger.warning("the TLS files changed and are in use: \(files.certificate)")
        } catch {
            logger.error("the TLS files changed and cannot be used, the old ones stay: \(error.message)")
        }
    }

    private static func context(_ files: TLSFiles, _ applicationProtocols: [String]) throws(TLSError) -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(files.certificate)
            let key = try NIOSSLPrivateKey(file: files.privateKey, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = applicationProtocols
            if let authorities = files.clientAuthorities {
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(authorities))
                // Clients have no host name to be held against.
                configuration.certificateVerification = .noHostnameVerification
            }
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw TLSError(
                message: "TLS cannot be served with \(files.certificate) and \(files.privateKey): \(error); "
                    + "both must be PEM files that belong together")
        }
    }

    /// What tells changed files: the digest of what is in them.
    private static func stamp(_ files: TLSFiles) -> [[UInt8]] {
        [files.certificate, files.privateKey, files.clientAuthorities].map { path in path.map { SHA256.digest(content($0)) } ?? []
        }
    }

    /// The bytes of a file, the first 1 MiB; none when it cannot be read.
    private static func content(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }
}
