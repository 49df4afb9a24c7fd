import OTLP
import TelemetryModel

/// A small seeded generator, so that a failing run can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// A protobuf field as the wire shows it: what can be read as a message is one, whatever the schema says.
private indirect enum WireTree {
    /// The tag, and the value with its length prefix.
    case leaf(tag: UInt64, value: [UInt8])
    case message(tag: UInt64, fields: [WireTree])

    static func fields(_ bytes: ArraySlice<UInt8>, depth: Int = 0) -> [WireTree]? {
        var fields: [WireTree] = []
        var position = bytes.startIndex
        while position < bytes.endIndex {
            guard let tag = varint(bytes, &position), tag >> 3 > 0, tag >> 3 < 100 else { return nil }
            let start = position
            switch tag & 7 {
            case 0: guard varint(bytes, &position) != nil else { return nil }
            case 1: position += 8
            case 5: position += 4
            case 2:
                guard let count = varint(bytes, &position), count <= bytes.endIndex - position else { return nil }
                let value = bytes[position..<position + Int(count)]
                position = value.endIndex
                if depth < 12, !value.isEmpty, let nested = Self.fields(value, depth: depth + 1) {
                    fields.append(.message(tag: tag, fields: nested))
                    continue
                }
            default: return nil
            }
            guard position <= bytes.endIndex else { return nil }
            fields.append(.leaf(tag: tag, value: Array(bytes[start..<position])))
        }
        return fields
    }

    private static func varint(_ bytes: ArraySlice<UInt8>, _ position: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.endIndex, shift < 63 {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    func write(to writer: inout WireWriter) {
        switch self {
        case .leaf(let tag, let value):
            writer.varint(tag)
            writer.raw(value)
        case .message(let tag, let fields):
            var nested = WireWriter()
            for field in fields { field.write(to: &nested) }
            writer.varint(tag)
            writer.varint(UInt64(nested.bytes.count))
            writer.raw(nested.bytes)
        }
    }
}

/// Requests that are slightly wrong, made from good ones. The same seed makes the same requests.
struct Mutations {
    private let seeds: [[UInt8]]
    private let trees: [[WireTree]]
    private var generator: SplitMix

    init(of seeds: [[UInt8]], seed: UInt64) {
        self.seeds = seeds
        trees = seeds.compactMap { WireTree.fields($0[...]) }
        generator = SplitMix(state: seed)
    }

    /// The next request: its fields changed, repeated, gone or exchanged with lengths put right, or its bytes changed anyhow, or both.
    mutating func next() -> [UInt8] {
        let way = Int.random(in: 0..<10, using: &generator)
        var bytes = seeds[Int.random(in: seeds.indices, using: &generator)]
        if way < 8, var tree = trees.randomElement(using: &generator) {
            for _ in 0..<Int.random(in: 1...4, using: &generator) { mutate(&tree) }
            var writer = WireWriter()
            for field in tree { field.write(to: &writer) }
            bytes = writer.bytes
        }
        if way >= 7 {
            for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty { mutate(&bytes) }
        }
        return bytes
    }

    /// Goes down a random way and changes one field.
    private mutating func mutate(_ fields: inout [WireTree]) {
        guard let index = fields.indices.randomElement(using: &generator) else { return }
        if case .message(let tag, var nested) = fields[index], Int.random(in: 0..<5, using: &generator) > 0 {
            mutate(&nested)
            fields[index] = .message(tag: tag, fields: nested)
            return
        }
        switch Int.random(in: 0..<6, using: &generator) {
        case 0: fields.insert(fields[index], at: Int.random(in: 0...fields.count, using: &generator))
        case 1: fields.remove(at: index)
        case 2: fields.swapAt(index, Int.random(in: fields.indices, using: &generator))
        case 3:  // another field number, mostly with the wire type that it had
            let number = UInt64.random(in: 1...18, using: &generator)
            let change = Int.random(in: 0..<6, using: &generator) == 0 ? UInt64.random(in: 0...5, using: &generator) : 0
            fields[index] = renumbered(fields[index], to: number, typeChange: change)
        case 4:
            guard let donor = trees.randomElement(using: &generator), let field = descend(donor) else { return }
            fields[index] = field
        default:
            guard case .leaf(let tag, var value) = fields[index], !value.isEmpty else { return }
            // Not the length of a string, which comes first.
            let first = tag & 7 == 2 && value.count > 1 ? 1 : 0
            let position = Int.random(in: first..<value.count, using: &generator)
            value[position] = UInt8.random(in: 0...255, using: &generator)
            fields[index] = .leaf(tag: tag, value: value)
        }
    }

    private func renumbered(_ field: WireTree, to number: UInt64, typeChange: UInt64) -> WireTree {
        switch field {
        case .leaf(let tag, let value): .leaf(tag: number << 3 | (tag ^ typeChange) & 7, value: value)
        case .message(_, let fields): .message(tag: number << 3 | 2, fields: fields)
        }
    }

    private mutating func descend(_ fields: [WireTree]) -> WireTree? {
        guard let field = fields.randomElement(using: &generator) else { return nil }
        if case .message(_, let nested) = field, Int.random(in: 0..<4, using: &generator) > 0 { return descend(nested) }
        return field
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        let position = Int.random(in: bytes.indices, using: &generator)
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1: bytes[position] = UInt8.random(in: 0...255, using: &generator)
        case 2: bytes.removeSubrange(position...)
        case 3: bytes.remove(at: position)
        default:
            let other = seeds[Int.random(in: seeds.indices, using: &generator)]
            let start = Int.random(in: other.indices, using: &generator)
            bytes.insert(contentsOf: other[start..<min(other.count, start + 40)], at: position)
        }
    }
}

extension Captures {
    /// Each captured span alone in a request with its resource and scope, so that mutations find something to break.
    static func singleSpans(spansMax: Int) throws -> [[UInt8]] {
        var requests: [[UInt8]] = []
        for name in names {
            var taken = 0
            for request in try traces(name) {
                let batch = try TraceDecoder().decode(try request.inflated())
                for span in batch.spans where taken < spansMax {
                    var single = batch
                    single.spans = [span]
                    requests.append(TraceRequestMessage.encode(single))
                    taken += 1
                }
            }
        }
        return requests
    }
}
