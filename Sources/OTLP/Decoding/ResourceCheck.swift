import TelemetryModel

/// Checks the structure of a `Resource`, which is stored in its wire encoding.
enum ResourceCheck {
    /// A whole resource, its attributes included.
    static func resource(_ bytes: RawSpan, _ range: WireRange, valueDepthMax: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try AnyValueCheck.keyValue(bytes, reader.lengthDelimited(tag), depth: 0, limit: valueDepthMax)
            } else {
                try field(bytes, tag, &reader)
            }
        }
    }

    /// A field of a resource that is no attribute: what attributes were dropped, and what entities they describe.
    static func field(_ bytes: RawSpan, _ tag: WireTag, _ reader: inout WireReader) throws(WireError) {
        switch tag.field {
        case 2: _ = try reader.varint(tag)
        case 3: try entity(bytes, reader.lengthDelimited(tag))
        default: try reader.skip(tag)
        }
    }

    private static func entity(_ bytes: RawSpan, _ range: WireRange) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1...4: _ = try reader.lengthDelimited(tag)
            default: try reader.skip(tag)
            }
        }
    }
}
