import AgentProtocol
import ArgumentParser
import Fleet
import Foundation
import FuseboxConfiguration
import Queries
import Reports
import SpanStore
import TelemetryModel

/// `fusebox mcp`: the Model Context Protocol over standard input and output.
struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mcp",
        abstract: "Answer an agent's questions about traces over MCP, on standard input and output.",
        discussion: """
            An agent's client starts it; docs/mcp.md has the lines for the usual ones. It reads the data file, so it works beside a running \
            server and without one, and never writes. A running server answers the same at /mcp. With --engine it asks what nodes forwarded there.
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var engine: EngineOptions

    mutating func run() async throws {
        let configuration = try common.configuration()
        let server = AgentServer(sources: try sources(configuration))
        var lines = MessageLines()
        while let line = lines.next() {
            // A line that is only space is no message.
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            guard let answer = await server.answer(line[...]) else { continue }
            Terminal.write(answer.message.line + "\n")
        }
    }

    private func sources(_ configuration: Configuration) throws -> AgentSources {
        if let plan = try engine.plan(configuration), let fleet = try engine.fleet(configuration) {
            return AgentSources(
                pool: QueryPool(supply: fleet, limits: .agentsOfEngine), engine: FleetQuestions(plan, spans: fleet), policy: configuration.policy,
                gates: configuration.gateLimits, versionText: BuildInfo.version, clock: { Clock.unixNano() })
        }
        let folder = StoreFolder(path: configuration.dataFolder)
        guard folder.databaseExists else {
            throw CommandFailure(
                .failed, "there is no data file in \(folder.path); start `fusebox serve` once, or name its folder with --data-dir")
        }
        let pool = QueryPool(folder: folder)
        let policy = configuration.policy
        return AgentSources(
            pool: pool,
            breakers: { try await pool.run(limit: AgentSources.timeLimit) { reader in try StoredBreakers(reader.reader, policy).breakers } },
            policy: policy, gates: configuration.gateLimits, versionText: BuildInfo.version, clock: { Clock.unixNano() })
    }
}

/// Lines of standard input. Of one that is too long only its beginning is kept, which is no JSON then.
struct MessageLines {
    private static let lineBytesMax = 2 << 20
    private static let pieceBytes = 64 << 10

    private var pending: [UInt8] = []
    private var isAtEnd = false

    /// The next line, without its end; `nil` at the end of the input.
    mutating func next() -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            if let end = pending.firstIndex(of: 0x0A) {
                Self.take(pending[..<end], into: &line)
                pending.removeSubrange(...end)
                return line
            }
            Self.take(pending[...], into: &line)
            pending.removeAll(keepingCapacity: true)
            guard !isAtEnd, readPiece() else {
                isAtEnd = true
                return line.isEmpty ? nil : line
            }
        }
    }

    private static func take(_ bytes: ArraySlice<UInt8>, into line: inout [UInt8]) {
        line += bytes.prefix(max(0, lineBytesMax - line.count))
    }

    private mutating func readPiece() -> Bool {
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, count in
            var got = -1
            repeat { got = read(STDIN_FILENO, buffer.baseAddress, buffer.count) } while got < 0 && errno == EINTR
            count = max(0, got)
        }
        pending += bytes
        return !bytes.isEmpty
    }
}
