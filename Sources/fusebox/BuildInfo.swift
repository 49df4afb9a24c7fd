import CSQLite
import PrometheusText

/// What was built, and with what.
enum BuildInfo {
    static let version = "0.1.0"

    static var versionText: String {
        "fusebox \(version) (Swift \(swift), \(operatingSystem) \(architecture), SQLite \(sqlite))"
    }

    private static let swift: String = {
        #if compiler(>=6.3)
            "6.3"
        #else
            "6.2"
        #endif
    }()

    private static let operatingSystem: String = {
        #if os(Linux)
            "linux"
        #else
            "macos"
        #endif
    }()

    private static let architecture: String = {
        #if arch(x86_64)
            "x86_64"
        #else
            "arm64"
        #endif
    }()

    private static var sqlite: String { String(cString: sqlite3_libversion()) }

    /// `fusebox_build_info`.
    static var family: MetricFamily {
        let labels = LabelText.render([
            ("version", version), ("swift", swift), ("os", operatingSystem), ("arch", architecture), ("sqlite", sqlite),
        ])
        return MetricFamily(
            name: "fusebox_build_info", help: "What was built, and with what.", kind: .info,
            samples: [.init(labels: labels, value: .integer(1))])
    }
}
