import TelemetryModel

/// Counts the records of a signal that is not stored: `ResourceX` (1), `ScopeX` (2), records (2) in every OTLP signal's request.
package enum RecordCounter {
    /// Metrics, or profiles, in an export request.
    package static func records(in body: [UInt8]) throws(OTLPDecodingError) -> Int {
        do throws(WireError) {
            let bytes = body.span.bytes
            var count = 0
            var request = WireReader(bytes)
            while let resource = try nested(&request, field: 1) {
                var resourceReader = WireReader(bytes, range: resource)
                while let scope = try nested(&resourceReader, field: 2) {
                    var scopeReader = WireReader(bytes, range: scope)
                    while try nested(&scopeReader, field: 2) != nil { count += 1 }
                }
            }
            return count
        } catch {
            throw .malformed(error)
        }
    }

    /// The next message in that field; `nil` at the end.
    private static func nested(_ reader: inout WireReader, field: Int) throws(WireError) -> WireRange? {
        while let tag = try reader.nextTag() {
            if tag == WireTag(field: field, type: .lengthDelimited) { return try reader.lengthDelimited() }
            try reader.skip(tag)
        }
        return nil
    }
}
