/// Structures in Thrift's compact protocol, as the footer and the page heads of Parquet are written.
struct ThriftWriter {
    private enum Kind: UInt8 {
        case yes = 1
        case no = 2
        case int32 = 5
        case int64 = 6
        case binary = 8
        case list = 9
        case structure = 12
    }

    private(set) var bytes: [UInt8] = []
    /// The number of the field before, for each structure that is open.
    private var lastFields: [Int] = [0]

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    private mutating func zigzag(_ value: Int64) { varint(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    private mutating func field(_ number: Int, _ kind: Kind) {
        let last = lastFields[lastFields.count - 1]
        let step = number - last
        if step > 0 && step < 16 {
            bytes.append(UInt8(step) << 4 | kind.rawValue)
        } else {
            bytes.append(kind.rawValue)
            zigzag(Int64(number))
        }
        lastFields[lastFields.count - 1] = number
    }

    mutating func int32(_ number: Int, _ value: Int) {
        field(number, .int32)
        zigzag(Int64(value))
    }

    mutating func int64(_ number: Int, _ value: Int) {
        field(number, .int64)
        zigzag(Int64(value))
    }

    mutating func bool(_ number: Int, _ value: Bool) { field(number, value ? .yes : .no) }

    mutating func binary(_ number: Int, _ value: some Collection<UInt8>) {
        field(number, .binary)
        text(value)
    }

    private mutating func text(_ value: some Collection<UInt8>) {
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }

    mutating func structure(_ number: Int, _ body: (inout ThriftWriter) -> Void) {
        field(number, .structure)
        structure(body)
    }

    /// A structure without a number: of a list, or the outermost.
    mutating func structure(_ body: (inout ThriftWriter) -> Void) {
        lastFields.append(0)
        body(&self)
        lastFields.removeLast()
        bytes.append(0)
    }

    private mutating func listHead(_ number: Int, _ kind: Kind, count: Int) {
        field(number, .list)
        if count < 15 {
            bytes.append(UInt8(count) << 4 | kind.rawValue)
        } else {
            bytes.append(0xF0 | kind.rawValue)
            varint(UInt64(count))
        }
    }

    mutating func list<Element>(_ number: Int, _ elements: [Element], _ body: (inout ThriftWriter, Element) -> Void) {
        listHead(number, .structure, count: elements.count)
        for element in elements { structure { body(&$0, element) } }
    }

    mutating func list(_ number: Int, _ values: [Int]) {
        listHead(number, .int32, count: values.count)
        for value in values { zigzag(Int64(value)) }
    }

    mutating func list(_ number: Int, _ texts: [String]) {
        listHead(number, .binary, count: texts.count)
        for value in texts { text(Array(value.utf8)) }
    }
}
