/// An attribute's value as Swift has it, for whoever makes spans. Spans that came in are never turned into these.
public indirect enum AttributeValue: Equatable, Sendable {
    case empty
    case string(String)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case array([AttributeValue])
    case keyValueList(AttributeList)
    case bytes([UInt8])
}

/// Attributes in order. Keys may repeat, as they may on the wire; whoever reads takes the last.
public struct AttributeList: Equatable, Sendable {
    public struct Element: Equatable, Sendable {
        public var key: String
        public var value: AttributeValue
    }

    public private(set) var elements: [Element] = []

    public init() {}

    public mutating func append(_ key: String, _ value: AttributeValue) {
        elements.append(Element(key: key, value: value))
    }

    public mutating func append(contentsOf other: AttributeList) {
        elements += other.elements
    }
}

extension AttributeList: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral pairs: (String, AttributeValue)...) {
        elements = pairs.map { Element(key: $0.0, value: $0.1) }
    }
}

extension AttributeValue: ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) { self = .string(value) }
}

extension AttributeValue: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int64) { self = .int(value) }
}

extension AttributeValue: ExpressibleByFloatLiteral {
    public init(floatLiteral value: Double) { self = .double(value) }
}

extension AttributeValue: ExpressibleByBooleanLiteral {
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension AttributeValue: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: AttributeValue...) { self = .array(elements) }
}

extension AttributeValue: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral pairs: (String, AttributeValue)...) {
        var list = AttributeList()
        for (key, value) in pairs { list.append(key, value) }
        self = .keyValueList(list)
    }
}

extension WireWriter {
    /// The attributes as `KeyValue` messages in that field.
    public mutating func attributes(_ field: Int, _ attributes: AttributeList) {
        for element in attributes.elements {
            message(field) { pair in
                pair.lengthDelimited(1, element.key.utf8)
                pair.message(2) { $0.anyValue(element.value) }
            }
        }
    }

    /// The fields of an `AnyValue`. What is set is written even when it is the default, since it is a member of a oneof.
    public mutating func anyValue(_ value: AttributeValue) {
        switch value {
        case .empty: break
        case .string(let text): lengthDelimited(1, text.utf8)
        case .bool(let flag): varint(2, flag ? 1 : 0)
        case .int(let number): varint(3, UInt64(bitPattern: number))
        case .double(let number): fixed64(4, number.bitPattern)
        case .array(let values):
            message(5) { array in
                for value in values { array.message(1) { $0.anyValue(value) } }
            }
        case .keyValueList(let list): message(6) { $0.attributes(1, list) }
        case .bytes(let data): lengthDelimited(7, data)
        }
    }
}
