package import TelemetryModel

/// What a file of evals holds: the rows, and the lines that are none.
package struct EvalFile: Sendable {
    package enum Limits {
        package static let bytesMax = 256 << 20
        package static let rowsMax = 2_000_000
        /// Problems that are kept with their message; all are counted.
        package static let problemsMax = 1000
    }

    package struct Problem: Equatable, Sendable {
        /// From 1; that of the record's start. In JSON that is one document, the number of the record.
        package var line: Int
        package var isRecordNumber = false
        package var message: String

        package var text: String { "\(isRecordNumber ? "record" : "line") \(line): \(message)" }
    }

    package private(set) var rows: [EvalRow] = []
    package private(set) var problems: [Problem] = []
    package private(set) var problemCount = 0
    /// Records that were read, good or bad; blank lines are none.
    package private(set) var recordCount = 0

    private let reader: EvalReader

    /// Reads JSON lines, one JSON document, CSV or TSV, told by the content.
    package init(_ bytes: [UInt8], reader: EvalReader) {
        self.reader = reader
        var content = bytes[...]
        if content.starts(with: [0xEF, 0xBB, 0xBF]) { content = content.dropFirst(3) }
        switch content.first(where: { $0 > 0x20 }) {
        case nil: break
        case UInt8(ascii: "["): readDocument(content)
        case UInt8(ascii: "{"): isOneDocument(content) ? readDocument(content) : readLines(content)
        default: readTable(content)
        }
    }

    /// One object over several lines is a document; an object on the first line makes the file JSON lines.
    private func isOneDocument(_ content: ArraySlice<UInt8>) -> Bool {
        let trimmed = content.drop { $0 <= 0x20 }
        let firstLine = trimmed.prefix { $0 != 0x0A }
        guard let value = try? JSONValue.parse(firstLine) else {
            return (try? JSONValue.parse(content)) != nil
        }
        // A single line that wraps a list is a document too.
        let hasMore = trimmed.dropFirst(firstLine.count).contains { $0 > 0x20 }
        guard !hasMore, case .object(let members) = value else { return false }
        return members.contains { member in
            guard EvalSynonyms.standard.unwrap.contains(EvalSynonyms.folded(member.name)) else { return false }
            switch member.value {
            case .array: return true
            case .object(let nested): return holdsLists(nested)
            default: return false
            }
        }
    }

    /// Whether an object holds lists of records, as DeepEval's test runs do.
    private func holdsLists(_ members: [JSONValue.Member]) -> Bool {
        members.contains { member in
            guard EvalSynonyms.standard.unwrap.contains(EvalSynonyms.folded(member.name)) else { return false }
            if case .array = member.value { return true }
            return false
        }
    }

    private mutating func add(_ value: JSONValue, line: Int, isRecordNumber: Bool = false) {
        recordCount += 1
        do throws(EvalReader.Refusal) {
            let found = try reader.read(value)
            guard rows.count + found.rows.count <= Limits.rowsMax else {
                return problem("there are more than \(Limits.rowsMax) evals; split the file", line, isRecordNumber)
            }
            rows += found.rows
            for refusal in found.refusals { problem(refusal.message, line, isRecordNumber) }
        } catch {
            problem(error.message, line, isRecordNumber)
        }
    }

    private mutating func problem(_ message: String, _ line: Int, _ isRecordNumber: Bool = false) {
        problemCount += 1
        guard problems.count < Limits.problemsMax else { return }
        problems.append(Problem(line: line, isRecordNumber: isRecordNumber, message: message))
    }

    // MARK: Forms

    private mutating func readLines(_ content: ArraySlice<UInt8>) {
        var line = 0
        for text in content.split(separator: 0x0A, omittingEmptySubsequences: false) {
            line += 1
            guard text.contains(where: { $0 > 0x20 }) else { continue }
            do throws(JSONValue.SyntaxError) {
                add(try JSONValue.parse(text, firstLine: line), line: line)
            } catch {
                recordCount += 1
                problem("it is not JSON: \(error.message)", line)
            }
        }
    }

    private mutating func readDocument(_ content: ArraySlice<UInt8>) {
        let document: JSONValue
        do throws(JSONValue.SyntaxError) {
            document = try JSONValue.parse(content)
        } catch {
            recordCount += 1
            return problem("it is not JSON: \(error.message)", error.line)
        }
        var number = 0
        for record in records(of: document, depth: 0) {
            number += 1
            add(record, line: number, isRecordNumber: true)
        }
    }

    /// Goes down through lists, and members that only hold them (`{"data": [...]}`), to the records.
    private func records(of value: JSONValue, depth: Int) -> [JSONValue] {
        guard depth < 6 else { return [value] }
        switch value {
        case .array(let values): return values.flatMap { records(of: $0, depth: depth + 1) }
        case .object(let members):
            var inner: [JSONValue] = []
            var isEval = false
            for member in members {
                let folded = EvalSynonyms.folded(member.name)
                if EvalSynonyms.standard.unwrap.contains(folded) {
                    // A list beside ids of its own is a row with children, which the reader takes apart.
                    if EvalSynonyms.standard.children.contains(folded) && hasIdentity(members) { continue }
                    switch member.value {
                    case .array: inner += records(of: member.value, depth: depth + 1)
                    case .object(let nested) where holdsEvals(nested) || holdsLists(nested):
                        inner += records(of: member.value, depth: depth + 1)
                    default: continue
                    }
                } else if EvalSynonyms.standard.fields[folded]?.contains(where: { $0.field == .score || $0.field == .label })
                    == true
                {
                    isEval = true
                }
            }
            return inner.isEmpty || isEval ? [value] : inner
        default: return [value]
        }
    }

    private func hasIdentity(_ members: [JSONValue.Member]) -> Bool {
        var fields = EvalFields(.standard)
        fields.add(members.filter { if case .array = $0.value { false } else { true } }, prefix: "", depth: 0)
        return fields.has(.traceID) || fields.has(.spanID) || fields.has(.exampleID) || fields.has(.evalID) || fields.has(.name)
    }

    private func holdsEvals(_ members: [JSONValue.Member]) -> Bool {
        members.contains { member in
            guard EvalSynonyms.standard.children.contains(EvalSynonyms.folded(member.name)) else { return false }
            if case .array = member.value { return true }
            return false
        }
    }

    private mutating func readTable(_ content: ArraySlice<UInt8>) {
        let firstLine = content.prefix { $0 != 0x0A }
        let separator = firstLine.contains(0x09) ? UInt8(0x09) : UInt8(ascii: ",")
        var table = CommaSeparated(content, separator: separator)
        guard let header = table.next() else { return }
        guard header.fields.count > 1 else {
            recordCount += 1
            return problem("this is neither JSON nor a table with a header line", 1)
        }
        let isOwn = header.fields == EvalForm.columns
        while let record = table.next() {
            if record.fields.allSatisfy({ EvalFields.trimmed($0).isEmpty }) { continue }
            guard record.fields.count == header.fields.count else {
                recordCount += 1
                problem("it has \(record.fields.count) fields, the header has \(header.fields.count)", record.line)
                continue
            }
            add(
                .object(zip(header.fields, record.fields).map { .init($0, isOwn ? .string($1) : Self.cell($1)) }),
                line: record.line)
        }
    }

    /// A cell as the value that it shows: JSON objects as such, the rest as text, which the fields convert.
    private static func cell(_ text: String) -> JSONValue {
        if text.utf8.first == UInt8(ascii: "{"), let value = try? JSONValue.parse(Array(text.utf8)[...]) { return value }
        return .string(text)
    }
}
