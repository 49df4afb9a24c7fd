/// The three patterns of metrics.md 2.2, written out by hand: a regular expression engine is too slow to run on every error.
/// Case is ignored for ASCII letters. The tests hold each against its regular expression.
enum ErrorPatterns {
    /// `(time[d]?[ _-]?out|deadline[ _-]?exceeded|etimedout)([ _-]?(error|exception|expired))?('>)?$`
    static func isTimeoutType(_ text: String) -> Bool {
        var stem = SuffixReader(text)
        // Python's text of a class: `<class 'TimeoutError'>`.
        _ = stem.take("'>")
        if endsInTimeout(stem) { return true }
        guard stem.take("error") || stem.take("exception") || stem.take("expired") else { return false }
        stem.takeSeparator()
        return endsInTimeout(stem)
    }

    /// `(circuit[ _-]?(breaker[ _-]?)?(is[ _-]?)?open|breaker[ _-]?(is[ _-]?)?open|circuit[ _-]?breaker|broken[ _-]?circuit|`
    /// `call[ _-]?not[ _-]?permitted)([ _-]?(error|exception))?('>)?$`
    static func isRejectionType(_ text: String) -> Bool {
        var stem = SuffixReader(text)
        _ = stem.take("'>")
        if endsInRejection(stem) { return true }
        guard stem.take("error") || stem.take("exception") else { return false }
        stem.takeSeparator()
        return endsInRejection(stem)
    }

    /// Whether a failure without any type is a timeout, by its message's first `Limits.messageBytesMax` bytes:
    /// `timed[ _-]?out` or `deadline[ _-]?exceeded`, not as a field that is false; or `tellsOfWaiting`; or
    /// `^[\w.:]*timeout(error|exception|expired)?(:|$)`.
    static func isTimeoutMessage(_ text: String) -> Bool {
        let bytes = head(of: text[...])
        let isFound = bytes.indices.contains(where: { (position: Int) in
            guard let end = pair(bytes, position, "timed", "out") ?? pair(bytes, position, "deadline", "exceeded") else {
                return false
            }
            return !isDenied(bytes, position, end)
        })
        return isFound || tellsOfWaiting(bytes) || startsWithTimeoutType(text)
    }

    /// Whether a failure of another type is a timeout inside, by its message's first `Limits.messageBytesMax` bytes up to a
    /// stack trace. It must be what the span itself waited for: `^timed out`, or one of `waits` before `timed out`, perhaps with
    /// a name in quotes between; or `context deadline exceeded`; or `tellsOfWaiting`; or the text of an exception, as
    /// `^[\w.]*Timeout(Error|Exception|Expired)?[(:]`. That something upstream timed out, or how a timeout is set, is another
    /// failure.
    static func isNestedTimeoutMessage(_ text: String) -> Bool {
        let message = text.firstRange(of: "Traceback (most recent call last)").map { text[..<$0.lowerBound] } ?? text[...]
        let bytes = head(of: message)
        let isFound = bytes.indices.contains(where: { (position: Int) in
            if matches(bytes, position, "timed out") { return position == 0 || isWaited(bytes[..<position]) }
            return matches(bytes, position, "context deadline exceeded")
        })
        return isFound || tellsOfWaiting(bytes) || startsWithTimeoutException(message)
    }

    /// What a caller waits for itself.
    private static let waits = [
        "request", "read", "write", "connect", "connection", "operation", "call", "command", "execution", "query", "tool",
        "response",
    ].map { Array($0.utf8) }

    /// Whether a text ends in what was waited for: `request `, `Request 'tools/call' `.
    private static func isWaited(_ bytes: ArraySlice<UInt8>) -> Bool {
        var rest = bytes
        guard rest.popLast() == UInt8(ascii: " ") else { return false }
        if let quote = rest.last, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") {
            guard let opening = rest.dropLast().lastIndex(of: quote) else { return false }
            rest = rest[..<opening]
            guard rest.popLast() == UInt8(ascii: " ") else { return false }
        }
        let word = rest[(rest.lastIndex { !isWordByte($0) }.map { $0 + 1 } ?? rest.startIndex)...]
        return waits.contains { word.elementsEqual($0) }
    }

    private static func head(of text: Substring) -> [UInt8] {
        text.utf8.prefix(SpanDerivations.Limits.messageBytesMax).map(SuffixReader.lowered)
    }

    /// `time[ _-]?out (exceeded|expired|reached|elapsed)` or `due to (a )?time[ _-]?out`
    private static func tellsOfWaiting(_ bytes: [UInt8]) -> Bool {
        bytes.indices.contains(where: { (position: Int) in
            if let end = pair(bytes, position, "time", "out"), matches(bytes, end, " ") {
                return ["exceeded", "expired", "reached", "elapsed"].contains { matches(bytes, end + 1, $0) }
            }
            guard matches(bytes, position, "due to ") else { return false }
            let start = position + 7
            return pair(bytes, matches(bytes, start, "a ") ? start + 2 : start, "time", "out") != nil
        })
    }

    /// `timed_out=False`: a field of that name that says no.
    private static func isDenied(_ bytes: [UInt8], _ start: Int, _ end: Int) -> Bool {
        guard !bytes[start..<end].contains(UInt8(ascii: " ")) else { return false }
        var position = end
        let skip = { (characters: [UInt8]) in
            while position < bytes.count, characters.contains(bytes[position]) { position += 1 }
        }
        let quotes = [UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: " ")]
        skip(quotes)
        guard position < bytes.count, bytes[position] == UInt8(ascii: ":") || bytes[position] == UInt8(ascii: "=") else {
            return false
        }
        position += 1
        skip(quotes)
        return ["false", "none", "null", "no", "0"].contains { (word: StaticString) in
            guard matches(bytes, position, word) else { return false }
            let next = position + word.utf8CodeUnitCount
            return next == bytes.count || !isWordByte(bytes[next])
        }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            || byte == UInt8(ascii: "_") || byte >= 0x80
    }

    private static func endsInTimeout(_ reader: SuffixReader) -> Bool {
        var reader = reader
        if reader.take("out") {
            reader.takeSeparator()
            return reader.take("time") || reader.take("timed")
        }
        if reader.take("exceeded") {
            reader.takeSeparator()
            return reader.take("deadline")
        }
        return false
    }

    private static func endsInRejection(_ reader: SuffixReader) -> Bool {
        var reader = reader
        if reader.take("open") {
            reader.takeSeparator()
            if reader.take("is") { reader.takeSeparator() }
            return reader.take("circuit") || reader.take("breaker")
        }
        if reader.take("breaker") {
            reader.takeSeparator()
            return reader.take("circuit")
        }
        if reader.take("circuit") {
            reader.takeSeparator()
            return reader.take("broken")
        }
        guard reader.take("permitted") else { return false }
        reader.takeSeparator()
        guard reader.take("not") else { return false }
        reader.takeSeparator()
        return reader.take("call")
    }

    /// Where the two words end that stand at the position with at most one separator between them.
    private static func pair(_ bytes: [UInt8], _ position: Int, _ first: StaticString, _ second: StaticString) -> Int? {
        guard matches(bytes, position, first) else { return nil }
        var next = position + first.utf8CodeUnitCount
        if next < bytes.count, [UInt8(ascii: " "), UInt8(ascii: "_"), UInt8(ascii: "-")].contains(bytes[next]) { next += 1 }
        return matches(bytes, next, second) ? next + second.utf8CodeUnitCount : nil
    }

    private static func matches(_ bytes: [UInt8], _ position: Int, _ word: StaticString) -> Bool {
        guard position + word.utf8CodeUnitCount <= bytes.count else { return false }
        return word.withUTF8Buffer { letters in
            for index in 0..<letters.count where letters[index] != bytes[position + index] { return false }
            return true
        }
    }

    /// `^[\w.:]*timeout(error|exception|expired)?(:|$)`: some colon, or the end, is reached over word characters, dots and
    /// colons, and the type name ends before it.
    private static func startsWithTimeoutType(_ text: String) -> Bool {
        var passed: [UInt8] = []
        var count = 0
        for scalar in text.unicodeScalars {
            if scalar == ":" && endsInTimeoutWord(passed) { return true }
            count += UTF8.width(scalar)
            guard count <= SpanDerivations.Limits.messageBytesMax, isWord(scalar) || scalar == "." || scalar == ":" else {
                return false
            }
            passed.append(scalar.isASCII ? UInt8(truncatingIfNeeded: scalar.value) : 0x80)
        }
        return endsInTimeoutWord(passed)
    }

    /// The text of an exception: a class name that ends in Timeout, TimeoutError and the like, and what it was made with.
    private static func startsWithTimeoutException(_ text: some StringProtocol) -> Bool {
        var name: [UInt8] = []
        for byte in text.utf8 {
            let lowered = SuffixReader.lowered(byte)
            guard isWordByte(lowered) || byte == UInt8(ascii: ".") else {
                guard byte == UInt8(ascii: "(") || byte == UInt8(ascii: ":") else { return false }
                return isTimeoutClass(name, isCalled: byte == UInt8(ascii: "("))
            }
            name.append(byte)
            guard name.count <= SpanDerivations.Limits.patternBytesMax else { return false }
        }
        return false
    }

    private static func isTimeoutClass(_ name: [UInt8], isCalled: Bool) -> Bool {
        let word = "Timeout".utf8
        for ending in ["", "Error", "Exception", "Expired"] where name.reversed().starts(with: ending.utf8.reversed()) {
            let stem = name.dropLast(ending.utf8.count)
            guard stem.reversed().starts(with: word.reversed()) else { continue }
            // `Timeout: 30 is too small` is no exception; `ReadTimeout: …` and `litellm.Timeout: …` are.
            if isCalled || !ending.isEmpty || stem.count > word.count { return true }
        }
        return false
    }

    private static func endsInTimeoutWord(_ bytes: [UInt8]) -> Bool {
        var reader = SuffixReader(bytes.suffix(SpanDerivations.Limits.patternBytesMax))
        if reader.take("timeout") { return true }
        return (reader.take("error") || reader.take("exception") || reader.take("expired")) && reader.take("timeout")
    }

    private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            let byte = SuffixReader.lowered(UInt8(truncatingIfNeeded: scalar.value))
            return byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
                || byte == UInt8(ascii: "_")
        }
        return scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }
}
