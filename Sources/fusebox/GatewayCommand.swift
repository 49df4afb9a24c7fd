import ArgumentParser
import Foundation
import FuseboxConfiguration
import TelemetryModel

/// `fusebox gateway`: what the gateway of a running server does.
struct GatewayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gateway", abstract: "Look at the gateway in front of model servers.",
        subcommands: [Status.self, Start.self, Stop.self, Restart.self])

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show each backend's slots, queue and breaker.",
            discussion: "Asks the gateway of the running server, where the configuration says it is, or at --url.")

        @OptionGroup var gateway: GatewayOptions

        @Flag(help: "The gateway's own words, as JSON.")
        var json = false

        mutating func run() async throws {
            let address = try gateway.address()
            let body = try await GatewayClient(address: address, token: gateway.token).ask("/-/status")
            guard !json else { return Terminal.write(Terminal.escapedJSON(String(decoding: body, as: UTF8.self))) }
            guard let status = try? JSONValue.parse(body[...]), case .array(let backends) = status["backends"],
                case .array(let models) = status["models"]
            else { throw CommandFailure(.failed, "\(address.text) is not a gateway; is it the port of `gateway.port`?") }
            Terminal.write(GatewayTables.text(status, backends: backends, models: models))
        }
    }

    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Start a model server that was stopped.")

        @OptionGroup var gateway: GatewayOptions

        @Argument(help: "The backend's name.")
        var name: String

        mutating func run() async throws { try await gateway.wish("start", name) }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a model server that the gateway started, until it is started again.")

        @OptionGroup var gateway: GatewayOptions

        @Argument(help: "The backend's name.")
        var name: String

        mutating func run() async throws { try await gateway.wish("stop", name) }
    }

    struct Restart: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Restart a model server that the gateway started.")

        @OptionGroup var gateway: GatewayOptions

        @Argument(help: "The backend's name.")
        var name: String

        mutating func run() async throws { try await gateway.wish("restart", name) }
    }
}

/// Where the gateway of a running server is.
struct GatewayOptions: ParsableArguments {
    @OptionGroup var common: CommonOptions

    @Option(help: "Where the gateway is, such as http://127.0.0.1:4320.")
    var url: String?

    @Option(help: "A token that allows reading, or sending for a change, if the server asks for one.")
    var token: String?

    func address() throws -> CollectorAddress {
        if let url { return try CollectorAddress(url) }
        let configuration = try common.configuration()
        guard configuration.gateway.isConfigured else {
            throw CommandFailure(.usage, "no gateway is configured here: docs/gateway.md shows how to, and --url names one elsewhere")
        }
        let host = configuration.listenAddress.contains(":") ? "[\(configuration.listenAddress)]" : configuration.listenAddress
        let scheme = configuration.transport.tlsCertificate == nil ? "http" : "https"
        return try CollectorAddress("\(scheme)://\(host):\(configuration.gateway.port)")
    }

    /// Asks for a change of a backend's process.
    func wish(_ verb: String, _ name: String) async throws {
        let path = "/-/backends/\(name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? name)/\(verb)"
        _ = try await GatewayClient(address: address(), token: token).ask(path, posts: true)
        Terminal.write("asked; `fusebox gateway status` shows what becomes of it\n")
    }
}
