import ArgumentParser
import FuseboxConfiguration
import Queries
import SpanStore

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
    var outcome: String?

    @Option(help: "error or ok.")
    var status: SpanCriteria.Status?

    @Option(help: "Only spans of this session.")
    var session: String?

    @Option(name: .shortAndLong, help: "Text in a span's name, status message or attributes.")
    var query: String?

    var criteria: SpanCriteria {
        var criteria = SpanCriteria()
        criteria.service = service
        criteria.workflow = workflow
        criteria.tool = tool
        criteria.model = model
        criteria.outcome = outcome
        criteria.status = status
        criteria.session = session
        criteria.text = query
        return criteria
    }
}

extension SpanCriteria.Status: ExpressibleByArgument {}

/// The store, opened for a command's questions.
struct StoreQuestions {
    let reader: QueryReader

    init(_ common: CommonOptions) throws {
        do {
            reader = try QueryReader(folder: StoreFolder(path: try common.configuration().dataFolder))
        } catch let error as StoreError {
            throw error.failure
        }
    }

    func ask<Value>(_ body: (QueryReader) throws -> Value) throws -> Value {
        do {
            return try body(reader)
        } catch let error as QueryError {
            switch error {
            case .store(let error): throw error.failure
            case .invalid, .notFound, .tooLong, .tooLarge, .busy: throw CommandFailure(.failed, error.message)
            }
        }
    }
}

/// A time before now, such as `15m` or `7d`.
struct Age: ExpressibleByArgument {
    let nanoseconds: Int64

    init?(argument: String) {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let unit = argument.last.flatMap({ units[$0] }), let count = Int64(argument.dropLast()),
            (1...1_000_000).contains(count)
        else { return nil }
        nanoseconds = count * unit * 1_000_000_000
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
