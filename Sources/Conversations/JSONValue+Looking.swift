import TelemetryModel

/// Looking into values whose shape is somebody else's.
extension JSONValue {
    var members: [Member] {
        guard case .object(let members) = self else { return [] }
        return members
    }

    var elements: [JSONValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    var isNull: Bool { self == .null }

    /// The first of these members that is there and not null.
    func first(_ names: String...) -> JSONValue? {
        for name in names {
            if let value = self[name], !value.isNull { return value }
        }
        return nil
    }

    /// The first of these members that is a text with something in it.
    func firstText(_ names: String...) -> String? {
        for name in names {
            if let text = self[name]?.text, !text.isEmpty { return text }
        }
        return nil
    }

    /// The value that the text is, when it is an object or an array; else itself.
    var opened: JSONValue {
        guard case .string(let text) = self, let first = text.utf8.first(where: { $0 > 0x20 }) else { return self }
        guard first == UInt8(ascii: "{") || first == UInt8(ascii: "[") else { return self }
        return (try? JSONValue.parse(Array(text.utf8)[...], keepsDigits: true)) ?? self
    }

    var isEmpty: Bool {
        switch self {
        case .null: true
        case .string(let text): text.isEmpty
        case .array(let values): values.isEmpty
        case .object(let members): members.isEmpty
        default: false
        }
    }
}
