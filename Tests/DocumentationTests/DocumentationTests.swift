import Foundation
import FuseboxConfiguration
import Testing

@testable import SpanStore
@testable import StoreSQL

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
        // Each stands first in a row of a table, or is a heading.
        let page = try text("docs/sql.md")
        let rows = page.matches(of: /(?m)^(?:\| ([a-z_, ]+) \||## ([a-z]+)$)/)
        let named = Set(rows.flatMap { ($0.output.1 ?? $0.output.2 ?? "").split(separator: ", ") }.map { String($0) })
        for table in SQLReader.tables { #expect(named.contains(table), "\(table)") }
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
            // The gateway writes its prefix once.
            guard file.lastPathComponent == "GatewayMetrics.swift" else { continue }
            for match in source.matches(of: /[a-z]\(\s*"([a-z_]+)"/) { exported.insert("fusebox_gateway_" + match.1) }
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
        // The table by which the server itself finds what answers.
        let routes = try text("Sources/FuseboxHTTP/API/APIRoutes.swift")
        let description = try JSONSerialization.jsonObject(with: Data(try text("docs/openapi.json").utf8)) as? [String: Any]
        let described = Set((description?["paths"] as? [String: Any] ?? [:]).keys)
        let answered = Set(routes.matches(of: /Route\(\.\w+, "(\/api\/[^"]+)"/).map { String($0.output.1) })
        #expect(answered.count > 15)
        #expect(described == answered)
        for path in answered { #expect(page.contains("`\(path)`"), "\(path)") }
    }

    @Test func everyDecisionHasItsNumberAndEveryMentionOfOneIsTrue() throws {
        let pages = try FileManager.default.contentsOfDirectory(atPath: Self.root.appendingPathComponent("docs/adr").path)
        let numbers = pages.map { String($0.prefix(4)) }
        #expect(numbers.count >= 5 && Set(numbers).count == numbers.count)
        for page in pages { #expect(try text("docs/adr/\(page)").hasPrefix("# ")) }
        var mentions = 0
        for folder in ["docs", "Sources", "Tests", "schemas"] {
            let files = FileManager.default.enumerator(at: Self.root.appendingPathComponent(folder), includingPropertiesForKeys: nil)
            while let file = files?.nextObject() as? URL {
                guard ["swift", "md", "sql", "txt", "py"].contains(file.pathExtension) else { continue }
                let source = try String(contentsOf: file, encoding: .utf8)
                for match in source.matches(of: /adr\/([0-9]{4})([a-z0-9-]*\.md)?/) {
                    mentions += 1
                    let name = match.output.2.map { match.output.1 + $0 }
                    let isThere = name.map { pages.contains(String($0)) } ?? numbers.contains(String(match.output.1))
                    #expect(isThere, "\(file.lastPathComponent): \(match.output.0)")
                }
            }
        }
        #expect(mentions > 10)
    }

    /// The text of every test file, Swift's and Python's.
    private func testSources() throws -> String {
        let files = FileManager.default.enumerator(at: Self.root.appendingPathComponent("Tests"), includingPropertiesForKeys: nil)
        var sources = ""
        while let file = files?.nextObject() as? URL {
            guard ["swift", "py"].contains(file.pathExtension) else { continue }
            sources += try String(contentsOf: file, encoding: .utf8)
        }
        return sources
    }

    @Test func everyRuleOfCountingNamesTestsThatExist() throws {
        let page = try text("docs/metrics.md")
        let halves = page.split(separator: "## 5 What holds these rules")
        #expect(halves.count == 2)
        let lines = halves.map { $0.split(separator: "\n") }
        let sections = lines[0].filter { $0.hasPrefix("### ") }.compactMap { $0.split(separator: " ").dropFirst().first }
        let cells = lines[1].map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
        let rows = cells.filter { $0.count == 2 && $0[0].first?.isNumber == true }
        let sources = try testSources()
        #expect(sections.count > 10)
        for section in sections { #expect(rows.contains { $0[0] == section }, "no test for section \(section)") }
        for row in rows {
            for name in row[1].split(separator: ", ") {
                let isThere = sources.contains("func \(name)(") || sources.contains("def \(name)(")
                #expect(isThere, "section \(row[0]): no test \(name)")
            }
        }
    }
}
