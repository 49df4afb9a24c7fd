import ArgumentParser
import Foundation
import FuseboxConfiguration
import SpanStore

/// Flags that several commands share, and the configuration that comes of them.
struct CommonOptions: ParsableArguments {
    @Option(help: "Folder of the data file (FUSEBOX_DATA_DIR).")
    var dataDir: String?

    @Option(help: "Configuration file (FUSEBOX_CONFIG); without it, fusebox.yaml in the data folder, if there is one.")
    var config: String?

    /// The configuration with these flags and `flags` on top, by the keys of their settings.
    func configuration(flags: [String: String] = [:]) throws -> Configuration {
        let environment = ProcessInfo.processInfo.environment
        let loader = ConfigurationLoader(
            homeFolder: environment["HOME"] ?? FileManager.default.currentDirectoryPath, environment: environment)
        var flags = flags
        flags["data_dir"] = dataDir
        do throws(ConfigurationError) {
            var yaml: (text: String, path: String)?
            if let path = config ?? environment["FUSEBOX_CONFIG"] {
                guard let text = try? InputFile.text(path) else {
                    throw ConfigurationError("cannot read the configuration file \(path)")
                }
                yaml = (text, path)
            } else {
                let folder = try loader.load(yaml: nil, flags: flags).dataFolder
                let path = folder + "/fusebox.yaml"
                if let text = try? String(contentsOfFile: path, encoding: .utf8) { yaml = (text, path) }
            }
            return try loader.load(yaml: yaml, flags: flags)
        } catch {
            throw CommandFailure(.usage, error.message)
        }
    }
}

extension StoreError {
    /// The failure that a command ends with.
    var failure: CommandFailure {
        switch self {
        case _ where isDamage: CommandFailure(.integrity, Self.damage(message))
        case .segment, .database, .locked, .folder, .setting, .schemaVersion, .dataFile: CommandFailure(.failed, message)
        }
    }

    /// What to do about a damaged data file.
    static func damage(_ message: String) -> String {
        "the data file is damaged: \(message); `fusebox verify` says where, and a backup brings back what is lost"
    }
}
