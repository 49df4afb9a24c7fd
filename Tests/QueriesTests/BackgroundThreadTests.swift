import Foundation
import Synchronization
import Testing

@testable import Queries

@Suite struct BackgroundThreadTests {
    private final class Noted: Sendable {
        let numbers = Mutex<[Int]>([])
    }

    @Test func whatItIsGivenIsDoneInOrderAndBehindAllOthers() async {
        let thread = BackgroundThread("test")
        let noted = Noted()
        for number in 0..<100 { thread.async { noted.numbers.withLock { $0.append(number) } } }
        let niceness = await withCheckedContinuation { continuation in
            thread.async {
                #if canImport(Darwin)
                    continuation.resume(returning: BackgroundThread.niceness)
                #else
                    continuation.resume(returning: getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0))
                #endif
            }
        }
        #expect(noted.numbers.withLock { $0 } == Array(0..<100))
        // The tests themselves may stand back already.
        #expect(niceness >= BackgroundThread.niceness)
    }

    @Test func workIsDoneThoughNobodyHoldsTheThreadAnyMore() async {
        await withCheckedContinuation { continuation in
            BackgroundThread("test").async { continuation.resume() }
        }
    }
}
