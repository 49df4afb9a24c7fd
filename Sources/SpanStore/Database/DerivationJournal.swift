import SegmentFormat
import TelemetryModel

/// What one commit changed of counters and states, as a row of `derivation_journal`.
///
///     counter count    varint, then for each: id (varint), value (varint of its 64 bits)
///     removed count    varint, then for each state: kind, key (varint length, UTF-8)
///     state count      varint, then for each: kind, key, value (varint length, UTF-8)
struct DerivationJournal {
    var counters: [CounterValue] = []
    /// Removed before `states` are set; their values are not used.
    var removedStates: [StateRow] = []
    var states: [StateRow] = []

    init() {}

    var isEmpty: Bool { counters.isEmpty && removedStates.isEmpty && states.isEmpty }

    /// Roughly the length of the encoded row.
    var byteEstimate: Int {
        counters.count * 6 + states.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } + removedStates.count * 32
    }

    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteEstimate + 16)
        bytes.appendVarint(counters.count)
        for counter in counters {
            bytes.appendVarint(counter.id)
            bytes.appendVarint(Int(counter.value))
        }
        bytes.appendVarint(removedStates.count)
        for row in removedStates {
            bytes.appendPrefixed(row.kind)
            bytes.appendPrefixed(row.key)
        }
        bytes.appendVarint(states.count)
        for row in states {
            bytes.appendPrefixed(row.kind)
            bytes.appendPrefixed(row.key)
            bytes.appendPrefixed(row.value)
        }
        return bytes
    }

    init(decoding bytes: [UInt8]) throws(SegmentError) {
        var cursor = try ByteCursor(bytes)
        for _ in 0..<(try cursor.count()) { counters.append(CounterValue(id: try cursor.count(), value: Int64(try cursor.count()))) }
        for _ in 0..<(try cursor.count()) {
            removedStates.append(StateRow(kind: try cursor.prefixedText(), key: try cursor.prefixedText(), value: ""))
        }
        for _ in 0..<(try cursor.count()) {
            states.append(
                StateRow(kind: try cursor.prefixedText(), key: try cursor.prefixedText(), value: try cursor.prefixedText()))
        }
    }
}
