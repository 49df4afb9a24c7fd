import TelemetryModel

/// Reads a stream of server-sent events, or of lines, as it goes by: which bytes hold tokens, whether it ended properly, and what it told.
package struct EventStreamReader: Sendable {
    /// Bytes of one event that are kept to be read. A longer one goes by unread, and counts as a token.
    package static let eventBytesMax = 1 << 20

    /// What some bytes of the stream brought.
    package struct Passed: Equatable, Sendable {
        /// What goes to the client.
        package var bytes: [UInt8]
        package var hasToken = false

        package init(bytes: [UInt8]) {
            self.bytes = bytes
        }
    }

    package private(set) var facts = AnswerFacts()
    /// Its proper end came: `data: [DONE]`, or what a dialect has in its place.
    package private(set) var isDone = false
    /// What the stream said of its own failure.
    package private(set) var failure: String?

    /// Whether an event with token counts and nothing else is taken out, since the client did not ask for it.
    private let removesUsage: Bool
    private let dialect: Dialect
    /// The event that is coming in: as it came, if it may have to be taken out, and its data.
    private var held: [UInt8] = []
    private var data: [UInt8] = []
    private var line: [UInt8] = []
    private var lineHasContent = false
    private var isTooLong = false

    package init(removesUsage: Bool, _ dialect: Dialect = .openAI) {
        self.removesUsage = removesUsage
        self.dialect = dialect
    }

    /// Takes in what came. Events go on whole when one may have to be taken out, otherwise the bytes as they are.
    package mutating func read(_ bytes: [UInt8]) -> Passed {
        var passed = Passed(bytes: removesUsage ? [] : bytes)
        var start = 0
        while start < bytes.count {
            let newline = bytes[start...].firstIndex(of: UInt8(ascii: "\n"))
            let end = newline.map { $0 + 1 } ?? bytes.count
            append(bytes[start..<end], &passed)
            if newline != nil { endLine(&passed) }
            start = end
        }
        return passed
    }

    /// The stream is over: what was held back of an event that never ended.
    package mutating func finish() -> [UInt8] {
        // The last line may have no end.
        if dialect == .ollama, !line.isEmpty {
            var passed = Passed(bytes: [])
            endLine(&passed)
        }
        defer { held = [] }
        return held
    }

    private mutating func append(_ piece: ArraySlice<UInt8>, _ passed: inout Passed) {
        if !isTooLong && line.count + data.count + piece.count > Self.eventBytesMax {
            isTooLong = true
            passed.bytes += held
            held = []
            line = []
            data = []
        }
        if !lineHasContent { lineHasContent = piece.contains { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") } }
        guard !isTooLong else {
            if removesUsage { passed.bytes += piece }
            return
        }
        line += piece
        if removesUsage { held += piece }
    }

    private mutating func endLine(_ passed: inout Passed) {
        defer {
            line.removeAll(keepingCapacity: true)
            lineHasContent = false
        }
        if dialect == .ollama {
            data = isTooLong ? [] : line
            return endEvent(&passed)
        }
        guard lineHasContent else { return endEvent(&passed) }
        let prefix = Array("data:".utf8)
        guard !isTooLong, line.starts(with: prefix) else { return }
        if !data.isEmpty { data.append(UInt8(ascii: "\n")) }
        data += line.dropFirst(prefix.count)
        while let last = data.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { data.removeLast() }
    }

    private mutating func endEvent(_ passed: inout Passed) {
        var isRemoved = false
        if isTooLong {
            passed.hasToken = true
        } else if !data.isEmpty {
            isRemoved = readData(&passed) && removesUsage
        }
        if !isRemoved { passed.bytes += held }
        held.removeAll(keepingCapacity: true)
        data.removeAll(keepingCapacity: true)
        isTooLong = false
    }

    /// Says whether the event holds token counts and nothing else.
    private mutating func readData(_ passed: inout Passed) -> Bool {
        if data.drop(while: { $0 == UInt8(ascii: " ") }).elementsEqual("[DONE]".utf8) {
            isDone = true
            return false
        }
        // What is no JSON is the client's to judge.
        guard let value = try? JSONValue.parse(data[...]) else { return false }
        if let error = value["error"], error != .null {
            failure = failure ?? String((error["message"]?.text ?? error.text ?? "the stream told of an error").prefix(256))
        }
        switch dialect {
        case .openAI: break
        case .ollama: if value["done"] == .bool(true) { isDone = true }
        case .anthropic: if value["type"] == .string("message_stop") { isDone = true }
        }
        if facts.take(value, dialect) { passed.hasToken = true }
        return value["choices"] == .array([]) && value["usage"] != nil && value["usage"] != .null
    }
}
