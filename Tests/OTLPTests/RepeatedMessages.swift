import TelemetryModel

/// Finds message fields that may be there once but are there more often. protobuf says to merge them; ours takes the last of a
/// resource or value and the last of each field of a scope or status, libprotobuf-c merges with faults of its own. No exporter
/// writes such bytes, so these inputs are left out of comparisons.
enum RepeatedMessages {
    private indirect enum Shape {
        case message([Int: (shape: Shape, isRepeated: Bool)])
        case anyValue, keyValue
    }

    private static let request: Shape = {
        let keyValues = (shape: Shape.keyValue, isRepeated: true)
        let leaf = Shape.message([:])
        let span = Shape.message([
            9: keyValues, 11: (.message([3: keyValues]), true), 13: (.message([4: keyValues]), true), 15: (leaf, false),
        ])
        let scopeSpans = Shape.message([1: (.message([3: keyValues]), false), 2: (span, true)])
        return .message([1: (.message([1: (.message([1: keyValues]), false), 2: (scopeSpans, true)]), true)])
    }()

    private static let logs: Shape = {
        let keyValues = (shape: Shape.keyValue, isRepeated: true)
        let record = Shape.message([5: (.anyValue, false), 6: keyValues])
        let scopeLogs = Shape.message([1: (.message([3: keyValues]), false), 2: (record, true)])
        return .message([1: (.message([1: (.message([1: keyValues]), false), 2: (scopeLogs, true)]), true)])
    }()

    /// The same of a logs request.
    static func areFound(inLogs bytes: [UInt8]) -> Bool {
        (try? areFound(bytes, WireRange(offset: 0, count: bytes.count), logs, depth: 0)) ?? false
    }

    /// True when there is one; bytes that cannot be read have none.
    static func areFound(in bytes: [UInt8]) -> Bool {
        do throws(WireError) {
            return try areFound(bytes, WireRange(offset: 0, count: bytes.count), request, depth: 0)
        } catch {
            return false
        }
    }

    private static func areFound(_ bytes: [UInt8], _ range: WireRange, _ shape: Shape, depth: Int) throws(WireError) -> Bool {
        guard depth < 400 else { return false }
        var reader = WireReader(bytes.span.bytes, range: range)
        var seen: Set<Int> = []
        while let tag = try reader.nextTag() {
            guard tag.type == .lengthDelimited, let child = child(tag.field, of: shape) else {
                try reader.skip(tag)
                continue
            }
            let nested = try reader.lengthDelimited()
            if !child.isRepeated && !seen.insert(tag.field).inserted { return true }
            if try areFound(bytes, nested, child.shape, depth: depth + 1) { return true }
        }
        return false
    }

    private static func child(_ field: Int, of shape: Shape) -> (shape: Shape, isRepeated: Bool)? {
        switch (shape, field) {
        case (.message(let fields), _): fields[field]
        case (.keyValue, 2): (.anyValue, false)
        case (.anyValue, 5): (.message([1: (.anyValue, true)]), false)
        case (.anyValue, 6): (.message([1: (.keyValue, true)]), false)
        case (.keyValue, _), (.anyValue, _): nil
        }
    }
}
