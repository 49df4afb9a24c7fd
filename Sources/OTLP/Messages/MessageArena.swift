import COTLP
import TelemetryModel

/// Memory for the C structs and texts of one message. All of it is given back together, when the arena goes.
struct MessageArena: ~Copyable {
    private static let chunkBytes = 64 << 10
    private static let alignment = 16

    private var chunks: [UnsafeMutableRawPointer] = []
    private var used = 0
    private var capacity = 0

    init() {}

    deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    private mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let rounded = (byteCount + Self.alignment - 1) / Self.alignment * Self.alignment
        if let chunk = chunks.last, capacity - used >= rounded {
            defer { used += rounded }
            return chunk + used
        }
        capacity = max(Self.chunkBytes, rounded)
        used = rounded
        let chunk = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: Self.alignment)
        chunks.append(chunk)
        return chunk
    }

    /// A message struct that its generated `init` function has set up.
    mutating func message<Message>(_ initialize: (UnsafeMutablePointer<Message>?) -> Void) -> UnsafeMutablePointer<Message> {
        let message = allocate(MemoryLayout<Message>.size).bindMemory(to: Message.self, capacity: 1)
        initialize(message)
        return message
    }

    /// The elements as a C array; `nil` for none.
    mutating func array<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element>? {
        guard !elements.isEmpty else { return nil }
        let start = allocate(MemoryLayout<Element>.stride * elements.count)
            .bindMemory(to: Element.self, capacity: elements.count)
        start.initialize(from: elements, count: elements.count)
        return start
    }

    /// The bytes of a slice as a C string; `nil` when it is empty or holds a NUL, which a C string would end at.
    mutating func text(_ bytes: ArraySlice<UInt8>) -> UnsafeMutablePointer<CChar>? {
        guard !bytes.isEmpty, !bytes.contains(0) else { return nil }
        let start = copy(bytes, behind: [], terminated: true)
        return UnsafeMutableRawPointer(start).assumingMemoryBound(to: CChar.self)
    }

    mutating func binary(_ bytes: ArraySlice<UInt8>) -> ProtobufCBinaryData {
        ProtobufCBinaryData(len: bytes.count, data: copy(bytes, behind: [], terminated: false))
    }

    /// A field that is written as it stands: what is encoded already, and text that no C string can hold. protobuf-c keeps
    /// such fields for messages of later schemas, and writes them behind those that it knows.
    mutating func encodedField(_ field: UInt32, _ bytes: ArraySlice<UInt8>) -> ProtobufCMessageUnknownField {
        var prefix = WireWriter()
        prefix.varint(UInt64(bytes.count))
        return ProtobufCMessageUnknownField(
            tag: field, wire_type: PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, len: prefix.bytes.count + bytes.count,
            data: copy(bytes, behind: prefix.bytes, terminated: false))
    }

    /// Hangs encoded fields on a message.
    mutating func attach(_ fields: [ProtobufCMessageUnknownField], to base: inout ProtobufCMessage) {
        base.n_unknown_fields = UInt32(fields.count)
        base.unknown_fields = array(fields)
    }

    private mutating func copy(
        _ bytes: ArraySlice<UInt8>, behind prefix: [UInt8], terminated: Bool
    ) -> UnsafeMutablePointer<UInt8> {
        let count = prefix.count + bytes.count
        let start = allocate(max(1, count + (terminated ? 1 : 0))).bindMemory(to: UInt8.self, capacity: count + 1)
        let buffer = UnsafeMutableBufferPointer(start: start, count: count)
        _ = buffer.initialize(from: prefix)
        _ = buffer.extracting(prefix.count...).initialize(from: bytes)
        if terminated { (start + count).initialize(to: 0) }
        return start
    }
}
