import TelemetryModel

/// What llama.cpp says of its slots: `GET /slots`.
package struct SlotList: Equatable, Sendable {
    /// Slots that work.
    package var busy = 0
    package var count = 0
    /// Moves when their work does.
    package var mark: UInt64 = 0

    /// `nil` when the text is no such list.
    package init?(_ text: [UInt8]) {
        guard case .array(let slots) = try? JSONValue.parse(text[...]) else { return nil }
        count = slots.count
        for slot in slots {
            if slot["is_processing"] == .bool(true) { busy += 1 }
            for name in ["id_task", "n_prompt_tokens_processed", "n_decoded"] { mix(slot[name]) }
            if case .array(let next) = slot["next_token"] {
                for token in next.prefix(1) { mix(token["n_decoded"]) }
            } else {
                mix(slot["next_token"]?["n_decoded"])
            }
        }
    }

    private mutating func mix(_ value: JSONValue?) {
        var number: UInt64 = 0
        if case .integer(let integer) = value { number = UInt64(bitPattern: integer) }
        mark = (mark ^ number) &* 0x9E37_79B9_7F4A_7C15
        mark ^= mark >> 29
    }
}
