import Dispatch
import Synchronization
import Testing

@testable import Threads

@Suite struct WorkerThreadTests {
    @Test func itWorksUntilItIsStoppedAndWakesForThatFromAnyRest() {
        let worker = WorkerThread()
        let rounds = Atomic(0)
        let began = DispatchSemaphore(value: 0)
        worker.start("test", .utility) {
            repeat {
                rounds.add(1, ordering: .relaxed)
                began.signal()
            } while worker.rest(.seconds(Int64.max))
        }
        began.wait()
        worker.stop()
        #expect(rounds.load(ordering: .relaxed) == 1 && worker.isStopping)
        // Whoever comes later need not wait.
        worker.waitUntilStopped()
    }

    @Test func aRestEndsByItself() {
        let worker = WorkerThread()
        let done = DispatchSemaphore(value: 0)
        worker.start("test", .utility) {
            #expect(worker.rest(.zero) && worker.rest(.nanoseconds(-1)) && worker.rest(.microseconds(1)))
            done.signal()
        }
        done.wait()
        worker.stop()
    }

    @Test func itIsWaitedForNoLongerThanAsked() {
        let worker = WorkerThread()
        let end = DispatchSemaphore(value: 0)
        worker.start("test", .utility) { end.wait() }
        worker.askToStop()
        worker.waitUntilStopped(.now())
        end.signal()
        worker.waitUntilStopped()
    }
}
