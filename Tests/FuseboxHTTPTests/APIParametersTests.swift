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
