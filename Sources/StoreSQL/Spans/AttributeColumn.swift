import TelemetryModel

/// A hidden column of `spans` for a call on its attributes: `attr(attributes, 'key')` or `attr_type(attributes, 'key')`.
package struct AttributeColumn: Equatable, Sendable {
    package enum Call: String, CaseIterable, Sendable {
        case value = "attr"
        case type = "attr_type"
    }

    package var key: String
    package var call: Call

    package init(_ key: String, _ call: Call = .value) {
        self.key = key
        self.call = call
    }

    /// Keys are other ones where their bytes differ.
    package static func == (left: AttributeColumn, right: AttributeColumn) -> Bool { left.call == right.call && left.key.isExactly(right.key) }

    /// The call that it stands for.
    package var name: String { "\(call.rawValue)(attributes, '\(key.replacing("'", with: "''"))')" }

    var source: SpansColumn.Source {
        switch call {
        case .value: .attribute(key)
        case .type: .attributeType(key)
        }
    }
}
