import ArgumentParser
import Reports
import TelemetryModel

/// Bytes of links, for the commands that count dollars.
struct EgressOptions: ParsableArguments {
    @Option(help: "Bytes that went over a link in the window, as link=bytes; once for each link.")
    var egress: [String] = []

    func validate() throws {
        var links: Set<String> = []
        for text in egress {
            guard let (link, _) = Self.link(text) else {
                throw ValidationError("--egress takes link=bytes with a whole number of bytes, such as eth0=5000000000, not '\(text)'")
            }
            guard links.insert(link).inserted else { throw ValidationError("--egress gives bytes of the link '\(link)' twice") }
        }
    }

    /// Bytes by link.
    ///
    /// - Parameter reader: has the prices; a link without one would silently cost nothing.
    func bytes(_ reader: ReportReader) throws -> [String: Int64] {
        let links = Dictionary(egress.compactMap(Self.link), uniquingKeysWith: { $1 })
        guard !links.isEmpty else { return [:] }
        let priced: [String]
        do throws(ReportReader.Failure) {
            priced = try CostReport(reader).prices().links.map(\.link)
        } catch {
            throw error.failure
        }
        if let link = links.keys.sorted().first(where: { !priced.contains($0) }) {
            let known = priced.isEmpty ? "no link has one" : "links with one: \(priced.joined(separator: ", "))"
            throw CommandFailure(
                .usage, "--egress names the link '\(link)', which has no price; give it one under egress in prices.yaml (\(known))")
        }
        return links
    }

    private static func link(_ text: String) -> (String, Int64)? {
        let sides = text.split(separator: "=", maxSplits: 1)
        guard sides.count == 2, let bytes = Int64(sides[1]), bytes >= 0 else { return nil }
        return (String(sides[0]), bytes)
    }
}
