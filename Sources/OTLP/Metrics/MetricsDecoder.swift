package import TelemetryModel

/// Reads an `ExportMetricsServiceRequest` point by point. Field numbers are those of metrics.proto and common.proto.
///
/// Exponential histograms come as ordinary ones with bounds at powers of two, so that points of different scales add up.
/// Summaries are counted and left out: their quantiles cannot be added or compared. Nothing is cut but descriptions: a point with
/// something longer than the limits says so (`isTooLarge`). What one point makes us hold is bounded by them.
package struct MetricsDecoder {
    /// Points of one request: an empty one is two bytes on the wire, and takes far longer than that to read.
    package static let pointsMax = 1 << 18
    /// Attributes of one point, and of one scope.
    package static let attributesMax = 64
    /// Bounds of one histogram.
    package static let boundsMax = 512
    /// Buckets of one side of an exponential histogram; SDKs keep 160.
    package static let exponentialBucketsMax = 4096
    /// Bytes of a name, a key or a value.
    package static let textBytesMax = 1024

    private static let noRecordedValue: UInt64 = 1

    /// Points that `take` was not given.
    package struct Skipped: Equatable, Sendable {
        /// Of kinds that are left out.
        package var unsupported = 0
        /// Past the limit of a request.
        package var tooMany = 0
    }

    private let body: [UInt8]
    private let take: (MetricPoint) -> Void
    private let counts = Counts()

    private init(body: [UInt8], take: @escaping (MetricPoint) -> Void) {
        self.body = body
        self.take = take
    }

    /// Beside the decoder, whose bytes are lent to readers while it counts.
    private final class Counts {
        var taken = 0
        var skipped = Skipped()
    }

    /// Hands every point of a request to `take`, but those that it gives the numbers of.
    package static func decode(_ body: [UInt8], _ take: @escaping (MetricPoint) -> Void) throws(OTLPDecodingError) -> Skipped {
        do throws(WireError) {
            let decoder = MetricsDecoder(body: body, take: take)
            try decoder.request()
            return decoder.counts.skipped
        } catch {
            throw .malformed(error)
        }
    }

    // MARK: Envelopes

    private func request() throws(WireError) {
        var reader = WireReader(body.span.bytes)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                try resourceMetrics(reader.lengthDelimited(tag))
            } else {
                try reader.skip(tag)
            }
        }
    }

    private func resourceMetrics(_ range: WireRange) throws(WireError) {
        var shared = MetricPoint()
        // The resource may come behind its metrics.
        var first = WireReader(body.span.bytes, range: range)
        while let tag = try first.nextTag() {
            if tag.field == 1 { try resource(first.lengthDelimited(tag), &shared) } else { try first.skip(tag) }
        }
        var second = WireReader(body.span.bytes, range: range)
        while let tag = try second.nextTag() {
            if tag.field == 2 {
                try scopeMetrics(second.lengthDelimited(tag), shared)
            } else {
                try second.skip(tag)
            }
        }
    }

    private func resource(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        point.source = hash { $0.combine(bytes: body, range) }
        var texts = ResourceTexts()
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            guard tag.field == 1 else {
                try reader.skip(tag)
                continue
            }
            let attribute = try WireAttribute(body.span.bytes, reader.lengthDelimited(tag))
            guard attribute.key.count <= ResourceTexts.Name.bytesMax,
                let name = ResourceTexts.Name(rawValue: text(attribute.key, &point))
            else { continue }
            texts[name] = text(attribute.value, &point)
        }
        point.job = texts.job
        point.instance = texts.instanceID
        if max(point.job.utf8.count, point.instance.utf8.count) > Self.textBytesMax { point.isTooLarge = true }
    }

    private func scopeMetrics(_ range: WireRange, _ resource: MetricPoint) throws(WireError) {
        var shared = resource
        // The scope too may come behind.
        var first = WireReader(body.span.bytes, range: range)
        while let tag = try first.nextTag() {
            switch tag.field {
            case 1: try scope(first.lengthDelimited(tag), &shared)
            case 3: shared.scope.schemaURL = text(try first.lengthDelimited(tag), &shared)
            default: try first.skip(tag)
            }
        }
        var second = WireReader(body.span.bytes, range: range)
        while let tag = try second.nextTag() {
            if tag.field == 2 {
                try metric(second.lengthDelimited(tag), shared)
            } else {
                try second.skip(tag)
            }
        }
    }

    private func scope(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: point.scope.name = text(try reader.lengthDelimited(tag), &point)
            case 2: point.scope.version = text(try reader.lengthDelimited(tag), &point)
            case 3: point.identity &+= try attribute(reader.lengthDelimited(tag), into: \.scope.attributes, &point)
            default: try reader.skip(tag)
            }
        }
    }

    private func metric(_ range: WireRange, _ shared: MetricPoint) throws(WireError) {
        var point = shared
        var reader = WireReader(body.span.bytes, range: range)
        var name = WireRange(offset: range.offset, count: 0)
        var unit = name
        var data: (field: Int, range: WireRange)?
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: name = try reader.lengthDelimited(tag)
            case 2: point.help = description(try reader.lengthDelimited(tag))
            case 3: unit = try reader.lengthDelimited(tag)
            case 5, 7, 9, 10, 11: data = (tag.field, try reader.lengthDelimited(tag))
            default: try reader.skip(tag)
            }
        }
        point.name = text(name, &point)
        point.unit = text(unit, &point)
        point.identity = hash { hasher in
            hasher.combine(shared.identity)
            for text in [shared.scope.name, shared.scope.version, shared.scope.schemaURL] { hasher.combine(Array(text.utf8)) }
            hasher.combine(bytes: body, name)
            hasher.combine(bytes: body, unit)
        }
        if let data { try points(data.field, data.range, point) }
    }

    private func points(_ field: Int, _ range: WireRange, _ shared: MetricPoint) throws(WireError) {
        var shared = shared
        var isMonotonic = false
        // What holds for all points may come behind them; two passes need no list of them.
        var first = WireReader(body.span.bytes, range: range)
        while let tag = try first.nextTag() {
            switch tag.field {
            case 2 where field != 5 && field != 11: shared.isDelta = try first.varint(tag) == 1
            case 3 where field == 7: isMonotonic = try first.varint(tag) != 0
            default: try first.skip(tag)
            }
        }
        // Sums that go up and down are gauges to Prometheus.
        shared.kind = field == 5 || (field == 7 && !isMonotonic) ? .gauge : field == 7 ? .counter : .histogram
        var second = WireReader(body.span.bytes, range: range)
        while let tag = try second.nextTag() {
            guard tag.field == 1 else {
                try second.skip(tag)
                continue
            }
            let range = try second.lengthDelimited(tag)
            if field == 11 {
                counts.skipped.unsupported += 1
            } else if counts.taken == Self.pointsMax {
                counts.skipped.tooMany += 1
            } else {
                counts.taken += 1
                take(try point(field, range, shared))
            }
        }
    }

    // MARK: Points

    private func point(_ field: Int, _ range: WireRange, _ shared: MetricPoint) throws(WireError) -> MetricPoint {
        var point = shared
        switch field {
        case 5, 7: try number(range, &point)
        case 9: try histogram(range, &point)
        default: try exponential(range, &point)
        }
        if point.isEnd { point.value = nil }
        return point
    }

    private func number(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 2: point.startTimeUnixNano = try reader.fixed64(tag)
            case 3: point.timeUnixNano = try reader.fixed64(tag)
            case 4: point.value = .number(Double(bitPattern: try reader.fixed64(tag)))
            case 6: point.value = .integer(Int64(bitPattern: try reader.fixed64(tag)))
            case 7: point.identity &+= try attribute(reader.lengthDelimited(tag), into: \.attributes, &point)
            case 8: point.isEnd = try reader.varint(tag) & Self.noRecordedValue != 0
            default: try reader.skip(tag)
            }
        }
    }

    private func histogram(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        var bounds: [UInt64] = []
        var counts: [UInt64] = []
        var sum: Double?
        var count: UInt64 = 0
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 2: point.startTimeUnixNano = try reader.fixed64(tag)
            case 3: point.timeUnixNano = try reader.fixed64(tag)
            case 4: count = try reader.fixed64(tag)
            case 5: sum = Double(bitPattern: try reader.fixed64(tag))
            case 6: try fixed(&reader, tag, &counts)
            case 7: try fixed(&reader, tag, &bounds)
            case 9: point.identity &+= try attribute(reader.lengthDelimited(tag), into: \.attributes, &point)
            case 10: point.isEnd = try reader.varint(tag) & Self.noRecordedValue != 0
            default: try reader.skip(tag)
            }
        }
        if max(bounds.count, counts.count - 1) > Self.boundsMax {
            point.isTooLarge = true
        } else {
            point.value = HistogramBuckets.value(bounds.map { Double(bitPattern: $0) }, counts, count: count, sum: sum)
        }
    }

    /// Packed values, or one of them. Of more than a histogram may have, so many that it shows.
    private func fixed(_ reader: inout WireReader, _ tag: WireTag, _ values: inout [UInt64]) throws(WireError) {
        let countMax = Self.boundsMax + 2
        guard tag.type == .lengthDelimited else {
            let value = try reader.fixed64(tag)
            if values.count < countMax { values.append(value) }
            return
        }
        var packed = WireReader(body.span.bytes, range: try reader.lengthDelimited())
        while !packed.isAtEnd {
            let value = try packed.fixed64()
            if values.count < countMax { values.append(value) }
        }
    }

    private func exponential(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        var scale: Int32 = 0
        var sum: Double?
        var atMostZero: UInt64 = 0
        var positive = ExponentialBuckets()
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: point.identity &+= try attribute(reader.lengthDelimited(tag), into: \.attributes, &point)
            case 2: point.startTimeUnixNano = try reader.fixed64(tag)
            case 3: point.timeUnixNano = try reader.fixed64(tag)
            case 5: sum = Double(bitPattern: try reader.fixed64(tag))
            case 6: scale = Self.zigzag(try reader.varint(tag))
            case 7: atMostZero = HistogramBuckets.sum(atMostZero, try reader.fixed64(tag))
            case 8: positive = try buckets(reader.lengthDelimited(tag), &point)
            case 9:
                for count in try buckets(reader.lengthDelimited(tag), &point).counts {
                    atMostZero = HistogramBuckets.sum(atMostZero, count)
                }
            case 10: point.isEnd = try reader.varint(tag) & Self.noRecordedValue != 0
            default: try reader.skip(tag)
            }
        }
        point.value = positive.value(scale: scale, atMostZero: atMostZero, sum: sum)
    }

    private func buckets(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) -> ExponentialBuckets {
        var buckets = ExponentialBuckets()
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: buckets.offset = Self.zigzag(try reader.varint(tag))
            case 2 where tag.type == .lengthDelimited:
                var packed = WireReader(body.span.bytes, range: try reader.lengthDelimited())
                while !packed.isAtEnd {
                    let count = try packed.varint()
                    if buckets.counts.count <= Self.exponentialBucketsMax { buckets.counts.append(count) }
                }
            case 2:
                let count = try reader.varint(tag)
                if buckets.counts.count <= Self.exponentialBucketsMax { buckets.counts.append(count) }
            default: try reader.skip(tag)
            }
        }
        if buckets.counts.count > Self.exponentialBucketsMax { point.isTooLarge = true }
        return buckets
    }

    private static func zigzag(_ value: UInt64) -> Int32 {
        let bits = UInt32(truncatingIfNeeded: value)
        return Int32(bitPattern: bits >> 1) ^ -Int32(bitPattern: bits & 1)
    }
}

// MARK: Texts and attributes

extension MetricsDecoder {
    /// A text that is a name, a key or a value; one past the limit makes the point too large.
    private func text(_ range: WireRange, _ point: inout MetricPoint) -> String {
        guard range.count <= Self.textBytesMax else {
            point.isTooLarge = true
            return ""
        }
        return String(decoding: body[range.offset..<range.end], as: UTF8.self)
    }

    /// The beginning of a text, in whole characters.
    private func description(_ range: WireRange) -> String {
        var end = range.offset + min(range.count, Self.textBytesMax)
        while end > range.offset, end < range.end, body[end] & 0xC0 == 0x80 { end -= 1 }
        return String(decoding: body[range.offset..<end], as: UTF8.self)
    }

    /// A value as a label shows it.
    private func text(_ value: AttributeRecord, _ point: inout MetricPoint) -> String {
        let range = value.slice.range
        switch value.kind {
        case .empty: return ""
        case .string: return text(range, &point)
        case .bool: return value.payload != 0 ? "true" : "false"
        case .int: return "\(Int64(bitPattern: value.payload))"
        case .double: return "\(Double(bitPattern: value.payload))"
        case .array, .keyValueList, .bytes:
            var json = JSONWriter()
            if range.count <= Self.textBytesMax { WireJSON.value(value.kind, body, range, into: &json) }
            // A map has no order: the same one is the same text. What is nested too deep reads as `null`.
            guard !json.bytes.isEmpty, let read = try? JSONValue.parse(json.bytes[...]), read != .null else {
                point.isTooLarge = true
                return ""
            }
            let text = read.text ?? read.canonical
            if text.utf8.count > Self.textBytesMax { point.isTooLarge = true }
            return text
        }
    }

    /// Adds an attribute; gives a hash of it as it came, of which the order of attributes makes the same sum.
    private func attribute(
        _ range: WireRange, into list: WritableKeyPath<MetricPoint, [MetricPoint.Attribute]>, _ point: inout MetricPoint
    ) throws(WireError) -> Int {
        let attribute = try WireAttribute(body.span.bytes, range)
        let value = attribute.value
        guard point[keyPath: list].count < Self.attributesMax else {
            point.isTooLarge = true
            return 0
        }
        let key = text(attribute.key, &point)
        let label = text(value, &point)
        point[keyPath: list].append(MetricPoint.Attribute(key: key, text: label))
        return hash { hasher in
            hasher.combine(bytes: body, attribute.key)
            hasher.combine(value.kind)
            switch value.kind {
            case .empty, .bool, .int, .double: hasher.combine(value.payload)
            case .string, .bytes: hasher.combine(bytes: body, value.slice.range)
            case .array, .keyValueList: hasher.combine(Array(label.utf8))
            }
        }
    }

    private func hash(_ combine: (inout Hasher) -> Void) -> Int {
        var hasher = Hasher()
        combine(&hasher)
        return hasher.finalize()
    }
}

extension Hasher {
    fileprivate mutating func combine(bytes: [UInt8], _ range: WireRange) {
        combine(range.count)
        bytes[range.offset..<range.end].withUnsafeBytes { combine(bytes: $0) }
    }
}
