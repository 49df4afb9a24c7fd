import Testing

@testable import Ingest

struct AdmissionLedgerTests {
    private func ledger(requests: Int = 8, bytes: Int = 1000) -> AdmissionLedger {
        var limits = AdmissionLimits()
        limits.requestsMax = requests
        limits.bytesMax = bytes
        return AdmissionLedger(limits: limits)
    }

    /// Lets a request in, whole at once.
    private func take(_ ledger: inout AdmissionLedger, _ name: String, bytes: Int = 1) -> AdmissionRefusal? {
        if let refusal = ledger.enter(name, announced: bytes) { return refusal }
        let refusal = ledger.hold(name, bytes, own: 0)
        if let refusal {
            ledger.leave(name, bytes: 0, hasStarted: false)
            return refusal
        }
        let last = ledger.start(name)
        if last != nil { ledger.leave(name, bytes: bytes, hasStarted: false) }
        return last
    }

    @Test func whatFindsTheRoomEmptyIsLetInHoweverLarge() {
        var ledger = ledger()
        #expect(take(&ledger, "a", bytes: 5000) == nil)
        #expect(ledger.hold("a", 5000, own: 5000) == nil)
        #expect(take(&ledger, "b") == .bytes(limit: 1000))
        #expect(take(&ledger, "a") == .bytes(limit: 1000))
        ledger.leave("a", bytes: 10000, hasStarted: true)
        #expect(take(&ledger, "b") == nil)
        #expect(ledger.bytes == 1 && ledger.requests == 1 && ledger.clientCount == 1)
    }

    @Test func aFloodGetsHalfAndLeavesRoomForOthers() {
        var ledger = ledger()
        for _ in 0..<4 { #expect(take(&ledger, "flood") == nil) }
        #expect(take(&ledger, "flood") == .share(client: "flood"))
        #expect(take(&ledger, "quiet") == nil)
        #expect(take(&ledger, "other") == nil)
        #expect(take(&ledger, "flood") == .share(client: "flood"))
    }

    @Test func bytesAreSharedLikePlaces() {
        var ledger = ledger(requests: 100)
        #expect(take(&ledger, "flood", bytes: 450) == nil)
        #expect(take(&ledger, "flood", bytes: 100) == .share(client: "flood"))
        #expect(take(&ledger, "quiet", bytes: 100) == nil)
        #expect(ledger.hold("flood", 100, own: 450) == .share(client: "flood"))
        #expect(ledger.hold("quiet", 100, own: 100) == nil)
        #expect(take(&ledger, "third", bytes: 600) == .bytes(limit: 1000))
    }

    @Test func whoSendsSlowlyHoldsWhatItSentAndNoPlace() {
        var ledger = ledger(bytes: 1_000_000)
        for index in 0..<500 {
            #expect(ledger.enter("slow \(index)", announced: 900) == nil)
            #expect(ledger.hold("slow \(index)", 1, own: 0) == nil)
        }
        #expect(ledger.requests == 0 && ledger.bytes == 500)
        #expect(take(&ledger, "good", bytes: 1) == nil)
    }

    @Test func theRoomIsNeverFullerThanItsLimit() {
        var ledger = ledger()
        var admitted = 0
        for index in 0..<100 where take(&ledger, "client \(index)") == nil { admitted += 1 }
        #expect(admitted == 8)
        #expect(take(&ledger, "one more", bytes: 0) == .requests(limit: 8))
        #expect(ledger.clientCount == 8)
    }

    @Test("Whatever comes and goes, the account ends at nothing")
    func balance() {
        var ledger = ledger()
        var generator = SystemRandomNumberGenerator()
        var held: [(String, Int)] = []
        for _ in 0..<5000 {
            let name = "c\(UInt.random(in: 0..<5, using: &generator))"
            if Bool.random(using: &generator), let index = held.indices.randomElement(using: &generator) {
                ledger.leave(held[index].0, bytes: held[index].1, hasStarted: true)
                held.remove(at: index)
            } else {
                let bytes = Int.random(in: 0..<300, using: &generator)
                if take(&ledger, name, bytes: bytes) == nil { held.append((name, bytes)) }
            }
            #expect(ledger.requests == held.count)
            #expect(ledger.bytes == held.reduce(0) { $0 + $1.1 })
            #expect(ledger.clientCount == Set(held.map(\.0)).count)
        }
        for (name, bytes) in held { ledger.leave(name, bytes: bytes, hasStarted: true) }
        #expect(ledger.requests == 0 && ledger.bytes == 0 && ledger.clientCount == 0)
    }

    @Test func anAccountIsThereForAsLongAsItsClientOrARequestOfIt() {
        var ledger = ledger()
        let first = ledger.register("a")
        #expect(ledger.register("a") == first)
        #expect(ledger.enter(first, announced: 1) == nil)
        ledger.unregister(first)
        ledger.unregister(first)
        #expect(ledger.hold(first, 10, own: 0) == nil)
        #expect(ledger.bytes == 10 && ledger.clientCount == 1)
        ledger.leave(first, bytes: 10, hasStarted: false)
        #expect(ledger.bytes == 0 && ledger.clientCount == 0)
        // Its place is free for whoever comes next.
        #expect(ledger.register("b") == first)
    }
}

/// Clients by their names, registered for good.
extension AdmissionLedger {
    fileprivate mutating func enter(_ name: String, announced: Int) -> AdmissionRefusal? {
        enter(register(name), announced: announced)
    }

    fileprivate mutating func hold(_ name: String, _ more: Int, own: Int) -> AdmissionRefusal? {
        hold(register(name), more, own: own)
    }

    fileprivate mutating func start(_ name: String) -> AdmissionRefusal? { start(register(name)) }

    fileprivate mutating func leave(_ name: String, bytes: Int, hasStarted: Bool) {
        leave(register(name), bytes: bytes, hasStarted: hasStarted)
    }
}
