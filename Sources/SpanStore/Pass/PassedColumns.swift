/// Integers of a segment by row. Public, so that loops over rows are one function (docs/adr/0007).
public struct PassedIntegers {
    @usableFromInline let positions: [Int32]?
    @usableFromInline let values: [Int64]

    /// NULL in every row.
    init() {
        self.init(positions: nil, values: [])
    }

    private init(positions: [Int32]?, values: [Int64]) {
        self.positions = positions
        self.values = values
    }

    init(_ column: DecodedColumn?) {
        switch column?.values {
        case .integers(let values): self.init(positions: column?.positions, values: values)
        case .fixed(let words): self.init(positions: column?.positions, values: words.map { Int64(bitPattern: $0) })
        default: self.init()
        }
    }

    init(rowByRow count: Int, _ value: (Int) throws -> Int64?) rethrows {
        var values: [Int64] = []
        var positions: [Int32]?
        values.reserveCapacity(count)
        for row in 0..<count {
            if let value = try value(row) {
                positions?.append(Int32(truncatingIfNeeded: values.count))
                values.append(value)
            } else {
                // The first row without a value: those before it have one each.
                if positions == nil { positions = (0..<Int32(truncatingIfNeeded: row)).map { $0 } }
                positions?.append(-1)
            }
        }
        self.init(positions: positions, values: values)
    }

    /// Whether no row has a value.
    public var isEmpty: Bool { values.isEmpty }

    @inlinable
    public subscript(row: Int) -> Int64? {
        guard let positions else { return row < values.count ? values[row] : nil }
        let position = Int(positions[row])
        return position < 0 ? nil : values[position]
    }
}

/// Texts of a segment by row, each as a number among the distinct ones.
public struct PassedTexts {
    /// The distinct texts.
    public let texts: [String]
    @usableFromInline let positions: [Int32]?
    @usableFromInline let numbers: [Int32]

    /// NULL in every row.
    init() {
        self.init(texts: [], positions: nil, numbers: [])
    }

    private init(texts: [String], positions: [Int32]?, numbers: [Int32]) {
        self.texts = texts
        self.positions = positions
        self.numbers = numbers
    }

    /// Texts by a column that counts them.
    init(texts: [String], numbers column: DecodedColumn?) throws {
        guard case .integers(let values)? = column?.values else { throw SegmentError.damaged("a span of no resource") }
        guard values.allSatisfy({ $0 >= 0 && $0 < texts.count }) else { throw SegmentError.damaged("a span of no resource") }
        self.init(texts: texts, positions: column?.positions, numbers: values.map { Int32(truncatingIfNeeded: $0) })
    }

    init(_ column: DecodedColumn, spanCount: Int) {
        if case .dictionary(let entries, let indices) = column.values {
            self.init(
                texts: entries.map { String(decoding: column.bytes[$0], as: UTF8.self) }, positions: column.positions,
                numbers: indices.map { Int32(bitPattern: $0) })
            return
        }
        var known: [String: Int32] = [:]
        var texts: [String] = []
        let numbers = (0..<spanCount).map { row -> Int32 in
            guard case .text(let range) = column.value(row) else { return -1 }
            let text = String(decoding: column.bytes[range], as: UTF8.self)
            if let number = known[text] { return number }
            let number = Int32(truncatingIfNeeded: texts.count)
            known[text] = number
            texts.append(text)
            return number
        }
        self.init(texts: texts, positions: nil, numbers: numbers)
    }

    /// The number of a row's text in `texts`; -1 for NULL.
    @inlinable
    public func number(_ row: Int) -> Int {
        guard let positions else { return row < numbers.count ? Int(numbers[row]) : -1 }
        let position = Int(positions[row])
        return position < 0 ? -1 : Int(numbers[position])
    }

    /// A text by its number; `nil` for -1.
    public func text(_ number: Int) -> String? { number < 0 ? nil : texts[number] }
}

/// Which rows of a segment have a value.
public struct PassedPresence {
    @usableFromInline enum Rows {
        case none, all
        case some([Int32])
    }

    @usableFromInline let rows: Rows

    init(_ presence: DecodedColumn.Presence?) {
        switch presence {
        case nil: rows = .none
        case .all?: rows = .all
        case .positions(let positions)?: rows = .some(positions)
        }
    }

    @inlinable
    public subscript(row: Int) -> Bool {
        switch rows {
        case .none: false
        case .all: true
        case .some(let positions): positions[row] >= 0
        }
    }
}
