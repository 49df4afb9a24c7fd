import SQLite
import StoreTesting
import StoreSQL
import TelemetryModel
import TelemetryTesting
import Testing

@testable import SpanStore

/// Whole segments go, oldest first; what went cannot come again; a clock that jumps does not make it all old.
@Suite struct RetentionTests {
    private static let day: Int64 = 86_400_000_000_000

    /// Ten segments of ten spans, a day apart; the first was received at `start`.
    private func filled(noiseBytes: Int = 0) throws -> (fixture: StoreFixture, start: Int64) {
        let fixture = try StoreFixture()
        let start = fixture.now
        for day in 0..<10 {
            fixture.now = start + Int64(day) * Self.day
            try fixture.ingest(
                Batches.of(
                    (1...10).map { number in
                        Batches.span(
                            UInt64(day + 1), UInt64(day * 100 + number), ["noise": noise(noiseBytes)],
                            start: fixture.now - 5_000_000_000)
                    }))
        }
        return (fixture, start)
    }

    /// Bytes that do not compress.
    private func noise(_ count: Int) -> AttributeValue {
        var random = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        while bytes.count < count { withUnsafeBytes(of: random.next()) { bytes.append(contentsOf: $0) } }
        return .bytes(bytes)
    }

    private func limits(days: Int64?, bytes: Int64? = nil) -> RetentionLimits {
        var limits = RetentionLimits()
        limits.age = days.map { $0 * Self.day }
        limits.bytes = bytes
        return limits
    }

    private func spans(_ fixture: StoreFixture) throws -> String { try fixture.sql("SELECT count(*) FROM spans")[0][0] }

    @Test func segmentsOlderThanTheLimitGo() throws {
        let (fixture, start) = try filled()
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        let now = start + 10 * Self.day - 1
        try retention.run(limits(days: 7), nowUnixNano: now)
        #expect(try spans(fixture) == "70")
        #expect(retention.removed.segments == 3 && retention.removed.spans == 30)
        #expect(fixture.store?.storedSpans == 70)
        #expect(fixture.store?.ledger.retentionFloorUnixNano == now - 7 * Self.day)
        #expect(try fixture.sql("SELECT count(*) FROM segment_stream")[0][0] == "7")
        try fixture.reopen()
        #expect(fixture.store?.ledger.retentionFloorUnixNano == now - 7 * Self.day)
    }

    @Test func aClockThatJumpsAheadDeletesNothingForDays() throws {
        let (fixture, start) = try filled()
        let store = try #require(fixture.store)
        let now = start + 9 * Self.day + Self.day / 2
        let retention = try SegmentRetention(store.maintenance())
        try retention.run(limits(days: 30), nowUnixNano: now)
        let jumped = now + 400 * Self.day
        // Spans that come after the jump are stamped with it.
        fixture.now = jumped
        try fixture.ingest(Batches.of([Batches.span(99, 9_999, start: jumped)]))
        for pass in 0..<1_440 {
            try retention.run(
                limits(days: 30), nowUnixNano: jumped + Int64(pass) * RetentionClock.passNanoseconds)
        }
        #expect(try spans(fixture) < "101", "sixty days of the retention clock have passed in a day")
        let other = try filled()
        let second = try SegmentRetention(#require(other.fixture.store).maintenance())
        for pass in 0..<400 {
            let isAhead = pass > 0
            try second.run(
                limits(days: 30), nowUnixNano: isAhead ? jumped + Int64(pass) * RetentionClock.passNanoseconds : now)
        }
        #expect(try spans(other.fixture) == "100")
        // Somebody sets the clock right; nothing was lost, nor over a restart.
        try second.run(limits(days: 30), nowUnixNano: now)
        let third = try SegmentRetention(#require(other.fixture.store).maintenance())
        try third.run(limits(days: 30), nowUnixNano: jumped)
        #expect(try spans(other.fixture) == "100")
    }

    @Test func theOldestGoWhenThereIsNoRoom() throws {
        let (fixture, start) = try filled(noiseBytes: 20_000)
        let store = try #require(fixture.store)
        let pages = try #require(Int64(fixture.sql("PRAGMA page_count")[0][0]))
        let used = try #require(Int64(fixture.sql("PRAGMA page_size")[0][0])) * pages
        let retention = try SegmentRetention(store.maintenance())
        try retention.run(limits(days: nil, bytes: used - 1), nowUnixNano: start + 10 * Self.day)
        let left = try fixture.sql("SELECT count(DISTINCT trace_id), min(trace_id) FROM spans")[0]
        #expect(retention.removed.segments > 0 && retention.removed.segments < 10)
        #expect(left[0] == "\(10 - retention.removed.segments)")
        #expect(left[1] > "0000000000000001")
        #expect(try #require(store.ledger.retentionFloorUnixNano) < start + Int64(retention.removed.segments) * Self.day)
    }

    @Test func whatIsNotSettledStays() throws {
        let (fixture, start) = try filled()
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        let latest = start + 9 * Self.day
        fixture.store?.ledger.setUnsettledSpans(5)
        try retention.run(limits(days: nil, bytes: 1), nowUnixNano: latest + 1)
        #expect(try spans(fixture) == "10")
        // A wall clock that was set back does not make the latest spans settled.
        try retention.run(limits(days: nil, bytes: 1), nowUnixNano: start - Self.day)
        #expect(try spans(fixture) == "10")
    }

    @Test func pruningTakesWholeSegmentsAndMovesTheFloor() throws {
        let (fixture, start) = try filled()
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        let cut = start + 4 * Self.day + 1
        let removed = try retention.dropSegments(
            endedAtOrBefore: cut, nowUnixNano: start + 10 * Self.day)
        #expect(removed.segments == 5 && removed.spans == 50 && removed.bytes > 0)
        #expect(fixture.store?.ledger.retentionFloorUnixNano == cut)
        #expect(try fixture.sql("SELECT min(start_time_unix_nano) FROM spans")[0][0] == "\(start + 5 * Self.day - 5_000_000_000)")
        let none = try retention.dropSegments(
            endedAtOrBefore: cut, nowUnixNano: start + 10 * Self.day)
        #expect(none == .init())
    }

    /// Of each of three segments one span has no end; in the last, one has no start either.
    @Test func pruningTakesASpanWithoutAnEndByItsStart() throws {
        let fixture = try StoreFixture()
        for (number, times) in [[(1_000, 2_000), (3_000, 0)], [(9_000, 0)], [(1_000, 2_000), (0, 0)]].enumerated() {
            var spans: [SpanDescription] = []
            for (place, time) in times.enumerated() {
                var span = Batches.span(1, UInt64(number * 10 + place + 1), start: Int64(time.0))
                span.endTimeUnixNano = Int64(time.1)
                spans.append(span)
            }
            try fixture.ingest(Batches.of(spans))
        }
        for reopened in [false, true] {
            if reopened { try fixture.reopen() }
            let found = try SQLReader(folder: fixture.folder).history.segments(endingAtOrBefore: 5_000, unsettledSpans: 0)
            #expect(found.segments == 1 && found.spans == 2)
            #expect(try #require(fixture.store).ledger.entries.map { $0.latestMaximum <= 5_000 } == [true, false, false])
        }
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        let removed = try retention.dropSegments(endedAtOrBefore: 5_000, nowUnixNano: fixture.now)
        #expect(removed.spans == 2)
        #expect(fixture.store?.ledger.retentionFloorUnixNano == 5_000)
        #expect(try spans(fixture) == "3")
    }

    @Test func anEndFarInTheFutureDoesNotRefuseEverythingAfterIt() throws {
        let fixture = try StoreFixture()
        var span = Batches.span(1, 1, start: fixture.now)
        span.endTimeUnixNano = .max
        try fixture.ingest(Batches.of([span]))
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        try retention.run(limits(days: 1), nowUnixNano: fixture.now)
        for _ in 0..<50 {
            fixture.now += 3_600_000_000_000
            try retention.run(limits(days: 1), nowUnixNano: fixture.now)
        }
        #expect(try spans(fixture) == "0")
        #expect(try #require(fixture.store?.ledger.retentionFloorUnixNano) < fixture.now)
    }

    @Test func theFileGivesSpaceBack() throws {
        let fixture = try StoreFixture()
        let start = fixture.now
        for segment in 0..<30 {
            try fixture.ingest(
                Batches.of((1...50).map { Batches.span(1, UInt64(segment * 100 + $0), ["noise": noise(30_000)], start: start) }))
        }
        let before = try #require(Int(fixture.sql("PRAGMA page_count")[0][0]))
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        _ = try retention.dropSegments(endedAtOrBefore: .max, nowUnixNano: start + Self.day)
        #expect(before > 2_500)
        #expect(try #require(Int(fixture.sql("PRAGMA freelist_count")[0][0])) <= 2_048)
        #expect(try #require(Int(fixture.sql("PRAGMA page_count")[0][0])) < before)
    }

    @Test func whatWasReceivedWhileTheClockWasAheadIsKeptNoLongerThanTheRest() throws {
        let fixture = try StoreFixture()
        let start = fixture.now
        func ingest(_ trace: UInt64, receivedAt time: Int64, endedAt end: Int64) throws {
            fixture.now = time
            var span = Batches.span(trace, trace, start: end - 1)
            span.endTimeUnixNano = end
            try fixture.ingest(Batches.of([span]))
        }
        let ahead = start + 400 * Self.day
        try ingest(1, receivedAt: start, endedAt: start)
        try ingest(2, receivedAt: ahead, endedAt: ahead)
        try ingest(3, receivedAt: start + 60_000_000_000, endedAt: start + 60_000_000_000)
        var retention = try SegmentRetention(#require(fixture.store).maintenance())
        try retention.run(limits(days: 2), nowUnixNano: start + 120_000_000_000)
        #expect(try spans(fixture) == "3")
        for hour in 1...47 { try retention.run(limits(days: 2), nowUnixNano: start + Int64(hour) * 3_600_000_000_000) }
        #expect(try spans(fixture) == "3", "not sooner either")
        // Over a restart.
        retention = try SegmentRetention(#require(fixture.store).maintenance())
        for hour in 48...50 { try retention.run(limits(days: 2), nowUnixNano: start + Int64(hour) * 3_600_000_000_000) }
        #expect(try spans(fixture) == "0")
        let floor = try #require(fixture.store?.ledger.retentionFloorUnixNano)
        #expect(floor < start + 3 * Self.day, "or every span would be refused")
    }

    @Test func whatWasReceivedBeforeTheClockWasSetStays() throws {
        let fixture = try StoreFixture()
        let start = fixture.now
        fixture.now = 3_600_000_000_000
        try fixture.ingest(Batches.of([Batches.span(1, 1, start: start)]))
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        try retention.run(limits(days: 1), nowUnixNano: fixture.now)
        fixture.now = start
        try fixture.ingest(Batches.of([Batches.span(2, 2, start: start)]))
        for hour in 0...23 { try retention.run(limits(days: 1), nowUnixNano: start + Int64(hour) * 3_600_000_000_000) }
        #expect(try spans(fixture) == "2")
        for hour in 24...26 { try retention.run(limits(days: 1), nowUnixNano: start + Int64(hour) * 3_600_000_000_000) }
        #expect(try spans(fixture) == "0")
    }

    @Test func edgesAndOpeningsOfBreakersGoWithTheSpans() throws {
        let fixture = try StoreFixture()
        let start = fixture.now
        var rows = DerivationRows()
        for day in 0..<10 {
            let time = start + Int64(day) * Self.day
            rows.transitions.append(
                BreakerTransitionRow(
                    timeUnixNano: time, serviceName: "s", scope: "", toolName: "t", isReported: true, fromState: "closed",
                    toState: "open", traceID: TraceID(high: 1, low: 1), spanID: SpanID(1)))
            rows.openings.append(
                BreakerOpening(
                    serviceName: "s", scope: "", toolName: "t", isReported: true, fromUnixNano: time, toUnixNano: time + 1,
                    untilUnixNano: time + 1, creditedNanoseconds: 1, traceID: TraceID(high: 1, low: 1), spanID: SpanID(1)))
        }
        try #require(fixture.store).commit(nil, rows, nowUnixNano: start)
        let retention = try SegmentRetention(#require(fixture.store).maintenance())
        try retention.run(limits(days: 4), nowUnixNano: start + 10 * Self.day)
        let kept = ["4", "\(start + 6 * Self.day)"]
        #expect(try fixture.sql("SELECT count(*), min(time_unix_nano) FROM breaker_transition")[0] == kept)
        #expect(try fixture.sql("SELECT count(*), min(from_unix_nano) FROM breaker_opening")[0] == kept)
    }
}
