/// A model server that is started here, and how it is looked after. Times are nanoseconds.
package struct ProcessPlan: Equatable, Sendable {
    /// What stands in the command for the port that the process is given.
    package static let portMark = "{port}"

    /// The program and its arguments, at least one of which holds `portMark`.
    package var command: [String]
    /// A start that shows no progress for so long is given up.
    package var startTimeoutNanoseconds: Int64 = 120_000_000_000
    /// A process that gives no sign of work for so long, while it has calls, is ended.
    package var stallNanoseconds: Int64 = 30_000_000_000
    /// Between being asked to end and being ended.
    package var stopTimeoutNanoseconds: Int64 = 10_000_000_000
    /// Memory that it will take; `nil`: as much as the files take that its command names.
    package var memoryBytes: Int64?

    package init(command: [String]) {
        self.command = command
    }

    /// The command with a port in it.
    package func command(port: Int) -> [String] {
        command.map { argument in
            var text = ""
            var rest = argument[...]
            while let found = rest.firstRange(of: Self.portMark) {
                text += rest[..<found.lowerBound] + "\(port)"
                rest = rest[found.upperBound...]
            }
            return text + rest
        }
    }
}
