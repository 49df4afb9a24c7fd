import SpanStore
import Testing

/// The policy alone: no clock, no file.
@Suite struct CheckpointPolicyTests {
    private func log(_ mebibytes: Int64, copied: Int64) -> CheckpointPolicy.Log {
        CheckpointPolicy.Log(bytes: mebibytes << 20, copiedBytes: copied << 20)
    }

    /// What a run does when every step leaves the log so, and none succeeds.
    private func steps(
        _ policy: inout CheckpointPolicy, _ log: CheckpointPolicy.Log, now: Duration = .zero
    ) -> [CheckpointPolicy.Step] {
        var steps: [CheckpointPolicy.Step] = []
        var step = policy.first(fileBytes: log.bytes)
        while step != .rest {
            steps.append(step)
            step = policy.next(after: step, log: log, isOver: false, now: now)
        }
        return steps
    }

    @Test func aShortLogIsLeftAlone() {
        var policy = CheckpointPolicy()
        #expect(policy.first(fileBytes: 15 << 20) == .rest)
    }

    @Test func aLogOfSomeLengthIsCopiedBesideTheWriterAndNobodyWaits() {
        var policy = CheckpointPolicy()
        #expect(steps(&policy, log(40, copied: 10)) == [.copy])
    }

    @Test func aLogThatIsLongStartsOverWithoutAnyWaitWhenNobodyReads() {
        var policy = CheckpointPolicy()
        #expect(policy.first(fileBytes: 50 << 20) == .copy)
        #expect(policy.next(after: .copy, log: log(50, copied: 49), isOver: false, now: .zero) == .restart)
        #expect(policy.next(after: .restart, log: log(50, copied: 50), isOver: true, now: .zero) == .rest)
        #expect(policy.heldFor(now: .seconds(1)) == nil)
    }

    @Test func whatCommitsBroughtMeanwhileIsCopiedInMorePassesBeforeTheyAreHeld() {
        var policy = CheckpointPolicy()
        #expect(policy.first(fileBytes: 90 << 20) == .copy)
        #expect(policy.next(after: .copy, log: log(90, copied: 60), isOver: false, now: .zero) == .copy)
        #expect(policy.next(after: .copy, log: log(95, copied: 88), isOver: false, now: .zero) == .copy)
        #expect(policy.next(after: .copy, log: log(96, copied: 95), isOver: false, now: .zero) == .restart)
    }

    @Test func passesAreBounded() {
        var policy = CheckpointPolicy()
        var step = policy.first(fileBytes: 60 << 20)
        var passes = 0
        while step == .copy {
            passes += 1
            let copied = Int64(passes) * 10
            step = policy.next(after: step, log: log(60 + copied, copied: copied), isOver: false, now: .zero)
        }
        #expect(passes == policy.limits.passesMax)
    }

    @Test func theLongerTheLogTheLongerOthersWait() {
        var waits: [Duration] = []
        for mebibytes: Int64 in [50, 65, 90, 120, 200] {
            var policy = CheckpointPolicy()
            var total = Duration.zero
            for step in steps(&policy, log(mebibytes, copied: mebibytes - 1)) {
                if case .waitForQuestions(let patience) = step { total += patience }
                if case .waitForReaders(let patience) = step { total += patience }
            }
            waits.append(total)
        }
        #expect(waits == waits.sorted() && Set(waits).count == waits.count)
    }

    @Test func commitsAreHeldOnlyWhenQuestionsWereAndForTheCopyOfMuchOnlyInALongLog() {
        var policy = CheckpointPolicy()
        let near = steps(&policy, log(70, copied: 69))
        #expect(near == [.copy, .restart, .waitForQuestions(.seconds(1)), .waitForReaders(.milliseconds(250))])
        var other = CheckpointPolicy()
        // A reader needs what lies thirty MiB back.
        #expect(steps(&other, log(70, copied: 40)).allSatisfy { if case .waitForReaders = $0 { false } else { true } })
    }

    @Test func inALongLogCommitsAreHeldForAllThatReadersKeep() {
        var policy = CheckpointPolicy()
        #expect(steps(&policy, log(90, copied: 40)).last == .waitForReaders(.seconds(1)))
    }

    @Test func aReaderThatOutlastedAllPatienceIsNotWaitedForAgain() {
        var policy = CheckpointPolicy()
        #expect(steps(&policy, log(70, copied: 69)).count == 4)
        #expect(steps(&policy, log(71, copied: 69), now: .seconds(500)) == [.copy, .restart])
        #expect(policy.heldFor(now: .seconds(600)) == .seconds(600))
    }

    @Test func itIsWaitedForOnceMoreWhenTheLogHasGrownIntoMorePatience() {
        var policy = CheckpointPolicy()
        _ = steps(&policy, log(70, copied: 69))
        let more = steps(&policy, log(85, copied: 69), now: .seconds(60))
        #expect(more.contains(.waitForQuestions(.seconds(2))))
        #expect(!steps(&policy, log(86, copied: 69), now: .seconds(120)).contains(.waitForQuestions(.seconds(2))))
        #expect(policy.heldFor(now: .seconds(120)) == .seconds(120))
    }

    @Test func whenItHasEndedTheNextOneIsWaitedForAfterAPause() {
        var policy = CheckpointPolicy()
        _ = steps(&policy, log(70, copied: 69))
        #expect(!steps(&policy, log(72, copied: 71), now: .seconds(2)).contains(.waitForQuestions(.seconds(1))))
        #expect(steps(&policy, log(72, copied: 71), now: .seconds(6)).contains(.waitForQuestions(.seconds(1))))
    }

    @Test func aLogThatStartedOverForgetsTheReader() {
        var policy = CheckpointPolicy()
        _ = steps(&policy, log(70, copied: 69))
        _ = policy.first(fileBytes: 70 << 20)
        #expect(policy.next(after: .copy, log: log(1, copied: 1), isOver: false, now: .seconds(1)) == .rest)
        #expect(policy.heldFor(now: .seconds(1)) == nil)
    }
}
