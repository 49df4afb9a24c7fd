import TelemetryModel
import Testing

@testable import Derivations

@Suite struct StateTextTests {
    @Test func whatIsWrittenIsReadBack() throws {
        var writer = StateWriter()
        writer.add("text", #"a "quoted" \ path, é"#)
        writer.add("empty", "")
        for number in [Int64.min, -1, 0, 7, 1_000, .max] { writer.add("n\(number)", number) }
        writer.add("yes", true)
        writer.add("no", false)
        let reader = try #require(StateReader(writer.finish()))
        #expect(reader.string("text") == #"a "quoted" \ path, é"# && reader.string("empty") == "")
        for number in [Int64.min, -1, 0, 7, 1_000, .max] { #expect(reader.integer("n\(number)") == number) }
        #expect(reader.bool("yes") == true && reader.bool("no") == false)
    }

    @Test func numbersAreWrittenAsSwiftWritesThem() {
        var numbers: [Int64] = [.min, .max]
        var power: Int64 = 1
        while power <= Int64.max / 10 {
            numbers += [power, power - 1, power + 1, 5 * power + power / 3].flatMap { [$0, -$0] }
            power *= 10
        }
        for number in numbers {
            var writer = StateWriter()
            writer.add("n", number)
            #expect(writer.finish() == "{\"n\":\(number)}")
        }
    }

    @Test func itIsJSONThatSQLReads() {
        var writer = StateWriter()
        writer.add("kind", "process")
        writer.add("since", -5)
        writer.add("expired", false)
        #expect(writer.finish() == #"{"kind":"process","since":-5,"expired":false}"#)
        #expect(StateWriter().finish() == "{}")
    }

    @Test(arguments: [0, 3] as [UInt32])
    func orderKeysAreReadBack(epoch: UInt32) throws {
        let key = OrderKey(
            epoch: epoch, time: -1, start: .min, traceID: TraceID(high: 0xAB, low: 1 << 63), spanID: SpanID(0xF00F), index: 65_535)
        var writer = StateWriter()
        writer.add("last", key)
        let text = try #require(StateReader(writer.finish())?.string("last"))
        #expect(text.hasPrefix("-1:-9223372036854775808:00000000000000ab8000000000000000:000000000000f00f:65535"))
        let read = try #require(OrderKey(text: text))
        #expect(!(read < key) && !(key < read) && read.epoch == epoch)
    }
}
