import PrometheusText
import SQLite
import SpanStore
import Testing

@testable import Ingest

/// The one account of why spans are refused.
@Suite struct IntakeStateTests {
    private let gone = DataFileProblem(path: "/data/fusebox.db", what: .gone)
    private let busy = StoreError.database(SQLiteError(extendedCode: 5, message: "database is locked", operation: "BEGIN"))
    private let broken = StoreError.database(SQLiteError(extendedCode: 1034, message: "disk I/O error", operation: "COMMIT"))

    @Test func everyReasonRefusesAloneAndAllTogetherGiveTheOneThatLastsLongest() {
        var state = IntakeState()
        #expect(state.refusal == nil)
        var reasons: [String?] = []
        state.overload = .queueFull
        reasons.append(state.refusal?.dropReason)
        state.commitFailure = busy
        reasons.append(state.refusal?.dropReason)
        state.budget = .diskReserve(freeBytes: 1, reserveBytes: 2)
        reasons.append(state.refusal?.dropReason)
        state.suspicion = "disk I/O error"
        reasons.append(state.refusal?.dropReason)
        state.dataFile = gone
        reasons.append(state.refusal?.dropReason)
        state.isStopping = true
        reasons.append(state.refusal?.dropReason)
        #expect(reasons == ["queue_full", "error", "disk_full", "suspect", "data_file", "shutdown"])
        #expect(reasons.allSatisfy { $0.map(IngestMetrics.dropReasons.contains) ?? false })
    }

    @Test func whatPassesByItselfClosesNothing() {
        var state = IntakeState()
        state.overload = .queueFull
        state.commitFailure = busy
        #expect(state.closed == nil)
        state.budget = .logTooLong(bytes: 300 << 20, readerSeconds: 12)
        #expect(state.closed != nil && state.latched == nil)
        #expect(state.refusal?.message.contains("for 12 s") == true)
    }

    @Test func theFirstErrorOfTheDiskLatchesAndCommitsThatSucceedDoNotLiftIt() {
        let account = IntakeAccount()
        #expect(account.note(broken))
        #expect(!account.note(broken))
        #expect(!account.note(nil))
        #expect(account.refusal?.dropReason == "suspect")
    }

    @Test func aCommitThatSucceedsEndsTheRefusalOfOneThatFailed() {
        let account = IntakeAccount()
        #expect(!account.note(busy))
        #expect(account.refusal?.dropReason == "error")
        #expect(!account.note(nil))
        #expect(account.refusal == nil)
    }

    @Test func theMetricNamesEveryReasonAndShowsTheOneThatHolds() {
        let account = IntakeAccount()
        _ = account.note(broken)
        let samples = account.family().samples
        #expect(samples.count == IngestMetrics.dropReasons.count)
        #expect(samples.filter { if case .integer(1) = $0.value { true } else { false } }.map(\.labels) == ["reason=\"suspect\""])
    }

    // MARK: The log

    @Test func theLogHasOneLineForTheBeginningAndOneForTheEnd() {
        var log = IntakeLog()
        let full = IngestError.diskReserve(freeBytes: 1 << 20, reserveBytes: 64 << 20)
        #expect(log.line(nil, now: .zero) == nil)
        #expect(log.line(full, now: .seconds(1))?.contains("spans are refused (disk_full)") == true)
        for second in 2..<60 { #expect(log.line(full, now: .seconds(second)) == nil) }
        #expect(log.line(nil, now: .seconds(60)) == nil)
        #expect(log.line(nil, now: .seconds(61)) == "spans are stored again, after 59 s (disk_full)")
        #expect(log.line(nil, now: .seconds(62)) == nil)
    }

    @Test func aRefusalThatFlickersIsOne() {
        var log = IntakeLog()
        #expect(log.line(.queueFull, now: .zero) != nil)
        for step in 1..<100 {
            #expect(log.line(step.isMultiple(of: 2) ? .queueFull : nil, now: .milliseconds(250 * step)) == nil)
        }
    }

    @Test func anotherReasonIsAnotherLine() {
        var log = IntakeLog()
        #expect(log.line(.queueFull, now: .zero) != nil)
        #expect(log.line(.dataFile(gone), now: .seconds(1))?.contains("data_file") == true)
        #expect(log.line(nil, now: .seconds(5)) == nil)
        #expect(log.line(nil, now: .seconds(7))?.contains("after 5 s") == true)
    }
}
