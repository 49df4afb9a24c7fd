import TelemetryModel

/// One column of all segments that are being merged: its values by row, the rows of the first segment before those of the second.
struct GatheredColumn {
    /// For each row 0 when it has no value, else the kind's number plus one.
    private(set) var kinds: [UInt8]
    /// For each row its value: an integer, a double's bits, a bool, a text's number in `texts`, or a slice of `blobs` (offset in
    /// the upper half, count in the lower).
    private(set) var payloads: [UInt64]
    private(set) var texts = ByteStringTable(slotCount: 64)
    private(set) var blobs: [UInt8] = []
    private(set) var valueCount = 0
    /// Bit (kind's number) is set for each kind that occurs.
    private(set) var kindSet: UInt16 = 0

    init(rowCount: Int) {
        kinds = [UInt8](repeating: 0, count: rowCount)
        payloads = [UInt64](repeating: 0, count: rowCount)
    }

    @inline(__always)
    private mutating func set(_ row: Int, _ kind: AttributeKind, _ payload: UInt64) {
        kinds[row] = kind.rawValue + 1
        payloads[row] = payload
        kindSet |= 1 << UInt16(kind.rawValue)
        valueCount += 1
    }

    mutating func set(_ row: Int, integer: Int64) {
        set(row, .int, UInt64(bitPattern: integer))
    }

    mutating func set(_ row: Int, blob: [UInt8]) {
        set(row, .bytes, UInt64(blobs.count) << 32 | UInt64(blob.count))
        blobs.append(contentsOf: blob)
    }

    func text(_ row: Int) -> WireRange { texts.ranges[Int(payloads[row])].range }

    func blob(_ row: Int) -> Range<Int> {
        let offset = Int(payloads[row] >> 32)
        return offset..<offset + Int(payloads[row] & 0xFFFF_FFFF)
    }

    // MARK: Gathering

    /// Takes a segment's column, whose first row that is taken is row `base`.
    mutating func gather(_ column: DecodedColumn, base: Int, of rows: TakenRows) {
        let target = Target(column: column, base: base, rows: rows)
        switch column.values {
        case .integers(let values): set(target, .int) { UInt64(bitPattern: values[$0]) }
        case .fixed(let values): set(target, .int) { values[$0] }
        case .doubles(let values): set(target, .double) { values[$0] }
        case .bools(let values): set(target, .bool) { values[$0] != 0 ? 1 : 0 }
        case .dictionary(let entries, let packed) where rows.takesAll:
            let numbers = entries.map { number($0, column.bytes) }
            set(target, .string) { numbers[packed[$0]] }
        // Texts of rows that are left out must not be numbered.
        case .dictionary(let entries, let packed):
            forEach(column, rows) { $0.set(base + $1, .string, $0.number(entries[packed[$2]], column.bytes)) }
        case .texts(let ranges) where rows.takesAll:
            let numbers = ranges.map { number($0, column.bytes) }
            set(target, .string) { numbers[$0] }
        case .texts(let ranges):
            forEach(column, rows) { $0.set(base + $1, .string, $0.number(ranges[$2], column.bytes)) }
        case .encoded(let kind, let ranges):
            forEach(column, rows) { $0.setBlob(base + $1, kind, column.bytes[ranges[$2]]) }
        case .mixed(let values):
            forEach(column, rows) { $0.set(base + $1, mixed: values[$2], column.bytes) }
        case .empties: set(target, .empty) { _ in 0 }
        case .references: break
        }
    }

    /// The rows that a segment's column goes to.
    private struct Target {
        let column: DecodedColumn
        let base: Int
        let rows: TakenRows
    }

    /// Sets values of one kind, by their positions in the segment's column.
    @inline(__always)
    private mutating func set(_ target: Target, _ kind: AttributeKind, _ payload: (Int) -> UInt64) {
        let (base, rows) = (target.base, target.rows)
        precondition(base >= 0 && base &+ rows.count <= kinds.count)
        var count = 0
        // By pointers: an array would ask for each value whether it is shared.
        kinds.withUnsafeMutableBufferPointer { kinds in
            payloads.withUnsafeMutableBufferPointer { payloads in
                target.column.forEachPosition(rows.rowCount) { row, position in
                    guard let number = rows.number(row) else { return }
                    kinds[base &+ number] = kind.rawValue &+ 1
                    payloads[base &+ number] = payload(position)
                    count &+= 1
                }
            }
        }
        if count > 0 { kindSet |= 1 << UInt16(kind.rawValue) }
        valueCount += count
    }

    /// Calls `body` with each row that is taken and has a value, by its number, and the value's position.
    @inline(__always)
    private mutating func forEach(_ column: DecodedColumn, _ rows: TakenRows, _ body: (inout Self, Int, Int) -> Void) {
        guard let presence = column.presence else {
            for row in 0..<rows.rowCount {
                if let number = rows.number(row) { body(&self, number, row) }
            }
            return
        }
        presence.forEach { row, position in
            if let number = rows.number(row) { body(&self, number, position) }
        }
    }

    private mutating func set(_ row: Int, mixed value: DecodedValue, _ bytes: [UInt8]) {
        switch value {
        case .absent: break
        case .empty: set(row, .empty, 0)
        case .integer(let integer): set(row, .int, UInt64(bitPattern: integer))
        case .double(let double): set(row, .double, double.bitPattern)
        case .bool(let bool): set(row, .bool, bool ? 1 : 0)
        case .text(let range): set(row, .string, number(range, bytes))
        case .encoded(let kind, let range): setBlob(row, kind, bytes[range])
        }
    }

    private mutating func number(_ range: Range<Int>, _ bytes: [UInt8]) -> UInt64 {
        let wire = WireRange(offset: range.lowerBound, count: range.count)
        return UInt64(texts.insert(wire, in: bytes.span.bytes).index)
    }

    private mutating func setBlob(_ row: Int, _ kind: AttributeKind, _ bytes: ArraySlice<UInt8>) {
        set(row, kind, UInt64(blobs.count) << 32 | UInt64(bytes.count))
        blobs.append(contentsOf: bytes)
    }
}
