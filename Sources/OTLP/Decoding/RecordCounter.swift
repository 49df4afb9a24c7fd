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

    /// Profiles in an export request that is JSON; the names of its members may also be written with underscores.
    package static func profiles(inJSON body: [UInt8]) -> Int {
        func list(_ name: String, _ other: String, _ object: Range<Int>) -> Range<Int>? {
            guard case .container(let range)? = JSONText.member(name, in: body[object]) ?? JSONText.member(other, in: body[object]) else { return nil }
            return range
        }
        func elements(_ name: String, _ other: String, _ object: Range<Int>) -> [Range<Int>] {
            list(name, other, object).map { JSONText.elements(in: body[$0]) } ?? []
        }
        var count = 0
        for resource in elements("resourceProfiles", "resource_profiles", body.indices) {
            for scope in elements("scopeProfiles", "scope_profiles", resource) {
                count += list("profiles", "profiles", scope).flatMap { JSONText.elementCount(in: body[$0]) } ?? 0
            }
        }
        return count
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
