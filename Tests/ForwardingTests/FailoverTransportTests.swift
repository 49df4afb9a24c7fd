import OutboundHTTP
import Testing

@testable import Forwarding

@Suite struct FailoverTransportTests {
    private final class Way: ForwardTransport {
        var error: OutboundError?
        var status = 200
        var count = 0

        func post(_ request: OutboundRequest) throws(OutboundError) -> OutboundAnswer {
            count += 1
            if let error { throw error }
            return OutboundAnswer(status: status)
        }
    }

    private let request = OutboundRequest(path: "/", headers: [], body: [], timeoutNanoseconds: 1)

    @Test func oneWayIsKeptToAsLongAsItAnswers() throws {
        let ways = [Way(), Way(), Way()]
        let transport = FailoverTransport(ways)
        for _ in 0..<5 { _ = try transport.post(request) }
        #expect(ways.map(\.count) == [5, 0, 0])
        // What found no connection goes another way at once.
        ways[0].error = .notConnected("")
        _ = try transport.post(request)
        _ = try transport.post(request)
        #expect(ways.map(\.count) == [6, 2, 0])
        // What may have arrived goes when its sender says so, and then another way.
        ways[1].error = .timedOut
        #expect(throws: OutboundError.timedOut) { try transport.post(request) }
        _ = try transport.post(request)
        #expect(ways.map(\.count) == [6, 3, 1])
        ways[2].status = 503
        _ = try transport.post(request)
        ways[0].error = nil
        _ = try transport.post(request)
        #expect(ways.map(\.count) == [7, 3, 2])
    }

    @Test func withoutAnyItFails() {
        let ways = [Way(), Way()]
        for way in ways { way.error = .notConnected("") }
        #expect(throws: OutboundError.notConnected("")) { try FailoverTransport(ways).post(request) }
        #expect(ways.map(\.count) == [1, 1])
    }
}
