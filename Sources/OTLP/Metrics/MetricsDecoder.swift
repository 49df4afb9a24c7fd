package import TelemetryModel

/// Reads an `ExportMetricsServiceRequest` point by point. Field numbers are those of metrics.proto and common.proto.
///
/// Exponential histograms come as ordinary ones with bounds at powers of two, so that points of different scales add up.
/// Summaries are counted and left out: their quantiles cannot be added or compared.
package struct MetricsDecoder {
    /// Attributes of one point.
    private static let attributesMax = 32
    /// Buckets of one histogram.
    private static let bucketsMax = 512
    /// Bytes of a text that becomes a label or a name.
    private static let textBytesMax = 1024

    private let body: [UInt8]
    private let take: (MetricPoint) -> Void

    /// Hands every point of a request to `take`; gives how many were of a kind that is left out.
    package static func decode(_ body: [UInt8], _ take: @escaping (MetricPoint) -> Void) throws(OTLPDecodingError) -> Int {
        do throws(WireError) {
            return try MetricsDecoder(body: body, take: take).request()
        } catch {
            throw .malformed(error)
        }
    }

    private func text(_ range: WireRange) -> String {
        String(decoding: body[range.offset..<range.offset + min(range.count, Self.textBytesMax)], as: UTF8.self)
    }

    // MARK: Envelopes

    /// The points of kinds that are left out; so give all that follow.
    private func request() throws(WireError) -> Int {
        var unsupported = 0
        var reader = WireReader(body.span.bytes)
        while let tag = try reader.nextTag() {
            if tag.field == 1 {
                unsupported += try resourceMetrics(reader.lengthDelimited(tag))
            } else {
                try reader.skip(tag)
            }
        }
        return unsupported
    }

    private func resourceMetrics(_ range: WireRange) throws(WireError) -> Int {
        var shared = MetricPoint()
        var unsupported = 0
        // The resource may come behind its metrics.
        var first = WireReader(body.span.bytes, range: range)
        while let tag = try first.nextTag() {
            if tag.field == 1 { try resource(first.lengthDelimited(tag), &shared) } else { try first.skip(tag) }
        }
        var second = WireReader(body.span.bytes, range: range)
        while let tag = try second.nextTag() {
            guard tag.field == 2 else {
                try second.skip(tag)
                continue
            }
            var scope = WireReader(body.span.bytes, range: try second.lengthDelimited(tag))
            while let tag = try scope.nextTag() {
                if tag.field == 2 {
                    unsupported += try metric(scope.lengthDelimited(tag), shared)
                } else {
                    try scope.skip(tag)
                }
            }
        }
        return unsupported
    }

    private func resource(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        var reader = WireReader(body.span.bytes, range: range)
        var namespace = ""
        var name = ""
        while let tag = try reader.nextTag() {
            guard tag.field == 1 else {
                try reader.skip(tag)
                continue
            }
            let (key, value) = try keyValue(reader.lengthDelimited(tag))
            switch key {
            case "service.name": name = value
            case "service.namespace": namespace = value
            case "service.instance.id": point.instance = value
            default: break
            }
        }
        point.job = namespace.isEmpty ? name : namespace + "/" + name
    }

    private func metric(_ range: WireRange, _ shared: MetricPoint) throws(WireError) -> Int {
        var point = shared
        var reader = WireReader(body.span.bytes, range: range)
        var data: (field: Int, range: WireRange)?
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: point.name = text(try reader.lengthDelimited(tag))
            case 2: point.help = text(try reader.lengthDelimited(tag))
            case 3: point.unit = text(try reader.lengthDelimited(tag))
            case 5, 7, 9, 10, 11: data = (tag.field, try reader.lengthDelimited(tag))
            default: try reader.skip(tag)
            }
        }
        return try data.map { data throws(WireError) in try points(data.field, data.range, point) } ?? 0
    }

    private func points(_ field: Int, _ range: WireRange, _ shared: MetricPoint) throws(WireError) -> Int {
        var temporality: UInt64 = 0
        var isMonotonic = false
        var ranges: [WireRange] = []
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: ranges.append(try reader.lengthDelimited(tag))
            case 2 where field != 5: temporality = try reader.varint(tag)
            case 3 where field == 7: isMonotonic = try reader.varint(tag) != 0
            default: try reader.skip(tag)
            }
        }
        if field == 11 { return ranges.count }
        for range in ranges {
            var one = shared
            one.isDelta = temporality == 1
            switch field {
            case 5, 7:
                // Sums that go up and down are gauges to Prometheus.
                one.kind = field == 7 && isMonotonic ? .counter : .gauge
                try number(range, &one)
            case 9: try histogram(range, &one)
            default: try exponential(range, &one)
            }
            take(one)
        }
        return 0
    }

    // MARK: Points

    private func number(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 3: point.timeUnixNano = try reader.fixed64(tag)
            case 4: point.value = .number(Double(bitPattern: try reader.fixed64(tag)))
            case 6: point.value = .number(Double(Int64(bitPattern: try reader.fixed64(tag))))
            case 7: try attribute(reader.lengthDelimited(tag), &point)
            default: try reader.skip(tag)
            }
        }
    }

    private func histogram(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        point.kind = .histogram
        var bounds: [Double] = []
        var counts: [UInt64] = []
        var sum = 0.0
        var count: UInt64 = 0
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 3: point.timeUnixNano = try reader.fixed64(tag)
            case 4: count = try reader.fixed64(tag)
            case 5: sum = Double(bitPattern: try reader.fixed64(tag))
            case 6: try fixed(&reader, tag, &counts)
            case 7:
                var bits: [UInt64] = []
                try fixed(&reader, tag, &bits)
                bounds += bits.map { Double(bitPattern: $0) }
            case 9: try attribute(reader.lengthDelimited(tag), &point)
            default: try reader.skip(tag)
            }
        }
        if counts.count != bounds.count + 1 || bounds.count > Self.bucketsMax || bounds != bounds.sorted() {
            (bounds, counts) = ([], [count])
        }
        point.value = .buckets(bounds: bounds, counts: counts, sum: sum)
    }

    /// Packed values, or one of them.
    private func fixed(_ reader: inout WireReader, _ tag: WireTag, _ values: inout [UInt64]) throws(WireError) {
        guard tag.type == .lengthDelimited else { return values.append(try reader.fixed64(tag)) }
        var packed = WireReader(body.span.bytes, range: try reader.lengthDelimited())
        while !packed.isAtEnd { values.append(try packed.fixed64()) }
    }

    private func exponential(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        point.kind = .histogram
        var scale: Int32 = 0
        var sum = 0.0
        var atMostZero: UInt64 = 0
        var positive: (offset: Int32, counts: [UInt64]) = (0, [])
        var reader = WireReader(body.span.bytes, range: range)
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try attribute(reader.lengthDelimited(tag), &point)
            case 3: point.timeUnixNano = try reader.fixed64(tag)
            case 5: sum = Double(bitPattern: try reader.fixed64(tag))
            case 6: scale = Self.zigzag(try reader.varint(tag))
            case 7: atMostZero = Self.sum(atMostZero, try reader.fixed64(tag))
            case 8: positive = try buckets(reader.lengthDelimited(tag))
            case 9:
                for count in try buckets(reader.lengthDelimited(tag)).counts { atMostZero = Self.sum(atMostZero, count) }
            default: try reader.skip(tag)
            }
        }
        point.value = PowerOfTwoBuckets.value(
            scale: scale, offset: positive.offset, counts: positive.counts, atMostZero: atMostZero, sum: sum)
    }

    private func buckets(_ range: WireRange) throws(WireError) -> (offset: Int32, counts: [UInt64]) {
        var reader = WireReader(body.span.bytes, range: range)
        var offset: Int32 = 0
        var counts: [UInt64] = []
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: offset = Self.zigzag(try reader.varint(tag))
            case 2 where tag.type == .lengthDelimited:
                var packed = WireReader(body.span.bytes, range: try reader.lengthDelimited())
                while !packed.isAtEnd { counts.append(try packed.varint()) }
            case 2: counts.append(try reader.varint(tag))
            default: try reader.skip(tag)
            }
        }
        return (offset, counts)
    }

    private static func zigzag(_ value: UInt64) -> Int32 {
        let bits = UInt32(truncatingIfNeeded: value)
        return Int32(bitPattern: bits >> 1) ^ -Int32(bitPattern: bits & 1)
    }

    static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }

    // MARK: Attributes

    private func attribute(_ range: WireRange, _ point: inout MetricPoint) throws(WireError) {
        let (key, value) = try keyValue(range)
        if point.attributes.count < Self.attributesMax { point.attributes.append((key, value)) }
    }

    /// A key, and its value as a label: text, numbers and truth as they are written, anything else as nothing.
    private func keyValue(_ range: WireRange) throws(WireError) -> (String, String) {
        var reader = WireReader(body.span.bytes, range: range)
        var key = ""
        var value = ""
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: key = text(try reader.lengthDelimited(tag))
            case 2:
                var nested = WireReader(body.span.bytes, range: try reader.lengthDelimited(tag))
                while let tag = try nested.nextTag() {
                    switch tag.field {
                    case 1: value = text(try nested.lengthDelimited(tag))
                    case 2: value = try nested.varint(tag) != 0 ? "true" : "false"
                    case 3: value = "\(Int64(bitPattern: try nested.varint(tag)))"
                    case 4: value = "\(Double(bitPattern: try nested.fixed64(tag)))"
                    default: try nested.skip(tag)
                    }
                }
            default: try reader.skip(tag)
            }
        }
        return (key, value)
    }
}

/// Exponential buckets brought to bounds at powers of two.
enum PowerOfTwoBuckets {
    /// Bounds from 2^-30 to 2^40: nanoseconds to terabytes.
    private static let exponents = -30...40

    static func value(
        scale: Int32, offset: Int32, counts: [UInt64], atMostZero: UInt64, sum: Double
    ) -> MetricPoint.Value {
        // Bucket 0 counts what is not above zero, bucket i what is at most 2^(exponents.lowerBound + i - 1), the last all above.
        var buckets = [UInt64](repeating: 0, count: exponents.count + 2)
        buckets[0] = atMostZero
        for (index, count) in counts.enumerated() where count > 0 {
            let exponent = exponent(Int(offset) + index, scale: scale)
            let place = min(max(exponent, exponents.lowerBound), exponents.upperBound + 1) - exponents.lowerBound + 1
            buckets[place] = MetricsDecoder.sum(buckets[place], count)
        }
        var bounds = [0.0]
        for exponent in exponents { bounds.append(Double(sign: .plus, exponent: exponent, significand: 1)) }
        return .buckets(bounds: bounds, counts: buckets, sum: sum)
    }

    /// The power of two that a bucket's upper bound, base^(index + 1) with base 2^(2^-scale), is at most.
    private static func exponent(_ index: Int, scale: Int32) -> Int {
        if scale >= 0 { return (index >> Int(min(scale, 62))) + 1 }
        let shift = Int(min(-Int64(scale), 32))
        let (product, overflow) = (index + 1).multipliedReportingOverflow(by: 1 << shift)
        return overflow ? (index < 0 ? Int.min : Int.max) : product
    }
}
