import TelemetryModel

/// Values of an expression for some rows of a segment, in their order.
struct Vector {
    enum Values {
        /// The same for all.
        case constant(SQLScalar)
        case integers([Int64])
        case doubles([Double])
        /// Each as the number of an entry, or -1 for NULL. An entry may be there twice.
        case texts(numbers: [Int32], entries: [[UInt8]])
        /// Ids of spans, which SQL shows as sixteen digits.
        case identifiers([UInt64])
        case scalars([SQLScalar])
    }

    var values: Values
    /// For each row of integers, doubles and identifiers whether it is NULL; `nil` where none is.
    var isNull: [Bool]?

    init(_ values: Values, isNull: [Bool]? = nil) {
        self.values = values
        self.isNull = isNull
    }

    static let null = Vector(.constant(.null))

    /// For each row whether it is NULL; `nil` where none is.
    func nulls(_ count: Int) -> [Bool]? {
        switch values {
        case .constant(let scalar): scalar.isNull ? [Bool](repeating: true, count: count) : nil
        case .integers, .doubles, .identifiers: isNull
        case .texts(let numbers, _): numbers.map { $0 < 0 }
        case .scalars(let scalars): scalars.map(\.isNull)
        }
    }

    func scalar(_ row: Int) -> SQLScalar {
        switch values {
        case .constant(let scalar): scalar
        case .integers(let integers): isNull?[row] == true ? .null : .integer(integers[row])
        case .doubles(let doubles): isNull?[row] == true ? .null : .double(doubles[row])
        case .texts(let numbers, let entries): numbers[row] < 0 ? .null : .text(entries[Int(numbers[row])])
        case .identifiers(let words): isNull?[row] == true ? .null : .text(Self.digits(words[row]))
        case .scalars(let scalars): scalars[row]
        }
    }

    private static func digits(_ word: UInt64) -> [UInt8] {
        var digits = SpanID(word).hexadecimalDigits
        return withUnsafeBytes(of: &digits) { Array($0) }
    }

    /// Integers for so many rows, with NULLs; `nil` when there is another value among them.
    func integers(_ count: Int) -> (values: [Int64], isNull: [Bool]?)? {
        switch values {
        case .integers(let integers): return (integers, isNull)
        case .constant(.integer(let integer)): return ([Int64](repeating: integer, count: count), nil)
        case .constant(.null): return ([Int64](repeating: 0, count: count), [Bool](repeating: true, count: count))
        default: return nil
        }
    }
}

/// Something that only SQL, row by row, gets right or says the error of: the statement's plain form has the answer.
struct NotByColumn: Error {}
