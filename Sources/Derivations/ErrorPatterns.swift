/// The three patterns of metrics.md 2.2, written out by hand: a regular expression engine is too slow to run on every error.
/// Case is ignored for ASCII letters. The tests hold each against its regular expression.
enum ErrorPatterns {
    /// `(time[d]?[ _-]?out|deadline[ _-]?exceeded|etimedout)(error|exception|expired)?$`
    static func isTimeoutType(_ text: String) -> Bool {
        let whole = SuffixReader(text)
        if endsInTimeout(whole) { return true }
        var stem = whole
        return (stem.take("error") || stem.take("exception") || stem.take("expired")) && endsInTimeout(stem)
    }

    /// `(circuit[ _-]?(breaker[ _-]?)?(is[ _-]?)?open|breaker[ _-]?(is[ _-]?)?open|circuit[ _-]?breaker|broken[ _-]?circuit|`
    /// `call[ _-]?not[ _-]?permitted)(error|exception)?$`
    static func isRejectionType(_ text: String) -> Bool {
        let whole = SuffixReader(text)
        if endsInRejection(whole) { return true }
        var stem = whole
        return (stem.take("error") || stem.take("exception")) && endsInRejection(stem)
    }

    /// `(timed[ _-]?out|deadline[ _-]?exceeded|^[\w.:]*timeout(error|exception|expired)?(:|$))`, in the message's first
    /// `Limits.messageBytesMax` bytes.
    static func isTimeoutMessage(_ text: String) -> Bool {
        let bytes = text.utf8.prefix(SpanDerivations.Limits.messageBytesMax).map(SuffixReader.lowered)
        return contains(bytes, "timed", "out") || contains(bytes, "deadline", "exceeded") || startsWithTimeoutType(text)
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

    /// True when the two words stand somewhere with at most one separator between them.
    private static func contains(_ bytes: [UInt8], _ first: StaticString, _ second: StaticString) -> Bool {
        let firstCount = first.utf8CodeUnitCount
        var position = 0
        while position + firstCount + second.utf8CodeUnitCount <= bytes.count {
            if matches(bytes, position, first) {
                var next = position + firstCount
                if matches(bytes, next, second) { return true }
                if next < bytes.count, [UInt8(ascii: " "), UInt8(ascii: "_"), UInt8(ascii: "-")].contains(bytes[next]) {
                    next += 1
                }
                if matches(bytes, next, second) { return true }
            }
            position += 1
        }
        return false
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
