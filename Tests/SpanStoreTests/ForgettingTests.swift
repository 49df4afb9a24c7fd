import Foundation
import SQLite
import SegmentFormat
import StoreSQL
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@testable import SpanStore

/// What is forgotten is gone, from every table and from the file's bytes; everything else stays as it was.
@Suite struct ForgettingTests {
    private static let keys = ForgetKeys(session: ["session.id"], user: ["user.id"])

    private func order(_ fixture: StoreFixture, _ selection: ForgetSelection, _ request: String = "r") throws {
        let connection = try Connection(path: fixture.folder.databasePath, access: .readWrite)
        try connection.transaction { () throws(SQLiteError) in
            try ForgetTables.insert(ForgetOrder(request: request, selection: selection), nowUnixNano: fixture.now, connection)
        }
    }

    @discardableResult
    private func forget(_ fixture: StoreFixture, _ selection: ForgetSelection) throws -> ForgetProgress {
        let request = UUID().uuidString
        try order(fixture, selection, request)
        let forgetter = try Forgetter(#require(fixture.store).maintenance(), keys: Self.keys)
        while try forgetter.runOnce(nowUnixNano: fixture.now) {}
        let progress = try #require(try SQLReader(folder: fixture.folder).forgetProgress(request))
        #expect(progress.phase == .done && progress.problem.isEmpty)
        return progress
    }

    /// How often a text stands in the files of a folder.
    private func occurrences(of text: String, _ fixture: StoreFixture) throws -> Int {
        var count = 0
        for name in try FileManager.default.contentsOfDirectory(atPath: fixture.folder.path) {
            guard let data = FileManager.default.contents(atPath: "\(fixture.folder.path)/\(name)") else { continue }
            var rest = data.startIndex..<data.endIndex
            while let found = data.range(of: Data(text.utf8), in: rest) {
                count += 1
                rest = found.upperBound..<data.endIndex
            }
        }
        return count
    }

    /// The spans by ordinal.
    private func spans(_ fixture: StoreFixture) throws -> [Int64: String] {
        let walk = try OrdinalWalk(#require(fixture.store).forwardSource)
        var found: [Int64: String] = [:]
        var next: Int64 = 0
        while next < fixture.store?.ledger.nextOrdinal ?? 0 {
            let run = try walk.spans(next..<Int64.max, OrdinalRunLimits(count: 7, bytes: 1 << 20))
            for (place, span) in zip(run.places, run.batch.spans) {
                #expect(found[place] == nil)
                found[place] = "\(span.traceID.hexadecimal) \(span.spanID.hexadecimal)"
            }
            guard run.ordinals.upperBound > next else { break }
            next = run.ordinals.upperBound
        }
        return found
    }

    private static func rows(_ fixture: StoreFixture) throws -> [String: [String]] {
        Dictionary(
            try fixture.sql("SELECT trace_id, span_id, * FROM spans").map { ("\($0[0]) \($0[1])", $0) },
            uniquingKeysWith: { first, _ in first })
    }

    @Test(arguments: [1, 2])
    func everythingElseStaysInEveryColumnAndAtItsOrdinal(seed: UInt64) throws {
        let fixture = try StoreFixture()
        var random = SplitMix64(seed: seed)
        var workload = Workload(random: SplitMix64(seed: seed &+ 100))
        for round in 0..<3 {
            for _ in 0..<20 { try fixture.ingest(workload.batch()) }
            if round % 2 == 0 { try fixture.merge() }
            let before = try Self.rows(fixture)
            let ordinals = try spans(fixture)
            #expect(ordinals.count == before.count)
            let traces = Set(before.values.map { $0[0] }).sorted().filter { _ in Int.random(in: 0..<3, using: &random) == 0 }
            let wanted = traces.compactMap { TraceID(hexadecimal: $0[...]) }
            guard !wanted.isEmpty else { continue }
            let selection = ForgetSelection(traces: wanted)
            let expected = try SQLReader(folder: fixture.folder).forgettable(selection, Self.keys)
            let done = try forget(fixture, selection)
            #expect(done.counts == expected)
            #expect(try SQLReader(folder: fixture.folder).forgettable(selection, Self.keys).isZero)
            let left = before.filter { !traces.contains($0.value[0]) }
            #expect(done.counts.spans == Int64(before.count - left.count))
            #expect(try Self.rows(fixture) == left)
            #expect(try spans(fixture) == ordinals.filter { left[$0.value] != nil })
            #expect(fixture.store?.storedSpans == Int64(left.count))
            #expect(try StoreVerification.run(folder: fixture.folder).findings.map(\.message) == [])
            let next = fixture.store?.ledger.nextOrdinal
            try fixture.reopen()
            #expect(fixture.store?.ledger.nextOrdinal == next)
            try fixture.merge()
            #expect(try Self.rows(fixture) == left)
            #expect(try spans(fixture) == ordinals.filter { left[$0.value] != nil })
            #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        }
    }

    @Test func itsBytesAreGoneFromTheFileAndItsLog() throws {
        let fixture = try StoreFixture()
        func secret(_ trace: UInt64) -> String { "secret-of-\(trace)-\(trace &* 0x9E37_79B9_7F4A_7C15)" }
        var logs: [LogBatches.Description] = []
        for number: UInt64 in 1...60 {
            let trace = number % 6 + 1
            try fixture.ingest(
                Batches.of([
                    Batches.span(
                        trace, number, ["prompt": .string(secret(trace) + String(repeating: " x", count: Int(number) * 40))])
                ]))
            logs.append(.init(time: Int64(number), trace: trace, body: .string(secret(trace))))
            try fixture.ingest(LogBatches.of([try #require(logs.last)]))
            // Copies of before merges stand in free pages.
            if number == 20 || number == 40 {
                try fixture.merge()
                try fixture.mergeLogs()
            }
        }
        let connection = try Connection(path: fixture.folder.databasePath, access: .readWrite)
        for trace: UInt64 in 1...6 {
            let id = TraceID(high: trace, low: 7).hexadecimal
            try connection.execute(
                """
                INSERT INTO evaluation (row_key, name, trace_id, explanation, source, updated_unix_nano)
                VALUES ('\(trace)', 'e', '\(id)', '\(secret(trace)) \(String(repeating: "y", count: 3_000))', 'file', 5);
                INSERT INTO stall (time_unix_nano, kind, service_name, workflow_name, trace_id, detail)
                VALUES (5, 'gap', 's', 'w', '\(id)', '\(secret(trace))');
                """)
        }
        fixture.store?.emptyLog()
        #expect(try occurrences(of: secret(3), fixture) > 6)
        let kept = try Self.rows(fixture).filter { !$0.value[0].hasPrefix("0000000000000003") }
        let done = try forget(fixture, ForgetSelection(traces: [TraceID(high: 3, low: 7)]))
        #expect(done.counts.spans == 10 && done.counts.logRecords == 10 && done.counts.evals == 1 && done.counts.stalls == 1)
        #expect(done.overwrittenBytes > 0)
        #expect(try occurrences(of: secret(3), fixture) == 0)
        #expect(try occurrences(of: "secret-of-3-", fixture) == 0)
        // In texts; breakers and counters had none of it.
        #expect(try occurrences(of: TraceID(high: 3, low: 7).hexadecimal, fixture) == 0)
        #expect(try occurrences(of: secret(4), fixture) > 0)
        #expect(try Self.rows(fixture) == kept)
        #expect(try StoreVerification.run(folder: fixture.folder).findings.map(\.message) == [])
        // What comes afterwards finds a file in order.
        for number: UInt64 in 100...140 { try fixture.ingest(Batches.of([Batches.span(9, number)])) }
        try fixture.merge()
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        try fixture.reopen()
        #expect(try fixture.sql("SELECT count(*) FROM spans") == [["\(kept.count + 41)"]])
        #expect(try occurrences(of: secret(3), fixture) == 0)
    }

    @Test func aUserMeansWholeTracesAndNamedLogRecords() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of([Batches.span(1, 1, ["user.id": "alice", "session.id": "a"]), Batches.span(1, 2)]))
        try fixture.ingest(Batches.of([Batches.span(1, 3), Batches.span(2, 4, ["user.id": "bob", "session.id": "a"])]))
        try fixture.ingest(Batches.of([Batches.span(3, 5, ["user.id": "alice", "session.id": "b"], start: 9_000)]))
        try fixture.ingest(
            LogBatches.of([.init(time: 1, trace: 1), .init(time: 2, trace: 2), .init(time: 3, attributes: ["user.id": "alice"])]))
        func count(_ selection: ForgetSelection) throws -> [Int64] {
            let counts = try SQLReader(folder: fixture.folder).forgettable(selection, Self.keys)
            return [counts.spans, counts.logRecords]
        }
        #expect(try count(ForgetSelection(users: ["alice"])) == [4, 2])
        #expect(try count(ForgetSelection(users: ["alice", "bob"])) == [5, 3])
        #expect(try count(ForgetSelection(sessions: ["a"])) == [4, 2])
        #expect(try count(ForgetSelection(sessions: ["a"], users: ["alice"])) == [3, 1])
        #expect(try count(ForgetSelection(users: ["alice"], endedAtOrBeforeUnixNano: 2_000)) == [3, 2])
        #expect(try count(ForgetSelection(users: ["carol"])) == [0, 0])
        #expect(try count(ForgetSelection(endedAtOrBeforeUnixNano: 2_000)) == [4, 3])
        try forget(fixture, ForgetSelection(users: ["alice"]))
        #expect(try fixture.sql("SELECT span_id FROM spans") == [["0000000000000004"]])
        #expect(try fixture.sql("SELECT time_unix_nano FROM logs") == [["2"]])
        // A copy that is sent again is a new span.
        #expect(try fixture.add(Batches.of([Batches.span(1, 2)])).allSatisfy { $0 == .new })
        try fixture.commit()
        #expect(try fixture.sql("SELECT count(*) FROM spans") == [["2"]])
    }

    @Test func theDerivationsFindTheirSpansAtTheOldPlaces() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...40 { try fixture.ingest(Batches.of([Batches.span(number % 4 + 1, number)])) }
        try fixture.merge()
        try forget(fixture, ForgetSelection(traces: [TraceID(high: 1, low: 7), TraceID(high: 3, low: 7)]))
        let history = try SQLReader(folder: fixture.folder).history
        let segments = try history.segmentsNewestFirst()
        #expect(segments.reduce(0) { $0 + $1.ordinalCount } == 40)
        var end: Int64 = 40
        for segment in segments {
            end -= segment.ordinalCount
            let (stored, places) = try history.batch(ofSegment: segment.id, from: 0, unsettledFrom: 0, attemptsMax: 0)
            // The spans were numbered from 1 as they came.
            #expect(stored.batch.spans.map { Int64($0.spanID.value) } == places.map { end + Int64($0) + 1 })
        }
        #expect(end == 0)
    }

    @Test func byAgeAloneTheFloorRefusesWhatIsOlder() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...20 {
            try fixture.ingest(Batches.of([Batches.span(number, number, start: Int64(number) * 1_000)]))
        }
        try fixture.merge()
        try forget(fixture, ForgetSelection(endedAtOrBeforeUnixNano: 10_500))
        #expect(try fixture.sql("SELECT count(*), min(start_time_unix_nano) FROM spans") == [["10", "11000"]])
        #expect(fixture.store?.ledger.retentionFloorUnixNano == 10_500)
        #expect(fixture.store?.ledger.nextOrdinal == 20)
        #expect(fixture.store?.lostCommits == nil)
        try fixture.reopen()
        #expect(fixture.store?.lostCommits == nil)
    }

    @Test func aSpanWithoutAnEndIsAsOldAsItsStart() throws {
        let fixture = try StoreFixture()
        var running = Batches.span(1, 1, start: 9_000)
        running.endTimeUnixNano = 0
        var began = Batches.span(1, 2, start: 1_000)
        began.endTimeUnixNano = 0
        var timeless = Batches.span(1, 3, start: 0)
        timeless.endTimeUnixNano = 0
        var startless = Batches.span(1, 4, start: 0)
        startless.endTimeUnixNano = 2_000
        try fixture.ingest(Batches.of([running, began, timeless, startless]))
        let connection = try Connection(path: fixture.folder.databasePath, access: .readWrite)
        try connection.execute(
            """
            INSERT INTO evaluation (row_key, name, span_id, source, updated_unix_nano)
            VALUES ('1', 'e', '0000000000000001', 'file', 9500), ('2', 'e', '0000000000000002', 'file', 9500),
                ('3', 'e', '0000000000000003', 'file', 9500);
            """)
        let selection = ForgetSelection(endedAtOrBeforeUnixNano: 5_000)
        let expected = try SQLReader(folder: fixture.folder).forgettable(selection, Self.keys)
        #expect(expected.spans == 2 && expected.evals == 1)
        #expect(try forget(fixture, selection).counts == expected)
        #expect(try fixture.sql("SELECT span_id FROM spans ORDER BY 1") == [["0000000000000001"], ["0000000000000003"]])
        #expect(try fixture.sql("SELECT row_key FROM evaluation ORDER BY 1") == [["1"], ["3"]])
    }

    @Test func whatIsForgottenWholeLeavesItsOrdinalsToTheSegmentBefore() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...40 { try fixture.ingest(Batches.of([Batches.span(number % 2 + 1, number)])) }
        try forget(fixture, ForgetSelection(traces: [TraceID(high: 1, low: 7)]))
        #expect(try fixture.sql("SELECT count(*) FROM segment") == [["20"]])
        let walk = try OrdinalWalk(#require(fixture.store).forwardSource)
        let run = try walk.spans(0..<Int64.max, OrdinalRunLimits(count: 100, bytes: 1 << 20))
        #expect(run.ordinals == 0..<40 && run.missing == 0 && run.places == Array(stride(from: 0, to: 40, by: 2)))
        try fixture.merge()
        #expect(try fixture.sql("SELECT count(*) FROM segment") == [["1"]])
        let merged = try walk.spans(0..<Int64.max, OrdinalRunLimits(count: 100, bytes: 1 << 20))
        #expect(merged.places == run.places && merged.missing == 0)
        #expect(merged.batch.spans.map(\.spanID) == run.batch.spans.map(\.spanID))
    }

    /// Whatever a crash leaves of an order, the next start goes on with it.
    @Test(arguments: ["searching", "deleting", "erasing"])
    func anOrderThatWasBegunIsCarriedOutAfterACrash(phase: String) throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...30 {
            try fixture.ingest(
                Batches.of([Batches.span(number % 3 + 1, number, number < 4 ? ["user.id": .string("u\(number % 3 + 1)")] : [:])]))
        }
        try order(fixture, ForgetSelection(users: ["u2"]))
        // It stops at each look for a while, then the process ends.
        var looks = 0
        for stop in [2, 5, 9, 14, 20, 26, 32, 40] {
            looks = 0
            let forgetter = try Forgetter(#require(fixture.store).maintenance(), keys: Self.keys)
            _ = try? forgetter.runOnce(nowUnixNano: fixture.now) {
                looks += 1
                return looks >= stop
            }
            try fixture.reopen()
            if try fixture.sql("SELECT phase FROM forget") == [[phase]] { break }
        }
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
        let forgetter = try Forgetter(#require(fixture.store).maintenance(), keys: Self.keys)
        while try forgetter.runOnce(nowUnixNano: fixture.now) {}
        #expect(try fixture.sql("SELECT phase, spans, selection FROM forget") == [["done", "10", "∅"]])
        #expect(try fixture.sql("SELECT count(*), count(user_id) FROM spans") == [["20", "2"]])
        #expect(try fixture.sql("SELECT count(*) FROM forget_trace") == [["0"]])
        #expect(try StoreVerification.run(folder: fixture.folder).isSound)
    }

    @Test func aReaderOfAnOldStateDelaysTheErasing() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...5 { try fixture.ingest(Batches.of([Batches.span(number, number)])) }
        let reader = try Connection(path: fixture.folder.databasePath, access: .readOnly)
        try reader.execute("BEGIN")
        _ = try reader.integer("SELECT count(*) FROM segment")
        try order(fixture, ForgetSelection(traces: [TraceID(high: 1, low: 7)]))
        var looks = 0
        let forgetter = try Forgetter(#require(fixture.store).maintenance(), keys: Self.keys)
        _ = try forgetter.runOnce(nowUnixNano: fixture.now) {
            looks += 1
            return looks > 5
        }
        #expect(try fixture.sql("SELECT phase FROM forget") == [["erasing"]])
        #expect(try fixture.sql("SELECT count(*) FROM spans") == [["4"]])
        try reader.execute("COMMIT")
        while try forgetter.runOnce(nowUnixNano: fixture.now) {}
        #expect(try fixture.sql("SELECT phase FROM forget") == [["done"]])
    }

    @Test func aPageThatDoesNotAddUpIsRefused() throws {
        let fixture = try StoreFixture()
        for number: UInt64 in 1...50 { try fixture.ingest(Batches.of([Batches.span(number, number)])) }
        fixture.store?.emptyLog()
        let data = try #require(FileManager.default.contents(atPath: fixture.folder.databasePath))
        var random = SplitMix64(seed: 9)
        var refused = 0
        for start in stride(from: 4096, to: data.count - 4096, by: 4096) {
            let page = [UInt8](data[start..<start + 4096])
            guard let sound = try? PageContent(page, headerOffset: 0, usableCount: 4096) else { continue }
            for range in sound.unused { #expect(range.lowerBound >= 8 && range.upperBound <= 4096) }
            for _ in 0..<200 {
                var damaged = page
                damaged[Int.random(in: 0..<4096, using: &random)] = UInt8.random(in: 0...255, using: &random)
                damaged[Int.random(in: 0..<12, using: &random)] = UInt8.random(in: 0...255, using: &random)
                do {
                    _ = try PageContent(damaged, headerOffset: 0, usableCount: 4096)
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 0)
    }
}
