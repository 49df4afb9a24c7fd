import ClickHouse
import Forwarding
import OTLP

/// Reads what only a target of kind clickhouse has.
enum ClickHouseReader {
    static let known = "database, table, logs_table, views, user, password_file, auth, batch_rows, batch_bytes, batch_age_s"
    private static let userBytesMax = 200

    /// Reads the kind of a target, and what follows from it where nothing else is said.
    static func read(_ kind: SettingEntry, into target: inout ForwardTargetPlan) throws(ConfigurationError) {
        switch try kind.text() {
        case "otlp": break
        case "clickhouse":
            target.kind = .clickHouse(ClickHousePlan())
            target.compression = .zstd
            target.batchCount = 50_000
            target.batchBytes = 32 << 20
            target.batchAgeNanoseconds = 5_000_000_000
        case let other: throw kind.error("is '\(other)', but the kinds of targets are otlp and clickhouse")
        }
    }

    /// Whether an entry is one of these, which it then reads.
    static func read(
        _ part: SettingEntry, name: String, into target: inout ForwardTargetPlan
    ) throws(ConfigurationError) -> Bool {
        guard case .clickHouse(var plan) = target.kind else { return false }
        switch name {
        case "database": plan.database = try self.name(part)
        case "table": plan.tracesTable = try self.name(part)
        case "logs_table": plan.logsTable = try self.name(part)
        case "views": plan.views = try self.name(part)
        case "user": plan.user = try user(part)
        case "password_file": plan.passwordFile = try part.text()
        case "auth":
            let text = try part.text()
            guard let known = ClickHousePlan.Authentication(rawValue: text) else {
                throw part.error(
                    "is '\(text)', but must be \(ClickHousePlan.Authentication.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            plan.authentication = known
        case "batch_rows": target.batchCount = try part.integer(1...1_000_000)
        case "batch_bytes": target.batchBytes = try part.integer((64 << 10)...(128 << 20))
        case "batch_age_s": target.batchAgeNanoseconds = Int64(try part.number(0.001...3_600) * 1e9)
        default: return false
        }
        target.kind = .clickHouse(plan)
        return true
    }

    /// What parts of a target say together.
    static func check(_ target: ForwardTargetPlan, _ entry: SettingEntry) throws(ConfigurationError) {
        guard case .clickHouse(let plan) = target.kind else {
            // Two receivers of OTLP are two targets: what one has the other lacks.
            guard target.otherEndpoints.isEmpty else {
                throw entry.error("has several endpoints, which only a target of kind clickhouse may have")
            }
            return
        }
        if plan.passwordFile != nil && target.tokenFile != nil {
            throw entry.error("has a password_file and a token_file: one of them is enough")
        }
        if plan.authentication == .bearer ? target.tokenFile == nil : target.tokenFile != nil {
            throw entry.error("needs auth: bearer and a token_file together, or neither")
        }
        let own = ["authorization", "x-clickhouse-user", "x-clickhouse-key", "x-clickhouse-database"]
        if let header = target.headers.first(where: { own.contains($0.name.lowercased()) }) {
            throw entry.error("has the header \(header.name), for which there are user, password_file and database")
        }
    }

    private static func name(_ entry: SettingEntry) throws(ConfigurationError) -> String {
        let text = try entry.text()
        guard ClickHouseTable.isName(text) else { throw entry.error("takes letters, digits and _, not '\(text)'") }
        return text
    }

    /// A user goes into a header, or in front of a colon.
    private static func user(_ entry: SettingEntry) throws(ConfigurationError) -> String {
        let text = try entry.text()
        guard !text.isEmpty, text.utf8.count <= userBytesMax, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x3A })
        else {
            throw entry.error("must be printable ASCII without spaces and colons")
        }
        return text
    }
}
