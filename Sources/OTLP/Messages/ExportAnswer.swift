import TelemetryModel

/// What an OTLP endpoint says in the body of a 200: how many spans or log records it did not take, and why.
package struct ExportAnswer: Equatable, Sendable {
    package var rejected: Int64
    package var message: String

    /// Reads an `Export…ServiceResponse`, whose form is the same for all signals; `nil` when the body is none. An empty one says that all
    /// was taken.
    ///
    /// - Parameter contentType: the media type as it came; without one the body is read as what was asked for, protobuf.
    package init?(_ body: [UInt8], contentType: String?) {
        self.init(rejected: 0, message: "")
        if body.isEmpty { return }
        let type = (contentType ?? "application/x-protobuf").lowercased()
        if type.hasPrefix("application/x-protobuf") || type.hasPrefix("application/protobuf") {
            guard readMessage(body) else { return nil }
        } else if type.hasPrefix("application/json") {
            guard readJSON(body) else { return nil }
        } else {
            return nil
        }
    }

    package init(rejected: Int64, message: String) {
        self.rejected = rejected
        self.message = message
    }

    private mutating func readMessage(_ body: [UInt8]) -> Bool {
        do throws(WireError) {
            var reader = WireReader(body.span.bytes, range: WireRange(offset: 0, count: body.count))
            while let tag = try reader.nextTag() {
                guard tag == WireTag(field: 1, type: .lengthDelimited) else {
                    try reader.skip(tag)
                    continue
                }
                var partial = WireReader(body.span.bytes, range: try reader.lengthDelimited())
                while let tag = try partial.nextTag() {
                    switch (tag.field, tag.type) {
                    case (1, .varint): rejected = Int64(clamping: Int64(bitPattern: try partial.varint()))
                    case (2, .lengthDelimited):
                        let range = try partial.lengthDelimited()
                        message = String(decoding: body[range.offset..<range.end], as: UTF8.self)
                    default: try partial.skip(tag)
                    }
                }
            }
            return true
        } catch {
            return false
        }
    }

    private mutating func readJSON(_ body: [UInt8]) -> Bool {
        guard let value = try? JSONValue.parse(body[...]), case .object = value else { return false }
        guard let partial = value["partialSuccess"] ?? value["partial_success"] else { return true }
        for name in ["rejectedSpans", "rejectedLogRecords", "rejected_spans", "rejected_log_records"] {
            switch partial[name] {
            case .integer(let count)?: rejected = count
            case .string(let text)?: rejected = Int64(text) ?? 0
            default: break
            }
        }
        message = (partial["errorMessage"] ?? partial["error_message"])?.text ?? ""
        return true
    }
}
