public import SegmentFormat

/// Integers of a segment by row. Public, so that loops over rows are one function (docs/adr/0007).
public struct PassedIntegers {
    @usableFromInline let presence: RowPresence?
    @usableFromInline let values: [Int64]

    /// NULL in every row.
    init() {
        self.init(presence: nil, values: [])
    }

    /// A value in every row.
    init(_ values: [Int64]) { self.init(presence: nil, values: values) }

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
    @inline(__always)
    public subscript(row: Int) -> Int64? {
        guard let presence else { return row < values.count ? values[row] : nil }
        let position = presence.position(row)
        return position < 0 ? nil : values[position]
    }
}

/// Texts of a segment by row, each as a number among the distinct ones.
public struct PassedTexts {
    /// One may be there twice: resources share their services' names.
    public let texts: [String]
    @usableFromInline let numbers: [Int32]

    /// - Parameter numbered: of all rows.
    init(_ numbered: NumberedTexts) {
        texts = numbered.texts.map { String(decoding: $0, as: UTF8.self) }
        numbers = numbered.numbers
    }

    /// The number of a row's text in `texts`; -1 for NULL.
    @inlinable
    @inline(__always)
    public func number(_ row: Int) -> Int { Int(numbers[row]) }

    /// A text by its number; `nil` for -1.
    public func text(_ number: Int) -> String? { number < 0 ? nil : texts[number] }
}
