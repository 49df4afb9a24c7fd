import Testing

@testable import Queries

/// An agent's question beside a writer, moment by moment.
@Suite struct BehindPaceTests {
    /// Runs for so long in steps of a tenth of a millisecond, and gives how much of it the question ran.
    private func ran(for total: Duration, writerShare: Double) -> Duration {
        var pace = BehindPace()
        var (now, ran) = (Duration.zero, Duration.zero)
        while now < total {
            now += .microseconds(100)
            ran += .microseconds(100)
            if let pause = pace.pause(now: now, worked: now * writerShare) { now += pause }
        }
        return ran
    }

    @Test func itRunsWithoutAPauseWhileTheWriterHasTimeToSpare() {
        #expect(ran(for: .seconds(10), writerShare: 0) == .seconds(10))
        #expect(ran(for: .seconds(10), writerShare: 0.4) == .seconds(10))
    }

    @Test func itRunsATwentiethOfTheTimeBesideAWriterThatHasNone() {
        let share = ran(for: .seconds(10), writerShare: 0.9) / .seconds(10)
        #expect(share > 0.04 && share < 0.06)
    }

    @Test func itGoesOnAsSoonAsTheWriterRests() {
        var pace = BehindPace()
        #expect(pace.pause(now: .zero, worked: .zero) == nil)
        #expect(pace.pause(now: .milliseconds(2), worked: .milliseconds(2)) == .milliseconds(38))
        // The writer did nothing in the pause.
        #expect(pace.pause(now: .milliseconds(42), worked: .milliseconds(2)) == nil)
        #expect(pace.pause(now: .milliseconds(44), worked: .milliseconds(2)) == nil)
    }

    @Test func oneLongStepIsNoReasonForALongPause() {
        var pace = BehindPace()
        _ = pace.pause(now: .zero, worked: .zero)
        #expect(pace.pause(now: .seconds(3), worked: .seconds(3)) == BehindPace.pauseMax)
    }
}
