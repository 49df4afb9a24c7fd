import TelemetryModel

/// Lists that instrumentations write into flat keys, such as `llm.input_messages.0.message.role`, as the value that they stand for.
enum NumberedKeys {
    /// Keys of one list that are read.
    private static let keysMax = 20_000
    /// Parts of one key.
    private static let partsMax = 16

    private typealias Entry = (path: ArraySlice<Substring>, value: JSONValue)

    /// The list behind `prefix`, which ends with a dot; `nil` when no key begins with it.
    static func value(_ prefix: String, in attributes: JSONValue) -> JSONValue? {
        var entries: [Entry] = []
        for member in attributes.members where member.name.hasPrefix(prefix) {
            guard entries.count < keysMax else { break }
            let path = member.name.dropFirst(prefix.count).split(separator: ".", maxSplits: partsMax - 1)
            guard let first = path.first, Int(first) != nil else { continue }
            entries.append((path[...], member.value))
        }
        return entries.isEmpty ? nil : tree(entries)
    }

    /// The depth is bounded by the parts of a key.
    private static func tree(_ entries: [Entry]) -> JSONValue {
        if let leaf = entries.first(where: { $0.path.isEmpty }) { return leaf.value }
        var order: [Substring] = []
        var groups: [Substring: [Entry]] = [:]
        for entry in entries {
            guard let head = entry.path.first else { continue }
            if groups[head] == nil { order.append(head) }
            groups[head, default: []].append((entry.path.dropFirst(), entry.value))
        }
        let numbers = order.compactMap { Int($0) }
        if numbers.count == order.count {
            let sorted = zip(numbers, order).sorted { $0.0 < $1.0 }
            return .array(sorted.map { tree(groups[$0.1] ?? []) })
        }
        return .object(order.map { JSONValue.Member(String($0), tree(groups[$0] ?? [])) })
    }
}
