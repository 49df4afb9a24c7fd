import ArgumentParser
import Queries
import TelemetryModel

/// A moment on the command line, in any form of `MomentText`.
struct TimeArgument: Equatable, CustomStringConvertible {
    private let text: MomentText

    /// For `@Option(transform:)`, which shows the words of what is thrown.
    init(_ argument: String) throws {
        do {
            text = try MomentText(argument)
        } catch {
            throw ValidationError(error.message)
        }
    }

    var description: String { text.description }

    /// Nanoseconds since 1970.
    func unixNano(nowUnixNano: Int64) -> Int64 { text.unixNano(nowUnixNano: nowUnixNano) }

    /// From `since` up to `until`, that one left out; an end that is not given is open.
    static func window(since: TimeArgument?, until: TimeArgument?, nowUnixNano now: Int64) throws -> TimeWindow {
        let window = TimeWindow(from: since?.unixNano(nowUnixNano: now) ?? .min, to: until?.unixNano(nowUnixNano: now) ?? .max)
        guard window.from < window.to else { throw CommandFailure(.usage, "--since must be before --until") }
        return window
    }
}
