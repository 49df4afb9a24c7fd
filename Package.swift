// swift-tools-version: 6.2
import PackageDescription

// Rows of the architecture, bottom to top; a target imports only targets of rows below its own (docs/ARCHITECTURE.md).

let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioHPACK = Target.Dependency.product(name: "NIOHPACK", package: "swift-nio-http2")
let nioHTTP2 = Target.Dependency.product(name: "NIOHTTP2", package: "swift-nio-http2")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
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
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Row 0: system libraries.
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"]), .brew(["sqlite"])]),
        .systemLibrary(
            name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),

        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "CEditline", pkgConfig: "libedit", providers: [.apt(["libedit-dev"])]),

        // Row 1: values and thin wrappers.
        .target(name: "TelemetryModel"),
        .target(name: "PrometheusText"),
        .target(name: "Threads"),
        .target(name: "WebPage", resources: [.embedInCode("Files")]),
        .target(name: "SQLite", dependencies: ["CSQLite"]),
        .target(name: "Parquet", dependencies: ["CZstd"]),
        .target(name: "OutboundHTTP", dependencies: [nioCore, nioPosix, nioHTTP1, nioSSL]),
        .target(name: "COTLP", dependencies: ["CProtobufC"], cSettings: [.unsafeFlags(["-w"])]),

        // Row 2: bytes to spans, spans to columns, spans to counters, spans to segments.
        .target(name: "OTLP", dependencies: ["TelemetryModel", "COTLP", "CProtobufC", "CZlib", "CZstd"]),
        .target(name: "SemanticColumns", dependencies: ["TelemetryModel"], resources: [.embedInCode("Schema")]),
        .target(name: "Evals", dependencies: ["TelemetryModel"], resources: [.embedInCode("Schema")]),
        .target(name: "Conversations", dependencies: ["TelemetryModel"]),
        .target(name: "ClickHouse", dependencies: ["TelemetryModel"]),
        .target(name: "Derivations", dependencies: ["TelemetryModel", "PrometheusText"]),
        .target(name: "SegmentFormat", dependencies: ["TelemetryModel", "CZstd"]),

        // Row 3: segments to a file.
        .target(
            name: "SpanStore", dependencies: ["SegmentFormat", "TelemetryModel", "SQLite", "CSQLite"],
            resources: [.embedInCode("Schema")]),

        // Row 4: a file to tables.
        .target(
            name: "StoreSQL", dependencies: ["SegmentFormat", "SpanStore", "TelemetryModel", "SQLite", "CSQLite"],
            resources: [.embedInCode("Schema")]),

        // Row 5: the single writer, and who reads.
        .target(
            name: "Ingest",
            dependencies: [
                "TelemetryModel", "SemanticColumns", "Derivations", "Evals", "SegmentFormat", "SpanStore", "StoreSQL", "SQLite",
                "PrometheusText", "Threads",
            ]),
        .target(name: "Reports", dependencies: ["TelemetryModel", "SQLite", "SegmentFormat", "SpanStore", "StoreSQL"]),
        .target(name: "GatewayRules", dependencies: ["TelemetryModel", "Derivations"]),
        .target(
            name: "Forwarding",
            dependencies: ["ClickHouse", "TelemetryModel", "OTLP", "SpanStore", "PrometheusText", "OutboundHTTP", "Threads", nioCore, nioPosix]),

        .target(
            name: "Queries",
            dependencies: [
                "TelemetryModel", "Conversations", "Evals", "SegmentFormat", "SpanStore", "StoreSQL", "SQLite", "CSQLite", "Threads",
            ]),

        // Row 6: what agents ask; configuration; the made-up workload; what nodes forwarded, asked of an engine.
        .target(
            name: "Fleet",
            dependencies: [
                "ClickHouse", "Derivations", "Forwarding", "Ingest", "OTLP", "OutboundHTTP", "Queries", "SemanticColumns",
                "SegmentFormat", "SpanStore", "TelemetryModel",
                nioPosix,
            ]),
        .target(
            name: "AgentProtocol",
            dependencies: ["TelemetryModel", "Conversations", "Derivations", "SpanStore", "StoreSQL", "SQLite", "Queries", "Reports"],
            resources: [.embedInCode("Documents")]),

        // Rows 7 and 8: the network.
        .target(
            name: "FuseboxHTTP",
            dependencies: [
                "TelemetryModel", "OTLP", "Conversations", "Derivations", "Evals", "SpanStore", "StoreSQL", "Ingest", "Queries", "Reports",
                "PrometheusText", "WebPage", "AgentProtocol", "Fleet",
                httpTypes, nioCore, nioPosix, nioHTTP1, nioHPACK, nioHTTP2, nioSSL, logging,
            ]),
        .target(
            name: "FuseboxGRPC",
            dependencies: [
                "FuseboxHTTP", "TelemetryModel", "OTLP", "Ingest", httpTypes, nioCore, nioHPACK, nioHTTP2,
            ]),
        .target(
            name: "Gateway",
            dependencies: [
                "FuseboxHTTP", "GatewayRules", "Derivations", "Ingest", "OTLP", "OutboundHTTP", "PrometheusText", "TelemetryModel",
                httpTypes, nioCore, nioPosix, nioHTTP1, nioSSL, logging,
            ]),
        .target(name: "Demo", dependencies: ["TelemetryModel", "OTLP"]),
        // The loadable SQLite extension: the store's reading side for other programs.
        // Swift's own libraries go into it: whoever loads it has no Swift.
        .target(
            name: "FuseboxSQLite", dependencies: ["SpanStore", "StoreSQL", "CSQLite"],
            linkerSettings: [
                // Never unloaded: SQLite unloads an extension whose start failed, and Swift's runtime cannot be.
                .unsafeFlags(
                    ["-static-stdlib", "-Xlinker", "-s", "-Xlinker", "-z", "-Xlinker", "nodelete"],
                    .when(platforms: [.linux], configuration: .release))
            ]),
        .target(
            name: "FuseboxConfiguration",
            dependencies: [
                "ClickHouse", "Derivations", "Forwarding", "GatewayRules", "OTLP", "OutboundHTTP", "Reports", "SpanStore", "TelemetryModel", yams,
            ]),

        // Row 9: the composition root.
        .executableTarget(
            name: "fusebox",
            dependencies: [
                "AgentProtocol", "ClickHouse", "Fleet",
                "TelemetryModel", "OTLP", "SemanticColumns", "Conversations", "Derivations", "Evals", "SegmentFormat",
                "SpanStore", "StoreSQL", "SQLite", "Ingest", "Queries",
                "Reports",
                "FuseboxHTTP", "FuseboxGRPC", "FuseboxConfiguration", "Forwarding", "Gateway", "GatewayRules", "Demo",
                "PrometheusText",
                "CSQLite", "CEditline", "CMalloc", "Parquet",
                argumentParser, logging, nioCore, nioPosix, nioHTTP1,
            ],
            resources: [.embedInCode("Schema"), .embedInCode("PriceData")]),

        // What scripts/instructions.sh counts the instructions of.
        .executableTarget(
            name: "instructions",
            dependencies: [
                "OTLP", "SemanticColumns", "Derivations", "FuseboxHTTP", "Ingest", "PrometheusText", "SegmentFormat", "SpanStore",
                "TelemetryModel", nioCore,
                nioEmbedded,
            ],
            path: "Tests/Instructions"),

        // Tests: the kits that they share, and one target for each above.
        .target(name: "TelemetryTesting", dependencies: ["TelemetryModel", "COTLP"], path: "Tests/TelemetryTesting"),
        .target(
            name: "StoreTesting",
            dependencies: ["SegmentFormat", "SemanticColumns", "SpanStore", "StoreSQL", "SQLite", "TelemetryModel", "TelemetryTesting"],
            path: "Tests/StoreTesting"),
        .testTarget(name: "TelemetryModelTests", dependencies: ["TelemetryModel"]),
        .testTarget(name: "PrometheusTextTests", dependencies: ["PrometheusText", "TelemetryTesting"]),
        .testTarget(
            name: "OTLPTests",
            dependencies: ["OTLP", "TelemetryModel", "COTLP", "TelemetryTesting", "CZlib", "CZstd"]),
        .testTarget(name: "OTLPMessageTests", dependencies: ["OTLP", "COTLP", "TelemetryTesting"]),
        .testTarget(
            name: "SemanticColumnsTests", dependencies: ["SemanticColumns", "OTLP", "TelemetryModel", "TelemetryTesting"]),
        .testTarget(
            name: "DerivationsTests", dependencies: ["Derivations", "TelemetryModel", "PrometheusText", "TelemetryTesting"]),
        .testTarget(name: "SegmentFormatTests", dependencies: ["SegmentFormat", "TelemetryModel", "TelemetryTesting"]),
        .testTarget(
            name: "SpanStoreTests",
            dependencies: [
                "SegmentFormat", "SpanStore", "StoreSQL", "CSQLite", "SQLite", "TelemetryModel", "StoreTesting", "TelemetryTesting",
            ]),
        .testTarget(
            name: "StoreSQLTests",
            dependencies: [
                "StoreSQL", "SegmentFormat", "SpanStore", "SQLite", "SemanticColumns", "TelemetryModel", "StoreTesting", "TelemetryTesting",
            ]),
        .testTarget(
            name: "IngestTests",
            dependencies: [
                "Ingest", "Queries", "Reports", "SpanStore", "StoreSQL", "SQLite", "OTLP", "Derivations", "SemanticColumns", "PrometheusText",
                "TelemetryModel", "TelemetryTesting",
            ]),
        .testTarget(
            name: "FuseboxHTTPTests",
            dependencies: [
                "FuseboxHTTP", "Ingest", "OTLP", "PrometheusText", "TelemetryModel", httpTypes, nioCore, nioEmbedded, nioPosix,
            ]),
        .testTarget(
            name: "FuseboxGRPCTests", dependencies: ["FuseboxGRPC", "FuseboxHTTP", nioCore]),
        .testTarget(
            name: "FleetTests",
            dependencies: ["Fleet", "ClickHouse", "Derivations", "Forwarding", "OutboundHTTP", "Queries", "SpanStore", "TelemetryModel"]),
        .testTarget(name: "ClickHouseTests", dependencies: ["ClickHouse", "TelemetryModel"]),
        .testTarget(
            name: "ForwardingTests",
            dependencies: [
                "ClickHouse", "Forwarding", "OTLP", "OutboundHTTP", "PrometheusText", "SemanticColumns", "SegmentFormat", "SpanStore", "StoreSQL",
                "SQLite", "TelemetryModel", "TelemetryTesting",
            ]),
        .testTarget(name: "GatewayRulesTests", dependencies: ["GatewayRules", "Derivations", "TelemetryModel"]),
        .testTarget(name: "ThreadsTests", dependencies: ["Threads"]),
        .testTarget(
            name: "QueriesTests",
            dependencies: ["Queries", "Derivations", "Ingest", "SQLite", "SpanStore", "TelemetryModel", "TelemetryTesting"]),
        .testTarget(
            name: "AgentProtocolTests",
            dependencies: [
                "AgentProtocol", "Derivations", "Ingest", "Queries", "Reports", "SpanStore", "TelemetryModel",
            ]),
        .testTarget(
            name: "ConversationsTests",
            dependencies: ["Conversations", "OTLP", "SemanticColumns", "SpanStore", "TelemetryModel", "TelemetryTesting"]),
        .testTarget(name: "ParquetTests", dependencies: ["Parquet"]),
        .testTarget(name: "EvalsTests", dependencies: ["Evals", "TelemetryModel"]),
        .testTarget(
            name: "ReportsTests",
            dependencies: [
                "Reports", "Ingest", "Evals", "SpanStore", "StoreSQL", "SQLite", "OTLP", "Derivations", "Demo", "PrometheusText",
                "TelemetryModel",
            ]),
        .testTarget(
            name: "FuseboxConfigurationTests",
            dependencies: ["FuseboxConfiguration", "Derivations", "GatewayRules", "Reports", "TelemetryModel"]),
        .testTarget(name: "DemoTests", dependencies: ["Demo", "OTLP", "TelemetryModel", "SemanticColumns", "Derivations"]),
        .testTarget(name: "DocumentationTests", dependencies: ["SpanStore", "StoreSQL", "FuseboxConfiguration", "SemanticColumns"]),
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
