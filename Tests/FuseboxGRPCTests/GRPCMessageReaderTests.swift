import FuseboxHTTP
import NIOCore
import Testing

@testable import FuseboxGRPC

struct GRPCMessageReaderTests {
    /// What a reader makes of a body that comes in pieces of a length; `nil` when it refuses.
    private func read(_ body: [UInt8], pieces: Int, limit: Int = 100) -> [UInt8]? {
        var reader = GRPCMessageReader(limit: limit)
        var message: [UInt8] = []
        do throws(Refusal) {
            for start in stride(from: 0, to: body.count, by: pieces) {
                let piece = ByteBuffer(bytes: body[start..<min(start + pieces, body.count)])
                if let bytes = try reader.take(piece) { message += Array(bytes.readableBytesView) }
            }
            try reader.end()
        } catch {
            return nil
        }
        return message
    }

    @Test(arguments: 1...9)
    func aMessageIsReadInWhateverPiecesItComes(_ pieces: Int) {
        #expect(read([0, 0, 0, 0, 3, 7, 8, 9], pieces: pieces) == [7, 8, 9])
        #expect(read([1, 0, 0, 0, 0], pieces: pieces) == [])
    }

    @Test(arguments: 1...9)
    func whatIsNotExactlyOneMessageIsRefused(_ pieces: Int) {
        #expect(read([], pieces: pieces) == nil)
        #expect(read([0, 0, 0, 0], pieces: pieces) == nil)
        #expect(read([0, 0, 0, 0, 3, 7, 8], pieces: pieces) == nil)
        #expect(read([0, 0, 0, 0, 3, 7, 8, 9, 0], pieces: pieces) == nil)
        #expect(read([2, 0, 0, 0, 0], pieces: pieces) == nil)
        #expect(read([0, 0, 0, 0, 101, 1], pieces: pieces) == nil)
        #expect(read([0, 255, 255, 255, 255, 1], pieces: pieces) == nil)
    }

    @Test func aMessageIsFramedAsItIsRead() {
        let framed = GRPCMessageReader.framed([1, 2, 3])
        #expect(read(Array(framed.readableBytesView), pieces: 2) == [1, 2, 3])
    }
}
