import NIOCore
import Testing

@testable import FuseboxHTTP

struct RequestDeadlinesTests {
    private let begin = NIODeadline.uptimeNanoseconds(1_000_000_000_000)

    private func deadlines() -> RequestDeadlines { RequestDeadlines(DeadlineLimits(), openedAt: begin) }

    @Test func aConnectionThatSendsNoHeadIsGivenUp() {
        let deadlines = deadlines()
        #expect(deadlines.breach(at: begin + .milliseconds(9_999)) == nil)
        #expect(deadlines.breach(at: begin + .seconds(10)) == .silence)
    }

    @Test func aBodyHasItsTimeAndMoreForWhatItBrought() {
        var deadlines = deadlines()
        deadlines.headCame(at: begin)
        #expect(deadlines.breach(at: begin + .milliseconds(29_999)) == nil)
        #expect(deadlines.breach(at: begin + .seconds(30)) == .slowBody)
        // Ten seconds' worth at the slowest rate that is taken.
        deadlines.bodyCame(10 * (64 << 10), at: begin + .seconds(29))
        #expect(deadlines.breach(at: begin + .milliseconds(39_999)) == nil)
        #expect(deadlines.breach(at: begin + .seconds(40)) == .slowBody)
    }

    @Test func aBodyThatStopsIsGivenUpHoweverMuchItBrought() {
        var deadlines = deadlines()
        deadlines.headCame(at: begin)
        deadlines.bodyCame(1 << 30, at: begin)
        #expect(deadlines.breach(at: begin + .milliseconds(74_999)) == nil)
        #expect(deadlines.breach(at: begin + .seconds(75)) == .silence)
        deadlines.bodyCame(.max, at: begin)
        deadlines.bodyCame(.max, at: begin + .seconds(70))
        #expect(deadlines.breach(at: begin + .seconds(80)) == nil)
    }

    @Test func whileTheServerWorksTheClientOwesNothing() {
        var deadlines = deadlines()
        deadlines.headCame(at: begin)
        deadlines.endCame()
        #expect(deadlines.breach(at: begin + .hours(1)) == nil)
        deadlines.wasAnswered(at: begin + .hours(1))
        #expect(deadlines.breach(at: begin + .hours(1) + .seconds(74)) == nil)
        #expect(deadlines.breach(at: begin + .hours(1) + .seconds(75)) == .silence)
    }

    @Test func anAnswerThatIsNotTakenEndsTheConnection() {
        var deadlines = deadlines()
        deadlines.headCame(at: begin)
        deadlines.endCame()
        deadlines.isStuck(true, at: begin)
        deadlines.isStuck(true, at: begin + .seconds(20))
        #expect(deadlines.breach(at: begin + .milliseconds(29_999)) == nil)
        #expect(deadlines.breach(at: begin + .seconds(30)) == .silence)
        deadlines.isStuck(false, at: begin + .seconds(29))
        #expect(deadlines.breach(at: begin + .seconds(60)) == nil)
    }
}

struct RequestTextTests {
    @Test(arguments: [
        ("/v1/traces", "/v1/traces", nil), ("/a?b=c#d", "/a", "b=c"), ("http://host:1/a/b?c", "/a/b", "c"), ("http://host", "/", nil),
        ("http://host?x", "/", "x"), ("*", "*", nil), ("/?", "/", ""), ("", "/", nil), ("/a://b", "/a://b", nil),
    ] as [(String, String, String?)])
    func aTargetIsTakenApart(_ text: String, _ path: String, _ query: String?) {
        let target = RequestTarget(text)
        #expect(target.path == path)
        #expect(target.query == query)
    }

    @Test(arguments: [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"), (-5, "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] as [(Int64, String)])
    func aDateIsWrittenAsHTTPHasIt(_ seconds: Int64, _ text: String) {
        #expect(HTTPDate.text(unixSeconds: seconds) == text)
    }
}
