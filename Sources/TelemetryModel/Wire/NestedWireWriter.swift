/// Appends protobuf wire bytes of messages whose length is known only when they end.
///
/// Lengths are kept aside while a message is open and put in by one last copy, so that nesting costs no moving of bytes: the work
/// is linear in the output whatever its depth. The lengths are as short as protobuf allows, so equal messages are equal bytes.
package struct NestedWireWriter: Sendable {
    /// A length that is still to be put in.
    private struct Frame {
        /// Where its message begins in `body`.
        var start: Int
        /// Bytes of the message, the lengths of messages in it included.
        var count: Int
    }

    /// Everything but the lengths of messages.
    private var body: [UInt8] = []
    /// In the order in which messages were begun.
    private var frames: [Frame] = []
    /// Indices of the frames that are open.
    private var open: [Int] = []

    package init() {}

    /// Bytes written so far, without the lengths of messages.
    package var count: Int { body.count }

    // MARK: Messages

    /// Begins a message in that field; each needs its `endMessage`.
    package mutating func beginMessage(_ field: Int) {
        tag(field, .lengthDelimited)
        open.append(frames.count)
        frames.append(Frame(start: body.count, count: 0))
    }

    /// Ends the message that was begun last.
    package mutating func endMessage() {
        guard let index = open.popLast() else { return }
        frames[index].count += body.count - frames[index].start
        guard let parent = open.last else { return }
        frames[parent].count += frames[index].count - (body.count - frames[index].start)
        frames[parent].count += Self.varintCount(frames[index].count)
    }

    /// The wire bytes.
    package consuming func finish() -> [UInt8] {
        guard !frames.isEmpty else { return body }
        var output = WireBytes(capacity: body.count + frames.count * 2)
        var position = 0
        for frame in frames {
            output.append(body[position..<frame.start])
            output.varint(UInt64(frame.count))
            position = frame.start
        }
        output.append(body[position...])
        return output.bytes
    }

    private static func varintCount(_ value: Int) -> Int {
        value < 0x80 ? 1 : (Int.bitWidth - value.leadingZeroBitCount + 6) / 7
    }

    // MARK: Fields

    package mutating func tag(_ field: Int, _ type: WireType) {
        varint(UInt64(truncatingIfNeeded: field) << 3 | UInt64(type.rawValue))
    }

    /// A bare varint: part of a field that another call began.
    package mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            body.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        body.append(UInt8(truncatingIfNeeded: rest))
    }

    /// Eight bytes, little-endian: part of a field that another call began.
    package mutating func fixed64(_ value: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { body.append(contentsOf: $0) }
    }

    /// Four bytes, little-endian: part of a field that another call began.
    package mutating func fixed32(_ value: UInt32) {
        withUnsafeBytes(of: value.littleEndian) { body.append(contentsOf: $0) }
    }

    /// A string or bytes.
    package mutating func lengthDelimited(_ field: Int, _ value: some Collection<UInt8>) {
        tag(field, .lengthDelimited)
        varint(UInt64(value.count))
        body.append(contentsOf: value)
    }

    /// A string or bytes that lie in `bytes`.
    package mutating func lengthDelimited(_ field: Int, _ bytes: RawSpan, _ range: WireRange) {
        tag(field, .lengthDelimited)
        varint(UInt64(range.count))
        bytes.extracting(range.offset..<range.end).withUnsafeBytes { body.append(contentsOf: $0) }
    }
}

/// Output of known capacity.
private struct WireBytes {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int) {
        bytes.reserveCapacity(capacity)
    }

    mutating func append(_ slice: ArraySlice<UInt8>) {
        bytes.append(contentsOf: slice)
    }

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}
