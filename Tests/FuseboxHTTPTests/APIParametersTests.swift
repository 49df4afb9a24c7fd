import Foundation
import HTTPTypes
import Testing

@testable import FuseboxHTTP

/// A path takes the parameters that docs/openapi.json describes, and refuses others.
struct APIParametersTests {
    private static func described() throws -> [String: [String: [String]]] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let data = try Data(contentsOf: root.appendingPathComponent("docs/openapi.json"))
        let document = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        return (document?["paths"] as? [String: [String: [String: Any]]] ?? [:]).mapValues { methods in
            methods.mapValues { method in
                (method["parameters"] as? [[String: Any]] ?? []).filter { $0["in"] as? String == "query" }.compactMap { $0["name"] as? String }
            }
        }
    }

    /// A server must take a whole URL as well as a path (RFC 9112 3.2.2).
    @Test(arguments: ["/v1/traces", "/v1/traces?x=1", "http://host/v1/traces", "http://host:4318/v1/traces?x=1", "HTTPS://host/v1/traces"])
    func telemetryGoesToAPathOrAURL(uri: String) {
        #expect(FuseboxResponder.signal(ofURI: uri) == .traces)
    }

    @Test(arguments: ["/v1/trace", "http://host/", "http://host", "host/v1/traces", "", "http://v1/traces", "//v1/traces"])
    func otherTargetsTakeNone(uri: String) {
        #expect(FuseboxResponder.signal(ofURI: uri) == nil)
    }

    @Test(arguments: [
        ("outcome=bogus", "but must be ok, error, timeout or rejected"),
        ("stage=bogus", "but must be http_tool, subprocess, llm, vector or other"), ("status=bogus", "but must be error or ok"),
    ] as [(String, String)])
    func anUnknownWordIsRefusedWithTheKnownOnes(query: String, words: String) {
        do {
            _ = try APIRoutes.criteria(QueryString(query))
            Issue.record("\(query) is taken")
        } catch {
            #expect("\(error)".contains(words), "\(error)")
        }
    }

    @Test func timesAreReadAsEverywhere() throws {
        let query = QueryString("a=15m&b=2026-11-21T10:00:00Z&c=1796136825681&d=-15m&e=2026-02-31")
        #expect(try query.time("a", nowUnixNano: 900_000_000_001) == 1)
        #expect(try query.time("b", nowUnixNano: 0) == 1_795_255_200_000_000_000)
        #expect(try query.time("d", nowUnixNano: 900_000_000_001) == 1)
        for name in ["c", "e"] { #expect(throws: (any Error).self) { _ = try query.time(name, nowUnixNano: 0) } }
    }

    @Test func everyPathTakesWhatIsDescribed() throws {
        let described = try Self.described()
        #expect(APIRoutes.routes.routes.count > 30)
        for route in APIRoutes.routes.routes {
            let method = route.methods[0].rawValue.lowercased()
            let takes = try #require(route.takes, "\(route.path)").map { $0.hasSuffix(".") ? String($0.dropLast()) : $0 }
            let names = try #require(described[route.path]?[method], "\(route.path)")
            #expect(Set(takes) == Set(names).subtracting(["project"]), "\(method) \(route.path)")
            #expect(Set(names).count == names.count, "\(method) \(route.path)")
            // One that is of one project can be asked so.
            let isOfProject = route.scope == .project && route.path != "/api/status"
            #expect(names.contains("project") == (isOfProject || route.path == "/api/sql"), "\(method) \(route.path)")
        }
    }
}
