import ArgumentParser
import Derivations
import Fleet
import FuseboxConfiguration
import Queries
import SpanStore
import TelemetryModel

/// Which spans, for the commands that list them.
struct SpanFilterOptions: ParsableArguments {
    @Option(help: "Only spans of this service.")
    var service: String?

    @Option(help: "Only spans of this workflow.")
    var workflow: String?

    @Option(help: "Only calls of this tool, or of this stage where no tool is named.")
    var tool: String?

    @Option(help: "Only calls of this model.")
    var model: String?

    @Option(help: "ok, error, timeout or rejected.")
    var outcome: Outcome?

    @Option(help: "error or ok.")
    var status: SpanCriteria.Status?

    @Option(help: "Only spans of this session.")
    var session: String?

    @Option(help: "Only spans of this user.")
    var user: String?

    @Option(help: "Only spans of this name.")
    var name: String?

    @Option(help: "Only spans with this attribute: key=value, or key!=value for those without; may be given more than once.")
    var attribute: [String] = []

    @Option(name: .shortAndLong, help: "Text in a span's name, status message or attributes.")
    var query: String?

    var criteria: SpanCriteria {
        get throws {
            var criteria = plain
            guard attribute.count <= SpanCriteria.attributesMax else {
                throw CommandFailure(.usage, "at most \(SpanCriteria.attributesMax) conditions on attributes")
            }
            for text in attribute {
                guard let condition = SpanCriteria.Attribute(text) else {
                    throw CommandFailure(.usage, "--attribute takes key=value or key!=value, not '\(Terminal.escaped(text))'")
                }
                criteria.attributes.append(condition)
            }
            return criteria
        }
    }

    private var plain: SpanCriteria {
        var criteria = SpanCriteria()
        criteria.service = service
        criteria.name = name
        criteria.workflow = workflow
        criteria.tool = tool
        criteria.model = model
        criteria.outcome = outcome?.rawValue
        criteria.status = status
        criteria.session = session
        criteria.user = user
        criteria.text = query
        return criteria
    }
}

extension SpanCriteria.Status: ExpressibleByArgument {}
extension Outcome: ExpressibleByArgument {}

/// What a command asks: the data file, or an engine.
struct StoreQuestions {
    private enum Source {
        case reader(QueryReader)
        case fleet(FleetSpans)
    }

    /// Seconds that an engine may take for the spans of a question.
    private static let engineSecondsMax = 120

    private let source: Source

    init(_ common: CommonOptions, _ engine: EngineOptions? = nil) throws {
        let configuration = try common.configuration()
        do {
            if let fleet = try engine?.fleet(configuration) {
                source = .fleet(fleet)
            } else {
                source = .reader(try QueryReader(folder: StoreFolder(path: configuration.dataFolder)))
            }
        } catch let error as StoreError {
            throw error.failure
        }
    }

    /// - Parameter need: which spans are read.
    func ask<Value>(of need: SpanNeed = .node, _ body: (QueryReader) throws -> Value) throws -> Value {
        do {
            switch source {
            case .reader(let reader): return try body(reader)
            case .fleet(let fleet):
                let (folder, held) = try fleet.folder(of: need, seconds: Self.engineSecondsMax)
                return try withExtendedLifetime(held) { try body(try QueryReader(folder: folder)) }
            }
        } catch let error as QueryError {
            throw error.failure
        } catch let error as StoreError {
            throw error.failure
        }
    }
}

extension QueryError {
    /// The failure that a command ends with.
    var failure: CommandFailure {
        switch self {
        case .store(let error): error.failure
        case .invalid, .notFound, .tooLong, .tooLarge, .forbidden, .notHere, .unavailable, .busy, .gaveWay: CommandFailure(.failed, message)
        }
    }
}

extension QueryValue {
    /// The value for `SQLRowWriter`.
    var sqlValue: SQLValue {
        switch self {
        case .null: .null
        case .integer(let value): .integer(value)
        case .double(let value): .double(value)
        case .text(let text): .text(text)
        case .blob(let bytes): .blob(bytes)
        }
    }
}
