package import ClickHouse
import OTLP
import OutboundHTTP
package import SpanStore
import TelemetryModel

/// ClickHouse over HTTP: blocks in the format `Native`, one of each day, into tables that are keyed by identity.
///
/// An insert whose answer was lost is made again: of the same ordinals it is the same bytes, and rows that are there already are the same
/// rows by their keys. So nothing has to be remembered on either side.
final class ClickHouseDialect: ForwardDialect {
    private let plan: ForwardTargetPlan
    private let database: ClickHousePlan
    private let node: String
    private let report: @Sendable (String) -> Void
    private var surveys: [ForwardSignal: ClickHouseSurvey] = [:]
    private var told: Set<String> = []

    init(_ plan: ForwardTargetPlan, _ database: ClickHousePlan, node: String, report: @escaping @Sendable (String) -> Void) {
        self.plan = plan
        self.database = database
        self.node = node
        self.report = report
    }

    private func table(_ signal: ForwardSignal) -> ClickHouseTable { database.table(signal) }

    /// Columns that tell rows apart: without them in the table's key rows would replace each other.
    private static func identity(_ signal: ForwardSignal) -> [String] {
        signal == .traces ? ["TraceId", "SpanId"] : [ClickHouseColumns.node, ClickHouseColumns.ordinal]
    }

    var derivedColumns: [String] { ClickHouseColumns.derived.map(\.name) }

    func countAtOnce(_ run: OrdinalRun<SpanBatch>) -> Int? {
        BlockDays.countOfFewDays(run.batch.spans.lazy.map(\.startTimeUnixNano))
    }

    func countAtOnce(_ run: OrdinalRun<LogBatch>) -> Int? {
        BlockDays.countOfFewDays(LogBlocks.times(run.batch, received: run.receivedTimesUnixNano))
    }

    // MARK: What there is

    func hasQuestion(_ signal: ForwardSignal) -> Bool { surveys[signal] == nil }

    func question(_ signal: ForwardSignal, credential: String?) -> OutboundRequest? {
        guard hasQuestion(signal) else { return nil }
        return OutboundRequest(
            path: ClickHouseQuery.survey(of: table(signal)), headers: headers(credential), body: [],
            timeoutNanoseconds: ForwardTimeout.nanoseconds(bytes: 0))
    }

    func learn(_ answer: OutboundAnswer, _ signal: ForwardSignal, nowUnixNano: Int64) -> DeliveryAnswer? {
        guard (200...299).contains(answer.status), ClickHouseAnswer.isOfClickHouse(answer), !ClickHouseAnswer.hasError(answer)
        else {
            return ClickHouseAnswer.read(answer, nowUnixNano: nowUnixNano)
        }
        guard let survey = ClickHouseSurvey(answer.body) else {
            return .later(code: answer.status, afterNanoseconds: nil, message: "the answer about the table cannot be read")
        }
        if let objection = survey.objection(table(signal), identity: Self.identity(signal)) {
            return .misdirected(code: answer.status, message: objection)
        }
        surveys[signal] = survey
        return nil
    }

    // MARK: What is sent

    func cargo(_ run: OrdinalRun<SpanBatch>) -> Cargo {
        let blocks = SpanBlocks(
            run.batch, ordinals: run.places, received: run.receivedTimesUnixNano, derived: run.derived, node: node)
        let first = run.batch.spans.first.flatMap { span in
            run.places.first.map { ($0, Optional(span.traceID), Optional(span.spanID)) }
        }
        return Cargo(
            ordinals: run.ordinals, missing: run.missing, count: run.batch.spans.count,
            parts: parts(blocks.blocks(wanted: surveys[.traces]?.columns)), first: first,
            oldestReceivedUnixNano: run.receivedTimesUnixNano.min())
    }

    func cargo(_ run: OrdinalRun<LogBatch>) -> Cargo {
        let blocks = LogBlocks(run.batch, ordinals: run.places, received: run.receivedTimesUnixNano, node: node)
        return Cargo(
            ordinals: run.ordinals, missing: run.missing, count: run.batch.records.count,
            parts: parts(blocks.blocks(wanted: surveys[.logs]?.columns)), first: Cargo.first(run),
            oldestReceivedUnixNano: run.receivedTimesUnixNano.min())
    }

    private func parts(_ blocks: [DayBlock]) -> [Cargo.Part] {
        blocks.map { Cargo.Part(body: $0.bytes, label: "\($0.day)", columns: $0.columns) }
    }

    func request(_ cargo: Cargo, part: Int, _ signal: ForwardSignal, credential: String?) -> OutboundRequest? {
        let content = cargo.parts[part]
        guard let body = Compression.compress(content.body, plan.compression) else { return nil }
        let survey = surveys[signal]
        tell(signal, missing: survey?.columns)
        var headers = headers(credential)
        headers.append((name: "Content-Type", value: "application/octet-stream"))
        if plan.compression != .identity { headers.append((name: "Content-Encoding", value: plan.compression.rawValue)) }
        let id = "fusebox-\(node)-\(signal.rawValue)-\(cargo.ordinals.lowerBound)-\(cargo.ordinals.upperBound)-\(content.label)"
        return OutboundRequest(
            path: ClickHouseQuery.insert(
                into: table(signal), columns: content.columns, knownSettings: survey?.settings ?? [], id: id),
            headers: headers, body: body, timeoutNanoseconds: ForwardTimeout.nanoseconds(bytes: body.count))
    }

    /// Says once which of our columns the table lacks.
    private func tell(_ signal: ForwardSignal, missing columns: Set<String>?) {
        guard signal == .traces, let columns else { return }
        let own =
            ClickHouseColumns.derived.map(\.name) + [
                ClickHouseColumns.node, ClickHouseColumns.ordinal, ClickHouseColumns.received,
            ]
        let missing = own.filter { !columns.contains($0) }
        guard !missing.isEmpty else { return }
        let line =
            "forward: \(plan.name) has no columns \(missing.joined(separator: ", ")) in \(table(signal).name); the others go"
        if told.insert(line).inserted { report(line) }
    }

    private func headers(_ credential: String?) -> [(name: String, value: String)] {
        database.headers(credential) + plan.headers.map { (name: $0.name, value: $0.value) }
    }

    func read(_ answer: OutboundAnswer, _ signal: ForwardSignal, nowUnixNano: Int64) -> DeliveryAnswer {
        let read = ClickHouseAnswer.read(answer, nowUnixNano: nowUnixNano)
        // The table is another one than it was: it is looked at again.
        if case .misdirected = read { surveys[signal] = nil }
        return read
    }
}

extension ClickHousePlan {
    package func table(_ signal: ForwardSignal) -> ClickHouseTable {
        ClickHouseTable(database: database, table: signal == .traces ? tracesTable : logsTable)
    }

    /// Who we are.
    func headers(_ credential: String?) -> [(name: String, value: String)] {
        var headers = [(name: "User-Agent", value: "fusebox")]
        let user = user ?? "default"
        switch authentication {
        case .headers:
            headers.append((name: "X-ClickHouse-User", value: user))
            if let credential { headers.append((name: "X-ClickHouse-Key", value: credential)) }
        case .basic:
            var text = JSONWriter()
            text.base64(Array("\(user):\(credential ?? "")".utf8)[...])
            let encoded = String(decoding: text.bytes.dropFirst().dropLast(), as: UTF8.self)
            headers.append((name: "Authorization", value: "Basic \(encoded)"))
        case .bearer:
            if let credential { headers.append((name: "Authorization", value: "Bearer \(credential)")) }
        }
        return headers
    }
}

extension ForwardTargetPlan {
    /// The file of what is sent to say who we are.
    var credentialFile: TokenFile? {
        if case .clickHouse(let database) = kind, let path = database.passwordFile {
            return TokenFile(path: path, content: .password)
        }
        return tokenFile.map { TokenFile(path: $0) }
    }
}
