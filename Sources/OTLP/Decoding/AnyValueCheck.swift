import TelemetryModel

/// Checks the structure of nested attribute values that are stored in their wire encoding, so that whoever reads them back can
/// rely on it. Recursion is bounded by `limit`, which is at most 64.
enum AnyValueCheck {
    static func keyValue(_ bytes: RawSpan, _ range: WireRange, depth: Int, limit: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                _ = try reader.lengthDelimited(tag)
            case 2:
                try value(bytes, reader.lengthDelimited(tag), depth: depth, limit: limit)
            case 3:
                _ = try reader.varint(tag)
            default: try reader.skip(tag)
            }
        }
    }

    static func value(_ bytes: RawSpan, _ range: WireRange, depth: Int, limit: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1, 7:
                _ = try reader.lengthDelimited(tag)
            case 2, 3, 8:
                _ = try reader.varint(tag)
            case 4:
                _ = try reader.fixed64(tag)
            case 5:
                try array(bytes, reader.lengthDelimited(tag), depth: depth + 1, limit: limit)
            case 6:
                try keyValueList(bytes, reader.lengthDelimited(tag), depth: depth + 1, limit: limit)
            default: try reader.skip(tag)
            }
        }
    }

    static func array(_ bytes: RawSpan, _ range: WireRange, depth: Int, limit: Int) throws(WireError) {
        guard depth <= limit else { throw .tooDeep }
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try value(bytes, reader.lengthDelimited(tag), depth: depth, limit: limit)
            } else {
                try reader.skip(tag)
            }
        }
    }

    static func keyValueList(_ bytes: RawSpan, _ range: WireRange, depth: Int, limit: Int) throws(WireError) {
        guard depth <= limit else { throw .tooDeep }
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try keyValue(bytes, reader.lengthDelimited(tag), depth: depth, limit: limit)
            } else {
                try reader.skip(tag)
            }
        }
    }
}
