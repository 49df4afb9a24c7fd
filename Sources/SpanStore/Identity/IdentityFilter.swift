import TelemetryModel

/// Says of nearly every new span that it is new, without a read: a Bloom filter over the identities of late.
///
/// Layers grow fourfold up to four million keys, so that a store of a few spans costs little memory; when there are five, the owner
/// drops the first: 33 MiB at most. Each layer is split into blocks of 64 bytes, one cache line; a key sets one bit in each of the
/// block's eight words. At 20 bits a key about one new span in five thousand is taken for a known one, and the exact check behind the
/// filter, which looks through all segments, says that it is not.
struct IdentityFilter {
    private static let firstLayerKeys = 1 << 18
    private static let layerKeysMax = 1 << 22
    private static let layersMax = 5
    private static let bitsPerKey = 20
    private static let wordsPerBlock = 8
    /// Keeps clients from choosing ids that collide.
    private let seed = HashSeed.process

    private struct Layer {
        var words: [UInt64]
        var keysLeft: Int
        let keyCount: Int

        init(keys: Int) {
            words = [UInt64](repeating: 0, count: keys * IdentityFilter.bitsPerKey / 64)
            keysLeft = keys
            keyCount = keys
        }
    }

    private var layers: [Layer] = []

    var layerCount: Int { layers.count }

    var isFull: Bool { layers.count > Self.layersMax }

    /// Forgets the oldest keys; the owner knows them otherwise.
    mutating func removeFirstLayer() {
        layers.removeFirst()
    }

    /// Adds a key; `true` when it may have been there before.
    @inline(__always)
    mutating func insert(_ identity: SpanIdentity) -> Bool {
        let (trace, span) = (identity.trace, identity.span)
        let side: UInt64 = identity.isServerSide ? 0xC2B2_AE3D_27D4_EB4F : 0
        let hash = ByteHash.mix(ByteHash.hash(trace.high, trace.low, seed), span.value ^ seed.second ^ side)
        let second = ByteHash.mix(hash, 0x9FB2_1C65_1E98_DF25)
        for index in layers.indices where contains(index, hash, second) { return true }
        if layers.last.map({ $0.keysLeft == 0 }) ?? true {
            layers.append(Layer(keys: min(Self.layerKeysMax, max(Self.firstLayerKeys, 4 * (layers.last?.keyCount ?? 0)))))
        }
        set(layers.count - 1, hash, second)
        return false
    }

    @inline(__always)
    private func block(_ layer: Int, _ hash: UInt64) -> Int {
        let blocks = UInt64(layers[layer].words.count / Self.wordsPerBlock)
        return Int(truncatingIfNeeded: hash.multipliedFullWidth(by: blocks).high) * Self.wordsPerBlock
    }

    @inline(__always)
    private func contains(_ layer: Int, _ hash: UInt64, _ second: UInt64) -> Bool {
        let start = block(layer, hash)
        var bits = second
        for word in 0..<Self.wordsPerBlock {
            if layers[layer].words[start &+ word] & (1 &<< (bits & 63)) == 0 { return false }
            bits >>= 6
        }
        return true
    }

    @inline(__always)
    private mutating func set(_ layer: Int, _ hash: UInt64, _ second: UInt64) {
        let start = block(layer, hash)
        layers[layer].words.withUnsafeMutableBufferPointer { words in
            var bits = second
            for word in 0..<Self.wordsPerBlock {
                words[start &+ word] |= 1 &<< (bits & 63)
                bits >>= 6
            }
        }
        layers[layer].keysLeft -= 1
    }
}
