/// Which log records are calls, read from `schemas/columns/events.txt`.
package struct LogCallTable: Sendable {
    enum Condition: Equatable, Sendable {
        case scope(prefix: String)
        case attribute(key: String, value: String)
        case present(key: String)
        case other(key: String, value: String)
    }

    /// An attribute that the span gets beside the record's own.
    enum Extra: Equatable, Sendable {
        case set(key: String, text: String)
        case copy(key: String, from: [String])
        case sum(key: String, from: [String])
    }

    enum Failure: Equatable, Sendable {
        case never
        case always
        case attribute(key: String, value: String)
    }

    /// What records of an event become.
    struct Event: Equatable, Sendable {
        var conditions: [Condition] = []
        var extras: [Extra] = []
        var durationKey: String?
        var failure = Failure.never
        var messageKeys: [String] = []
        var knowsBetter = false
    }

    /// Attributes that name the conversation and its part, the first that is there.
    private(set) var sessionKeys: [String] = []
    private(set) var turnKeys: [String] = []
    /// By name, in the order of the file.
    private(set) var events: [String: [Event]] = [:]
    /// The names, found by the bytes of one.
    private(set) var names = ColumnTexts()

    /// The table that is built into the binary.
    package static let standard: LogCallTable = {
        do {
            return try LogCallTable(text: String(decoding: PackageResources.events_txt, as: UTF8.self))
        } catch {
            // The file is compiled in and a test reads it whole; without it log records are log records alone.
            assertionFailure("events.txt: \(error)")
            return LogCallTable()
        }
    }()

    private init() {}

    /// Reads a table in the format that the head of `events.txt` tells.
    package init(text: String) throws(ColumnTable.ParseError) {
        var current: (names: [String], event: Event)?
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = ColumnTable.words(line)
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            let arguments = Array(words.dropFirst())
            switch first {
            case "session": sessionKeys += arguments
            case "turn": turnKeys += arguments
            case "event":
                add(current)
                guard let event = Self.event(arguments) else {
                    throw ColumnTable.ParseError(line: index + 1, message: "no names, or not a condition")
                }
                current = event
            default:
                guard current?.event.read(first, arguments) == true else {
                    throw ColumnTable.ParseError(line: index + 1, message: "not a line of an event")
                }
            }
        }
        add(current)
    }

    private mutating func add(_ entry: (names: [String], event: Event)?) {
        guard let entry else { return }
        for name in entry.names {
            if events[name] == nil { names.add(name, meaning: name) }
            events[name, default: []].append(entry.event)
        }
    }

    private static func event(_ words: [String]) -> (names: [String], event: Event)? {
        let split = words.firstIndex(of: "if") ?? words.endIndex
        guard split > 0 else { return nil }
        var event = Event()
        for word in words[split...].dropFirst() {
            guard let condition = condition(word) else { return nil }
            event.conditions.append(condition)
        }
        return (Array(words[..<split]), event)
    }

    private static func condition(_ word: String) -> Condition? {
        if word.hasPrefix("scope:") { return .scope(prefix: String(word.dropFirst("scope:".count))) }
        if word.hasSuffix("=*") { return .present(key: String(word.dropLast(2))) }
        for sign in ["!=", "="] {
            guard let range = word.firstRange(of: sign) else { continue }
            let (key, value) = (String(word[..<range.lowerBound]), String(word[range.upperBound...]))
            return sign == "=" ? .attribute(key: key, value: value) : .other(key: key, value: value)
        }
        return nil
    }
}

extension LogCallTable.Event {
    /// Reads a line of the event; `false` when it is none.
    mutating func read(_ kind: String, _ arguments: [String]) -> Bool {
        switch (kind, arguments.count) {
        case ("set", 2): extras.append(.set(key: arguments[0], text: arguments[1]))
        case ("copy", 2...): extras.append(.copy(key: arguments[0], from: Array(arguments.dropFirst())))
        case ("sum", 3...): extras.append(.sum(key: arguments[0], from: Array(arguments.dropFirst())))
        case ("duration", 1): durationKey = arguments[0]
        case ("failed", 1) where arguments[0] == "always": failure = .always
        case ("failed", 1):
            guard let range = arguments[0].firstRange(of: "=") else { return false }
            failure = .attribute(
                key: String(arguments[0][..<range.lowerBound]), value: String(arguments[0][range.upperBound...]))
        case ("message", 1...): messageKeys = arguments
        case ("better", 0): knowsBetter = true
        default: return false
        }
        return true
    }
}
