/// A word of a fixed vocabulary in a condition: an unknown one is refused with those that there are, since it could only find nothing.
package enum KnownWord {
    /// The word, when it is one of `vocabulary`; `nil` for none.
    package static func checked<Word: RawRepresentable & CaseIterable>(
        _ text: String?, _ name: String, of vocabulary: Word.Type
    ) throws(QueryError) -> Word? where Word.RawValue == String {
        guard let text else { return nil }
        guard let word = Word(rawValue: text) else {
            let words = vocabulary.allCases.map(\.rawValue)
            let list = words.dropLast().joined(separator: ", ") + (words.count > 1 ? " or " : "") + (words.last ?? "")
            throw .invalid("\(name) is '\(text.prefix(100))', but must be \(list)")
        }
        return word
    }
}
