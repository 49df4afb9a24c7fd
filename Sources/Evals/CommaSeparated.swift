/// Reads CSV as RFC 4180 has it, and TSV: quoted fields may hold separators, quotes and newlines.
struct CommaSeparated {
    struct Record {
        var fields: [String]
        /// The line on which it begins, from 1.
        var line: Int
    }

    private let bytes: ArraySlice<UInt8>
    private let separator: UInt8
    private var position: Int
    private var line = 1

    init(_ bytes: ArraySlice<UInt8>, separator: UInt8) {
        self.bytes = bytes
        self.separator = separator
        position = bytes.startIndex
    }

    /// The next record; `nil` at the end. A quote that is not closed ends at the end of the file.
    mutating func next() -> Record? {
        guard position < bytes.endIndex else { return nil }
        var record = Record(fields: [], line: line)
        while true {
            record.fields.append(field())
            guard position < bytes.endIndex else { return record }
            let byte = bytes[position]
            position += 1
            if byte == separator {
                if position == bytes.endIndex {
                    record.fields.append("")
                    return record
                }
                continue
            }
            if byte == 0x0D, position < bytes.endIndex, bytes[position] == 0x0A { position += 1 }
            line += 1
            return record
        }
    }

    /// Up to a separator or the end of the line.
    private mutating func field() -> String {
        guard position < bytes.endIndex, bytes[position] == UInt8(ascii: "\"") else {
            let start = position
            while position < bytes.endIndex, !isEnd(bytes[position]) { position += 1 }
            return String(decoding: bytes[start..<position], as: UTF8.self)
        }
        position += 1
        var text: [UInt8] = []
        while position < bytes.endIndex {
            let byte = bytes[position]
            position += 1
            if byte == UInt8(ascii: "\"") {
                guard position < bytes.endIndex, bytes[position] == UInt8(ascii: "\"") else { break }
                position += 1
            } else if byte == 0x0A {
                line += 1
            }
            text.append(byte)
        }
        while position < bytes.endIndex, !isEnd(bytes[position]) {
            text.append(bytes[position])
            position += 1
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func isEnd(_ byte: UInt8) -> Bool { byte == separator || byte == 0x0A || byte == 0x0D }
}
