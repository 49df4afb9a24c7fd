/// Integers of a segment by row. Public, so that loops over rows are one function (docs/adr/0007).
public struct PassedIntegers {
    @usableFromInline let presence: RowPresence?
    @usableFromInline let values: [Int64]

    /// NULL in every row.
    init() {
        self.init(presence: nil, values: [])
    }

    private init(presence: RowPresence?, values: [Int64]) {
        self.presence = presence
        self.values = values
    }

    init(_ column: DecodedColumn?) {
        switch column?.values {
        case .integers(let values): self.init(presence: column?.presence, values: values)
        case .fixed(let words): self.init(presence: column?.presence, values: words.map { Int64(bitPattern: $0) })
        default: self.init()
        }
    }

    init(rowByRow count: Int, _ value: (Int) throws -> Int64?) rethrows {
        var values: [Int64] = []
        var bits = RowBits(rowCount: count)
        values.reserveCapacity(count)
        for row in 0..<count {
            guard let value = try value(row) else { continue }
            bits.insert(row)
            values.append(value)
        }
        self.init(presence: values.count == count ? nil : RowPresence(bits), values: values)
    }

    /// Whether no row has a value.
    public var isEmpty: Bool { values.isEmpty }

    @inlinable
    public subscript(row: Int) -> Int64? {
        guard let presence else { return row < values.count ? values[row] : nil }
        let position = presence.position(row)
        return position < 0 ? nil : values[position]
    }
}

/// Texts of a segment by row, each as a number among the distinct ones.
public struct PassedTexts {
    /// The distinct texts.
    public let texts: [String]
    @usableFromInline let presence: RowPresence?
    @usableFromInline let numbers: [Int32]

    /// NULL in every row.
    init() {
        self.init(texts: [], presence: nil, numbers: [])
    }

    private init(texts: [String], presence: RowPresence?, numbers: [Int32]) {
        self.texts = texts
        self.presence = presence
        self.numbers = numbers
    }

    /// Texts by a column that counts them.
    init(texts: [String], numbers column: DecodedColumn?) throws {
        guard case .integers(let values)? = column?.values else { throw SegmentError.damaged("a span of no resource") }
        guard values.allSatisfy({ $0 >= 0 && $0 < texts.count }) else { throw SegmentError.damaged("a span of no resource") }
        self.init(texts: texts, presence: column?.presence, numbers: values.map { Int32(truncatingIfNeeded: $0) })
    }

    init(_ column: DecodedColumn, spanCount: Int) {
        if case .dictionary(let entries, let packed) = column.values {
            self.init(
                texts: entries.map { String(decoding: column.bytes[$0], as: UTF8.self) }, presence: column.presence,
                numbers: (0..<packed.count).map { Int32(truncatingIfNeeded: packed[$0]) })
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
        self.init(texts: texts, presence: nil, numbers: numbers)
    }

    /// The number of a row's text in `texts`; -1 for NULL.
    @inlinable
    public func number(_ row: Int) -> Int {
        guard let presence else { return row < numbers.count ? Int(numbers[row]) : -1 }
        let position = presence.position(row)
        return position < 0 ? -1 : Int(numbers[position])
    }

    /// A text by its number; `nil` for -1.
    public func text(_ number: Int) -> String? { number < 0 ? nil : texts[number] }
}
