import Testing

@testable import Ingest

struct AdmissionLedgerTests {
    private func ledger(requests: Int = 8, bytes: Int = 1000) -> AdmissionLedger {
        var limits = AdmissionLimits()
        limits.requestsMax = requests
        limits.bytesMax = bytes
        return AdmissionLedger(limits: limits)
    }

    @Test func aLoneRequestIsLetInHoweverLarge() {
        var ledger = ledger()
        #expect(ledger.admit("a", bytes: 5000) == nil)
        #expect(ledger.grow("a", by: 5000) == nil)
        #expect(ledger.admit("b", bytes: 1) == .bytes(limit: 1000))
        ledger.release("a", bytes: 10000)
        #expect(ledger.admit("b", bytes: 1) == nil)
        #expect(ledger.bytes == 1 && ledger.requests == 1 && ledger.clientCount == 1)
    }

    @Test func aFloodGetsHalfAndLeavesRoomForOthers() {
        var ledger = ledger()
        for _ in 0..<4 { #expect(ledger.admit("flood", bytes: 1) == nil) }
        #expect(ledger.admit("flood", bytes: 1) == .share(client: "flood"))
        #expect(ledger.admit("quiet", bytes: 1) == nil)
        #expect(ledger.admit("other", bytes: 1) == nil)
        #expect(ledger.admit("flood", bytes: 1) == .share(client: "flood"))
    }

    @Test func bytesAreSharedLikeRequests() {
        var ledger = ledger(requests: 100)
        #expect(ledger.admit("flood", bytes: 450) == nil)
        #expect(ledger.admit("flood", bytes: 100) == .share(client: "flood"))
        #expect(ledger.admit("quiet", bytes: 100) == nil)
        #expect(ledger.grow("flood", by: 100) == .share(client: "flood"))
        #expect(ledger.grow("quiet", by: 100) == nil)
        #expect(ledger.admit("third", bytes: 600) == .bytes(limit: 1000))
    }

    @Test func theRoomIsNeverFullerThanItsLimit() {
        var ledger = ledger()
        var admitted = 0
        for index in 0..<100 where ledger.admit("client \(index)", bytes: 1) == nil { admitted += 1 }
        #expect(admitted == 8)
        #expect(ledger.admit("one more", bytes: 0) == .requests(limit: 8))
    }

    @Test("Whatever comes and goes, the account ends at nothing")
    func balance() {
        var ledger = ledger()
        var generator = SystemRandomNumberGenerator()
        var held: [(String, Int)] = []
        for _ in 0..<5000 {
            let name = "c\(UInt.random(in: 0..<5, using: &generator))"
            if Bool.random(using: &generator), let index = held.indices.randomElement(using: &generator) {
                ledger.release(held[index].0, bytes: held[index].1)
                held.remove(at: index)
            } else {
                let bytes = Int.random(in: 0..<300, using: &generator)
                if ledger.admit(name, bytes: bytes) == nil { held.append((name, bytes)) }
            }
            #expect(ledger.requests == held.count)
            #expect(ledger.bytes == held.reduce(0) { $0 + $1.1 })
            #expect(ledger.clientCount == Set(held.map(\.0)).count)
        }
        for (name, bytes) in held { ledger.release(name, bytes: bytes) }
        #expect(ledger.requests == 0 && ledger.bytes == 0 && ledger.clientCount == 0)
    }
}
