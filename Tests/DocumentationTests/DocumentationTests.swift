import Foundation
import FuseboxConfiguration
import Testing

@testable import SpanStore

/// Docs are tested: what the program has stands in them.
@Suite struct DocumentationTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
    }

    @Test func everyColumnOfSpansIsDocumented() throws {
        let page = try text("docs/sql.md")
        for column in SpansColumn.all {
            #expect(page.range(of: "(^|[ |])\(column.name)[ ,|]", options: .regularExpression) != nil, "\(column.name)")
        }
    }

    @Test func everyColumnOfLogsIsDocumented() throws {
        let page = try text("docs/sql.md").split(separator: "## logs").dropFirst().first?.split(separator: "\n## ").first ?? ""
        for column in LogsColumn.allCases {
            #expect(page.range(of: "(^|[ |])\(column.name)[ ,|]", options: .regularExpression) != nil, "\(column.name)")
        }
    }

    @Test func everyTableAndViewIsDocumented() throws {
        let page = try text("docs/sql.md")
        for table in SQLReader.tables { #expect(page.contains(table), "\(table)") }
    }

    @Test func everySettingIsDocumentedWithItsVariable() throws {
        let page = try text("docs/configuration.md")
        for setting in Setting.all {
            #expect(page.contains("| \(setting.key) | \(setting.environment) |"), "\(setting.key)")
        }
    }

    @Test func everyFamilyInTheSourcesIsDocumented() throws {
        let page = try text("docs/metrics.md")
        let sources = Self.root.appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
        var families: Set<String> = []
        while let file = files?.nextObject() as? URL {
            guard file.pathExtension == "swift" else { continue }
            let source = try String(contentsOf: file, encoding: .utf8)
            for match in source.matches(of: /"((agent|fusebox|process)_[a-z_]+)"/) { families.insert(String(match.1)) }
        }
        #expect(families.count > 60)
        for family in families { #expect(page.contains(family), "\(family)") }
    }

    @Test(arguments: ["dashboards/fusebox.json", "deploy/prometheus/fusebox.rules.yml"])
    func everyFamilyInADashboardOrRuleIsExported(path: String) throws {
        let sources = Self.root.appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil)
        var exported: Set<String> = []
        while let file = files?.nextObject() as? URL {
            guard file.pathExtension == "swift" else { continue }
            let source = try String(contentsOf: file, encoding: .utf8)
            for match in source.matches(of: /"((agent|fusebox|process)_[a-z0-9_]+)"/) { exported.insert(String(match.1)) }
        }
        // Recorded names have colons, and are no family of ours.
        let named = Set(
            try text(path).matches(of: /\b(agent|fusebox|process)_[a-z0-9_]+(?![a-z0-9_:])/).map { String($0.output.0) })
        #expect(named.count > 20)
        for family in named {
            #expect(
                exported.contains(family.replacing(/_(bucket|count|sum)$/, with: "")) || exported.contains(family), "\(family)")
        }
    }

    @Test func everyPathOfTheAPIIsInItsPageAndItsOpenAPIFile() throws {
        let page = try text("docs/api.md")
        let routes = try text("Sources/FuseboxHTTP/API/APIRoutes.swift")
        let description = try JSONSerialization.jsonObject(with: Data(try text("docs/openapi.json").utf8)) as? [String: Any]
        let described = Set((description?["paths"] as? [String: Any] ?? [:]).keys)
        let answered = Set(routes.matches(of: /\("(\/api\/[^"]+)", \[/).map { String($0.output.1) })
        #expect(answered.count > 15)
        #expect(described == answered)
        for path in answered { #expect(page.contains("`\(path)`"), "\(path)") }
    }

    @Test func everyDecisionIsLinkedToAPage() throws {
        let pages = try FileManager.default.contentsOfDirectory(atPath: Self.root.appendingPathComponent("docs/adr").path)
        #expect(pages.count >= 5)
        for page in pages { #expect(try text("docs/adr/\(page)").hasPrefix("# ")) }
    }
}
