package import TelemetryModel

/// The files of an acceptance packet, and the check that nobody changed them. docs/soak.md tells each file.
package struct SoakPacket: Sendable {
    package static let manifestName = "manifest.json"
    package static let sumsName = "SHA256SUMS"
    package static let reportName = "report.json"
    private static let markdownName = "report.md"
    private static let schemaVersion: Int64 = 1

    /// Names and contents, in the order in which they are written.
    package private(set) var files: [(name: String, content: [UInt8])]

    /// - Parameters:
    ///   - document: the report with its verdict.
    ///   - others: further files of the packet: configuration, prices, what the user attached.
    ///   - facts: what the manifest says of the run besides: revision, host, counters.
    package init(document: ReportDocument, digest: SpansDigest, others: [(name: String, content: [UInt8])], facts: [JSONValue.Member]) {
        let report = document.json(explains: true).canonical + "\n"
        let markdown = document.markdown(explains: false) + "\nManifest: \(Self.manifestName), whose SHA-256 is in \(Self.sumsName).\n"
        files = [(Self.reportName, Array(report.utf8)), (Self.markdownName, Array(markdown.utf8))] + others
        let listed = files.map { file -> JSONValue in
            [
                "path": .string(file.name), "bytes": .integer(Int64(file.content.count)),
                "sha256": .string(SHA256.hexadecimal(of: file.content)),
            ]
        }
        var members: [JSONValue.Member] = [
            .init("schema_version", .integer(Self.schemaVersion)), .init("window", document.window.json), .init("spans", digest.json),
            .init("verdict", .string(document.verdict?.word ?? "")), .init("files", .array(listed)),
        ]
        members += facts
        files.append((Self.manifestName, Array((JSONValue.object(members).canonical + "\n").utf8)))
        let sums = files.map { "\(SHA256.hexadecimal(of: $0.content))  \($0.name)\n" }.joined()
        files.append((Self.sumsName, Array(sums.utf8)))
    }

    // MARK: Verification

    /// What a check found.
    package struct Verification: Sendable {
        /// What is wrong, each with the file's name; empty when nothing is.
        package var faults: [String] = []
        package var filesChecked = 0
        /// As the packet's report says it, and as its figures give it.
        package var verdict: ReportDocument.Verdict?
        package var window: ReportWindow?
        package var spansSHA256: String?
    }

    /// Checks every hash and works the verdict out again from the report's figures.
    ///
    /// - Parameters:
    ///   - names: the files in the folder.
    ///   - read: a file's content; `nil` when it cannot be read.
    package static func verify(names: [String], read: (String) -> [UInt8]?) -> Verification {
        var result = Verification()
        guard let sums = read(sumsName) else {
            result.faults.append("\(sumsName): it is missing")
            return result
        }
        let manifest = read(manifestName).flatMap { try? JSONValue.parse($0[...]) }
        let listed = manifestHashes(manifest)
        var summed: Set<String> = [sumsName]
        for line in String(decoding: sums, as: UTF8.self).split(separator: "\n") {
            let sides = line.split(separator: " ", maxSplits: 1)
            guard sides.count == 2, sides[0].count == 64 else {
                result.faults.append("\(sumsName): '\(line.prefix(90))' is not a line with a hash and a name")
                continue
            }
            let name = String(sides[1].drop { $0 == " " || $0 == "*" })
            summed.insert(name)
            guard let content = read(name) else {
                result.faults.append("\(name): it is missing")
                continue
            }
            result.filesChecked += 1
            let found = SHA256.hexadecimal(of: content)
            if found != sides[0] {
                // When the manifest knows the file as it is, it is the list of sums that was changed.
                result.faults.append(
                    listed[name] == found
                        ? "\(sumsName): its hash of \(name) is not the manifest's" : "\(name): its SHA-256 is \(found), \(sumsName) has \(sides[0])")
            } else if let known = listed[name], known != found {
                result.faults.append("\(manifestName): its hash of \(name) is not the file's")
            }
        }
        for name in listed.keys.sorted() + [manifestName, reportName] where !summed.contains(name) {
            result.faults.append("\(sumsName): it does not list \(name)")
        }
        for name in names.sorted() where !summed.contains(name) { result.faults.append("\(name): it is not part of the packet") }
        judge(manifest, read(reportName), &result)
        return result
    }

    /// Gates whose figures come from the spans alone, so that the same spans give them again.
    private static let ofSpans: Set<String> = [
        GateReport.runsName, "p95_latency_ms", "timeouts", "breaker_opens", "workflow_concurrency", "retrieval_batch", "embed_batch",
        ContractReport.headroomName,
    ]

    /// Holds the report's figures against those that the data file gives, and `report.md` against `report.json`.
    ///
    /// - Parameters:
    ///   - gates: of the same window, worked out again.
    ///   - read: a file's content; `nil` when it cannot be read.
    package static func judgeAgain(_ gates: [GateReport.Gate], read: (String) -> [UInt8]?) -> [String] {
        guard let report = read(reportName), let value = try? JSONValue.parse(report[...]),
            case .array(let rows)? = value["sections"]?["gates"]?["rows"]
        else { return ["\(reportName): it is missing or no report"] }
        let markdown = String(decoding: read(markdownName) ?? [], as: UTF8.self).split(separator: "\n").map { line in
            line.split(separator: "|").map { $0.drop { $0 == " " }.split(separator: " ").joined(separator: " ") }
        }
        var faults: [String] = []
        for row in rows {
            guard let name = row["gate"]?.text else { continue }
            let stated = row["value"]?.number
            if ofSpans.contains(name), let gate = gates.first(where: { $0.name == name }), gate.value.json.number != stated {
                faults.append("\(reportName): its \(name) is \(row["value"]?.line ?? "none"), the spans give \(gate.value.text)")
            }
            let shown = markdown.first { $0.first == name }.flatMap { $0.count > 1 ? Double($0[1].filter { $0 != "," }) : nil }
            if let stated, shown.map({ abs($0 - stated) > 0.0005 * max(1, abs(stated)) }) ?? true {
                faults.append("\(markdownName): its \(name) is not that of \(reportName)")
            }
        }
        return faults
    }

    private static func manifestHashes(_ manifest: JSONValue?) -> [String: String] {
        guard case .array(let files)? = manifest?["files"] else { return [:] }
        var hashes: [String: String] = [:]
        for file in files {
            if let path = file["path"]?.text, let hash = file["sha256"]?.text { hashes[path] = hash }
        }
        return hashes
    }

    private static func judge(_ manifest: JSONValue?, _ report: [UInt8]?, _ result: inout Verification) {
        guard let manifest else {
            result.faults.append("\(manifestName): it is missing or not JSON")
            return
        }
        result.spansSHA256 = manifest["spans"]?["sha256"]?.text
        if case .integer(let from)? = manifest["window"]?["from_unix_nano"],
            case .integer(let until)? = manifest["window"]?["until_unix_nano"]
        {
            result.window = ReportWindow(fromUnixNano: from, untilUnixNano: until, condition: manifest["window"]?["where"]?.text)
        }
        guard let report, let value = try? JSONValue.parse(report[...]), case .integer(let code)? = value["exit_code"],
            case .array(let gates)? = value["sections"]?["gates"]?["rows"]
        else {
            result.faults.append("\(reportName): it is missing or no report")
            return
        }
        let verdict = ReportDocument.Verdict.worst(gates.map(verdict))
        result.verdict = verdict
        if verdict.rawValue != Int(code) || manifest["verdict"]?.text != verdict.word {
            result.faults.append("\(reportName): its figures give '\(verdict.word)', which is not the verdict that it states")
        }
    }

    /// One gate judged again by its figures.
    private static func verdict(_ gate: JSONValue) -> ReportDocument.Verdict {
        guard let limit = gate["limit"]?.number else { return .passed }
        if gate["result"]?.text == GateReport.Gate.Outcome.integrity.rawValue { return .integrity }
        let name = gate["gate"]?.text
        guard let value = gate["value"]?.number else { return .insufficient }
        if name == ContractReport.headroomName { return value >= limit ? .passed : .failed }
        if name == "soak_hours" || name == GateReport.runsName { return value >= limit ? .passed : .insufficient }
        if name == "p95_latency_ms", (gate["n"]?.number ?? 0) < Double(OrderStatistics.p95CountMin) { return .insufficient }
        if name == "lost_spans", gate["result"]?.text?.hasPrefix("fail") == true { return .failed }
        return value <= limit ? .passed : .failed
    }
}
