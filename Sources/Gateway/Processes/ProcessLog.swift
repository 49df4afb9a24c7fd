import FuseboxHTTP
import GatewayRules
import Ingest
import Logging
import OTLP
import TelemetryModel

/// What happens to processes, and the last of what they wrote, as log records of the store.
final class ProcessLog: Sendable {
    /// Requests that wait for the store; older ones give way.
    private static let waitingMax = 256
    private static let attemptsMax = 30
    private static let pause = Duration.seconds(1)

    private let pipeline: ExportPipeline
    private let settings: GatewaySettings
    private let unixNano: @Sendable () -> Int64
    private let logger: Logger
    private let requests: AsyncStream<[UInt8]>
    private let arrived: AsyncStream<[UInt8]>.Continuation

    init(_ settings: GatewaySettings, pipeline: ExportPipeline, sources: GatewaySources, logger: Logger) {
        self.settings = settings
        self.pipeline = pipeline
        unixNano = sources.unixNano
        self.logger = logger
        (requests, arrived) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.waitingMax))
    }

    /// Tells of a change.
    func tell(_ event: SupervisionEvent, backend: String, pid: Int64?) {
        var attributes: [JSONValue] = [Self.attribute("breaker.id", .string(backend))]
        if let pid { attributes.append(Self.attribute("process.pid", .integer(pid))) }
        if let reason = event.reason { attributes.append(Self.attribute("fusebox.reason", .string(reason.rawValue))) }
        let record: JSONValue = [
            "timeUnixNano": .string("\(unixNano())"), "severityNumber": .integer(event.severity.number),
            "severityText": .string(event.severity.text), "eventName": .string("fusebox.gateway.backend.\(event.name)"),
            "body": ["stringValue": .string("backend \(backend): \(event.text)")], "attributes": .array(attributes),
        ]
        send([record])
        if event.severity.number > 9 { logger.warning("the gateway's backend \(backend): \(event.text)") }
    }

    /// Keeps the last of what a process wrote, a record a line.
    func keep(output: [UInt8], backend: String, pid: Int64?) {
        guard !output.isEmpty else { return }
        var time = unixNano()
        var attributes: [JSONValue] = [
            Self.attribute("breaker.id", .string(backend)), Self.attribute("log.iostream", "stdout"),
        ]
        if let pid { attributes.append(Self.attribute("process.pid", .integer(pid))) }
        let records = output.split(separator: UInt8(ascii: "\n")).map { line -> JSONValue in
            // Their order is that of their times.
            time &+= 1
            return [
                "timeUnixNano": .string("\(time)"), "severityNumber": .integer(9), "severityText": "INFO",
                "eventName": "fusebox.gateway.backend.output",
                "body": ["stringValue": .string(String(decoding: line, as: UTF8.self))], "attributes": .array(attributes),
            ]
        }
        send(records)
    }

    private func send(_ records: [JSONValue]) {
        let request: JSONValue = [
            "resourceLogs": [
                [
                    "resource": [
                        "attributes": [
                            Self.attribute("service.name", .string(settings.serviceName)),
                            Self.attribute("service.version", .string(settings.versionText)),
                        ]
                    ],
                    "scopeLogs": [["scope": ["name": "fusebox.gateway"], "logRecords": .array(records)]],
                ]
            ]
        ]
        arrived.yield(Array(request.line.utf8))
    }

    private static func attribute(_ key: String, _ value: JSONValue) -> JSONValue {
        if case .integer(let number) = value { return ["key": .string(key), "value": ["intValue": .string("\(number)")]] }
        return ["key": .string(key), "value": ["stringValue": value]]
    }

    /// Nothing more comes: `run` ends when all is stored.
    func close() { arrived.finish() }

    /// Stores what comes until `close`, or until its task is cancelled.
    func run() async {
        for await request in requests {
            for attempt in 1...Self.attemptsMax {
                do {
                    try await pipeline.export(ownLogs: request)
                    break
                } catch {
                    if attempt == Self.attemptsMax || Task.isCancelled {
                        logger.warning("log records of a backend could not be stored: \(error)")
                        break
                    }
                    try? await Task.sleep(for: Self.pause)
                }
            }
        }
    }
}

extension SupervisionEvent {
    fileprivate var name: String {
        switch self {
        case .starting: "starting"
        case .adopted: "adopted"
        case .ready: "ready"
        case .suspect: "suspect"
        case .ending: "ending"
        case .ended: "ended"
        case .noMemory: "no_memory"
        case .retries: "backoff"
        case .stopped: "stopped"
        }
    }

    fileprivate var reason: EndReason? {
        switch self {
        case .ending(let reason), .ended(let reason, _): reason
        default: nil
        }
    }

    fileprivate var severity: (number: Int64, text: String) {
        switch self {
        case .starting, .adopted, .ready, .stopped, .ending(.asked), .ended(.asked, _): (9, "INFO")
        case .suspect, .ending, .retries: (13, "WARN")
        case .ended, .noMemory: (17, "ERROR")
        }
    }

    /// In words.
    var text: String {
        switch self {
        case .starting: "its process is started"
        case .adopted: "its process runs already, and is looked after again"
        case .ready: "its process is ready"
        case .suspect(let why): "its process may be hung: \(why)"
        case .ending(let reason): "its process is ended: \(reason.text)"
        case .ended(let reason, let words): "its process is gone (\(reason.text)): \(words)"
        case .noMemory: "its process is not started: there is not enough memory (gateway.headroom_ratio)"
        case .retries(let delay, let failures):
            "it is started again in \((Double(delay) / 1e8).rounded() / 10) s, after \(failures) starts that came to nothing"
        case .stopped: "it is stopped until `fusebox gateway start`"
        }
    }
}

extension EndReason {
    /// In words.
    var text: String {
        switch self {
        case .exited: "it ended by itself"
        case .startTimeout: "its start showed no progress"
        case .portConflict: "somebody else took its port"
        case .unresponsive: "it answered nothing"
        case .stalled: "its calls did not get on"
        case .hung: "it gave no token"
        case .asked: "as asked"
        }
    }
}
