/// A block in ClickHouse's format `Native`: columns by name, whole, one after another.
///
///     varint columns, varint rows
///     of each column:  name, type (both varint length and bytes), data
///
/// A block that is cut off anywhere inserts nothing.
package struct NativeBlock: Sendable {
    package let rowCount: Int
    /// Names of its columns, in order.
    package private(set) var columns: [String] = []
    private let wanted: Set<String>?
    private var body: [UInt8] = []

    /// - Parameter wanted: columns that it may have; `nil` for all.
    package init(rowCount: Int, wanted: Set<String>? = nil) {
        self.rowCount = rowCount
        self.wanted = wanted
    }

    /// Puts a column behind the others, if it is wanted. Its data must have `rowCount` values.
    package mutating func append(_ name: String, _ data: any NativeData) {
        guard wanted?.contains(name) != false else { return }
        columns.append(name)
        Self.append(name, to: &body)
        Self.append(data.type, to: &body)
        data.write(to: &body)
    }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(body.count + 20)
        bytes.appendVarint(UInt64(columns.count))
        bytes.appendVarint(UInt64(rowCount))
        bytes.append(contentsOf: body)
        return bytes
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.appendVarint(UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }
}

/// The values of a column, as they lie in a block.
package protocol NativeData: Sendable {
    /// The type's name in ClickHouse.
    var type: String { get }
    func write(to bytes: inout [UInt8])
}

/// Numbers of one width, little-endian.
package struct NativeNumbers<Number: FixedWidthInteger & Sendable>: NativeData {
    package let type: String
    private var bytes: [UInt8] = []

    /// - Parameter type: such as `UInt64`, or `DateTime64(9)`, which is an `Int64` of nanoseconds since 1970.
    package init(_ type: String) {
        self.type = type
    }

    package mutating func append(_ number: Number) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    package func write(to target: inout [UInt8]) { target.append(contentsOf: bytes) }
}

/// Texts: of each the length as a varint, and the bytes. A table's `LowCardinality(String)` takes them too.
package struct NativeTexts: NativeData {
    package let type = "String"
    private var bytes: [UInt8] = []

    package init() {}

    package mutating func append(_ text: some Collection<UInt8>) {
        bytes.appendVarint(UInt64(text.count))
        bytes.append(contentsOf: text)
    }

    /// Texts that are encoded already.
    mutating func append(encoded: [UInt8]) { bytes.append(contentsOf: encoded) }

    package func write(to target: inout [UInt8]) { target.append(contentsOf: bytes) }
}

/// Numbers of which some are missing: first a byte for each row, 1 for `NULL`, then all of them, with something where there is none.
package struct NativeOptionals<Number: FixedWidthInteger & Sendable>: NativeData {
    private var missing: [UInt8] = []
    private var numbers: NativeNumbers<Number>

    package init(_ type: String) {
        numbers = NativeNumbers(type)
    }

    package var type: String { "Nullable(\(numbers.type))" }

    package mutating func append(_ number: Number?) {
        missing.append(number == nil ? 1 : 0)
        numbers.append(number ?? 0)
    }

    package func write(to target: inout [UInt8]) {
        target.append(contentsOf: missing)
        numbers.write(to: &target)
    }
}

/// Lists: first where each ends, counted in elements from the first row on, then all elements as a column of their own.
package struct NativeLists<Elements: NativeData>: NativeData {
    package var elements: Elements
    private var ends = NativeNumbers<UInt64>("UInt64")
    private var end: UInt64 = 0

    package init(_ elements: Elements) {
        self.elements = elements
    }

    package var type: String { "Array(\(elements.type))" }

    /// Ends a row's list: so many elements came since the row before.
    package mutating func endRow(_ count: Int) {
        end &+= UInt64(count)
        ends.append(end)
    }

    package func write(to target: inout [UInt8]) {
        ends.write(to: &target)
        elements.write(to: &target)
    }
}

/// Maps from texts to texts: ends as of lists, then all keys, then all values.
package struct NativeMaps: NativeData {
    package let type = "Map(String, String)"
    private var keys = NativeTexts()
    private var values = NativeTexts()
    private var ends = NativeNumbers<UInt64>("UInt64")
    private var end: UInt64 = 0

    package init() {}

    package mutating func append(_ map: NativeMap) {
        keys.append(encoded: map.keys)
        values.append(encoded: map.values)
        end &+= UInt64(map.count)
        ends.append(end)
    }

    package func write(to target: inout [UInt8]) {
        ends.write(to: &target)
        keys.write(to: &target)
        values.write(to: &target)
    }
}

/// One row's map, its texts encoded.
package struct NativeMap: Sendable {
    fileprivate var keys: [UInt8] = []
    fileprivate var values: [UInt8] = []
    fileprivate var count = 0

    package init() {}

    package mutating func append(_ key: some Collection<UInt8>, _ value: some Collection<UInt8>) {
        keys.appendVarint(UInt64(key.count))
        keys.append(contentsOf: key)
        values.appendVarint(UInt64(value.count))
        values.append(contentsOf: value)
        count += 1
    }

    package mutating func clear() {
        keys.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        count = 0
    }
}

extension [UInt8] {
    /// Seven bits a byte, the low ones first.
    fileprivate mutating func appendVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}
