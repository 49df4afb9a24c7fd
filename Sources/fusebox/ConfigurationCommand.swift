import ArgumentParser
import Foundation
import FuseboxConfiguration
import GatewayRules

/// `fusebox config`: what is configured, and whether it can be used.
struct ConfigurationCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check the configuration, or print it as the server uses it.",
        subcommands: [Check.self, Print.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check whether the configuration is valid; exit code 2 if it is not.")

        @OptionGroup var common: CommonOptions

        mutating func run() throws {
            let configuration = try common.configuration()
            for warning in configuration.warnings { Terminal.error("warning: \(warning)") }
            do throws(ConfigurationError) {
                try configuration.gateway.checkPrograms(path: ProcessInfo.processInfo.environment["PATH"] ?? "")
                _ = try KubernetesFiles.cluster(configuration, isEncrypted: false)
            } catch {
                throw CommandFailure(.usage, error.message)
            }
            Terminal.write("the configuration is good\n")
        }
    }

    struct Print: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print every setting as YAML, with the source of its value and its environment variable.")

        @OptionGroup var common: CommonOptions

        mutating func run() throws {
            Terminal.write(try common.configuration().yaml)
        }
    }
}

/// How the cluster that is told of the gateway's models is reached, by the files and variables of this process.
enum KubernetesFiles {
    static func cluster(
        _ configuration: Configuration, isEncrypted: Bool
    ) throws(ConfigurationError) -> (plan: ClusterPlan, access: ClusterAccess)? {
        try configuration.gateway.kubernetes.cluster(
            models: configuration.gateway.models.map(\.plan.name), port: configuration.gateway.port, isEncrypted: isEncrypted,
            environment: ProcessInfo.processInfo.environment, read: { try? String(contentsOfFile: $0, encoding: .utf8) })
    }
}
