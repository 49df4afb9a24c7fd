import Foundation
import Synchronization
import Testing

@testable import Threads

@Suite struct BackgroundThreadTests {
    private final class Noted: Sendable {
        let numbers = Mutex<[Int]>([])
    }

    @Test func whatItIsGivenIsDoneInOrderAndBehindAllOthers() async {
        let thread = BackgroundThread("test")
        let noted = Noted()
        for number in 0..<100 { thread.async { noted.numbers.withLock { $0.append(number) } } }
        let isBehind = await withCheckedContinuation { continuation in
            thread.async {
                #if canImport(Darwin)
                    continuation.resume(returning: true)
                #else
                    continuation.resume(returning: sched_getscheduler(0) == BackgroundThread.idlePolicy)
                #endif
            }
        }
        #expect(noted.numbers.withLock { $0 } == Array(0..<100))
        #expect(isBehind)
    }

    @Test func workIsDoneThoughNobodyHoldsTheThreadAnyMore() async {
        await withCheckedContinuation { continuation in
            BackgroundThread("test").async { continuation.resume() }
        }
    }
}
