import TelemetryModel

/// Checks the structure of nested attribute values that are stored in their wire encoding, so that whoever reads them back can
/// rely on it. Recursion is bounded by `limit`, which is at most 64.
enum AnyValueCheck {
    static func keyValue(_ bytes: RawSpan, _ range: WireRange, depth: Int, limit: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                try tag.expect(.lengthDelimited)
                _ = try reader.lengthDelimited()
            case 2:
                try tag.expect(.lengthDelimited)
                try value(bytes, reader.lengthDelimited(), depth: depth, limit: limit)
            case 3:
                try tag.expect(.varint)
                _ = try reader.varint()
            default: try reader.skip(tag)
            }
        }
    }

    static func value(_ bytes: RawSpan, _ range: WireRange, depth: Int, limit: Int) throws(WireError) {
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1, 7:
                try tag.expect(.lengthDelimited)
                _ = try reader.lengthDelimited()
            case 2, 3, 8:
                try tag.expect(.varint)
                _ = try reader.varint()
            case 4:
                try tag.expect(.fixed64)
                _ = try reader.fixed64()
            case 5:
                try tag.expect(.lengthDelimited)
                try array(bytes, reader.lengthDelimited(), depth: depth + 1, limit: limit)
            case 6:
                try tag.expect(.lengthDelimited)
                try keyValueList(bytes, reader.lengthDelimited(), depth: depth + 1, limit: limit)
            default: try reader.skip(tag)
            }
        }
    }

    static func array(_ bytes: RawSpan, _ range: WireRange, depth: Int, limit: Int) throws(WireError) {
        guard depth <= limit else { throw .tooDeep }
        var reader = WireReader(bytes, range: range)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try tag.expect(.lengthDelimited)
                try value(bytes, reader.lengthDelimited(), depth: depth, limit: limit)
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
                try tag.expect(.lengthDelimited)
                try keyValue(bytes, reader.lengthDelimited(), depth: depth, limit: limit)
            } else {
                try reader.skip(tag)
            }
        }
    }
}
