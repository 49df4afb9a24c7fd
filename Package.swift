// swift-tools-version: 6.2
import PackageDescription

// Rows of the architecture, bottom to top; a target imports only targets of rows below its own (docs/ARCHITECTURE.md).

let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdHTTP2 = Target.Dependency.product(name: "HummingbirdHTTP2", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "fusebox",
    platforms: [.macOS(.v26)],
    products: [
        .executable(name: "fusebox", targets: ["fusebox"]),
        .library(name: "FuseboxSQLite", type: .dynamic, targets: ["FuseboxSQLite"]),
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Row 0: system libraries.
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
        .systemLibrary(
            name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),

        .systemLibrary(name: "CEditline", pkgConfig: "libedit", providers: [.apt(["libedit-dev"])]),

        // Row 1: values and thin wrappers.
        .target(name: "TelemetryModel"),
        .target(name: "PrometheusText"),
        .target(name: "WebPage", resources: [.embedInCode("Files")]),
        .target(name: "SQLite", dependencies: ["CSQLite"]),
        .target(name: "COTLP", dependencies: ["CProtobufC"], cSettings: [.unsafeFlags(["-w"])]),

        // Row 2: bytes to spans, spans to columns, spans to counters, spans to segments.
        .target(name: "OTLP", dependencies: ["TelemetryModel", "COTLP", "CProtobufC", "CZlib", "CZstd"]),
        .target(name: "SemanticColumns", dependencies: ["TelemetryModel"], resources: [.embedInCode("Schema")]),
        .target(name: "Evals", dependencies: ["TelemetryModel"], resources: [.embedInCode("Schema")]),
        .target(name: "Derivations", dependencies: ["TelemetryModel", "PrometheusText"]),
        .target(
            name: "SpanStore", dependencies: ["TelemetryModel", "SQLite", "CSQLite", "CZstd"],
            resources: [.embedInCode("Schema")]),

        // Row 3: the single writer.
        .target(
            name: "Ingest",
            dependencies: [
                "TelemetryModel", "SemanticColumns", "Derivations", "Evals", "SpanStore", "SQLite", "PrometheusText",
            ]),
        .target(name: "Reports", dependencies: ["TelemetryModel", "SQLite", "SpanStore"]),

        .target(name: "Queries", dependencies: ["TelemetryModel", "SpanStore", "SQLite", "CSQLite"]),

        // Row 4: the network, and configuration.
        .target(
            name: "FuseboxHTTP",
            dependencies: [
                "TelemetryModel", "OTLP", "Derivations", "SpanStore", "Ingest", "Queries", "Reports", "PrometheusText", "WebPage",
                hummingbird,
                hummingbirdCore, hummingbirdHTTP2, httpTypes, nioCore, nioPosix, nioHTTP1, nioHTTP2, nioHTTPTypes, nioSSL,
                lifecycle, logging,
            ]),
        .target(
            name: "FuseboxGRPC",
            dependencies: [
                "FuseboxHTTP", "TelemetryModel", "OTLP", "Ingest", "PrometheusText", hummingbird, hummingbirdCore,
                hummingbirdHTTP2,
                httpTypes, nioCore, logging,
            ]),
        .target(name: "Demo", dependencies: ["TelemetryModel", "OTLP"]),
        // The loadable SQLite extension: the store's reading side for other programs.
        // Swift's own libraries go into it: whoever loads it has no Swift.
        .target(
            name: "FuseboxSQLite", dependencies: ["SpanStore", "CSQLite"],
            linkerSettings: [
                // Never unloaded: SQLite unloads an extension whose start failed, and Swift's runtime cannot be.
                .unsafeFlags(
                    ["-static-stdlib", "-Xlinker", "-s", "-Xlinker", "-z", "-Xlinker", "nodelete"],
                    .when(platforms: [.linux], configuration: .release))
            ]),
        .target(name: "FuseboxConfiguration", dependencies: ["Derivations", "OTLP", "Reports", "TelemetryModel", yams]),

        // Row 5: the composition root.
        .executableTarget(
            name: "fusebox",
            dependencies: [
                "TelemetryModel", "OTLP", "SemanticColumns", "Derivations", "Evals", "SpanStore", "SQLite", "Ingest", "Queries",
                "Reports",
                "FuseboxHTTP", "FuseboxGRPC", "FuseboxConfiguration", "Demo", "PrometheusText", "CSQLite", "CEditline",
                argumentParser, hummingbird,
                lifecycle,
                unixSignals, logging, nioCore, nioPosix, nioHTTP1,
            ],
            resources: [.embedInCode("Schema")]),

        // What scripts/instructions.sh counts the instructions of.
        .executableTarget(
            name: "instructions", dependencies: ["OTLP", "SemanticColumns", "Derivations", "Ingest", "SpanStore", "TelemetryModel"],
            path: "Tests/Instructions"),

        // Tests: the kit that they share, and one target for each above.
        .target(name: "TelemetryTesting", dependencies: ["TelemetryModel", "COTLP"], path: "Tests/TelemetryTesting"),
        .testTarget(name: "TelemetryModelTests", dependencies: ["TelemetryModel"]),
        .testTarget(name: "PrometheusTextTests", dependencies: ["PrometheusText"]),
        .testTarget(
            name: "OTLPTests",
            dependencies: ["OTLP", "TelemetryModel", "COTLP", "TelemetryTesting", "CZlib", "CZstd"]),
        .testTarget(name: "OTLPMessageTests", dependencies: ["OTLP", "COTLP", "TelemetryTesting"]),
        .testTarget(
            name: "SemanticColumnsTests", dependencies: ["SemanticColumns", "OTLP", "TelemetryModel", "TelemetryTesting"]),
        .testTarget(name: "DerivationsTests", dependencies: ["Derivations", "TelemetryModel", "PrometheusText"]),
        .testTarget(
            name: "SpanStoreTests", dependencies: ["SpanStore", "SQLite", "OTLP", "SemanticColumns", "TelemetryModel"]),
        .testTarget(
            name: "IngestTests",
            dependencies: [
                "Ingest", "SpanStore", "SQLite", "OTLP", "Derivations", "SemanticColumns", "PrometheusText", "TelemetryModel",
            ]),
        .testTarget(name: "QueriesTests", dependencies: ["Queries", "TelemetryModel"]),
        .testTarget(name: "EvalsTests", dependencies: ["Evals", "TelemetryModel"]),
        .testTarget(
            name: "ReportsTests",
            dependencies: [
                "Reports", "Ingest", "Evals", "SpanStore", "SQLite", "OTLP", "Derivations", "Demo", "PrometheusText",
                "TelemetryModel",
            ]),
        .testTarget(
            name: "FuseboxConfigurationTests", dependencies: ["FuseboxConfiguration", "Derivations", "Reports", "TelemetryModel"]),
        .testTarget(name: "DemoTests", dependencies: ["Demo", "OTLP", "TelemetryModel", "SemanticColumns", "Derivations"]),
        .testTarget(name: "DocumentationTests", dependencies: ["SpanStore", "FuseboxConfiguration", "SemanticColumns"]),
    ]
)

for target in package.targets where target.type == .regular || target.type == .executable || target.type == .test {
    guard target.name != "COTLP" else { continue }
    var settings = target.swiftSettings ?? []
    settings += [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableExperimentalFeature("Lifetimes"),
        .treatAllWarnings(as: .error),
        .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
    ]
    target.swiftSettings = settings
}
