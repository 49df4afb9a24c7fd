public import TelemetryModel

/// Which traces a segment may hold: sorted 32-bit hashes of its trace ids. A trace that is not in it is not in the segment; one
/// that is may be there by one chance in four billion for each trace of the segment.
public struct TraceFilter: Sendable {
    package private(set) var hashes: [UInt32]

    package init(_ traces: [TraceID]) {
        hashes = traces.map(Self.hash).sorted()
    }

    /// Reads `bytes`; what is left over behind the last four is dropped.
    package init(bytes: [UInt8]) {
        let count = bytes.count / 4
        hashes = [UInt32](unsafeUninitializedCapacity: count) { target, filled in
            bytes.withUnsafeBytes { source in
                for index in 0..<count {
                    target.initializeElement(
                        at: index,
                        to: UInt32(littleEndian: source.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)))
                }
            }
            filled = count
        }
    }

    package var byteCount: Int { hashes.count * 4 }

    /// The stored form: the hashes, little-endian.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(hashes.count * 4)
        for hash in hashes { bytes.appendLittleEndian(UInt64(hash), width: 4) }
        return bytes
    }

    /// The same in every process, since it is stored.
    @inlinable
    public static func hash(_ trace: TraceID) -> UInt32 {
        UInt32(truncatingIfNeeded: ByteHash.mix(trace.high ^ 0x9E37_79B9_7F4A_7C15, trace.low ^ 0xD6E8_FEB8_6659_FD93))
    }

    package func mayContain(hash: UInt32) -> Bool {
        var low = 0
        var high = hashes.count
        while low < high {
            let middle = (low + high) >> 1
            if hashes[middle] < hash { low = middle + 1 } else { high = middle }
        }
        return low < hashes.count && hashes[low] == hash
    }

    /// Whether the segment may hold one of some traces, by their hashes.
    package func mayContain(oneOf wanted: Set<UInt32>) -> Bool {
        wanted.count < hashes.count ? wanted.contains(where: mayContain) : hashes.contains(where: wanted.contains)
    }
}
