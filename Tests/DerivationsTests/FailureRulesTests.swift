import TelemetryModel
import Testing

@testable import Derivations

/// How a failure is told from a timeout when it is not the type that says so.
@Suite struct FailureRulesTests {
    private func span(_ change: (inout ObservedSpan) -> Void) -> ObservedSpan {
        var span = ObservedSpan(traceID: TraceID(high: 1, low: 2), spanID: SpanID(3))
        span.tool = "t"
        span.startTimeUnixNano = 1_000
        span.endTimeUnixNano = 2_000
        change(&span)
        return span
    }

    private func ending(_ change: (inout ObservedSpan) -> Void) -> (Outcome, TimeoutReason?) {
        let classification = Classification.classify(span(change), FusePolicy())
        return (classification.outcome, classification.timeoutReason)
    }

    private func exception(_ type: String, _ message: String, at time: Int64 = 1) -> ObservedEvent {
        ObservedEvent(kind: .exception, timeUnixNano: time, text: type, message: message)
    }

    @Test func aTimeoutInsideOfAnotherFailureIsATimeout() {
        let byStatus = ending {
            $0.statusCode = 2
            $0.errorType = "tool_error"
            $0.statusMessage = "Upstream request timed out, please retry"
        }
        #expect(byStatus == (.timeout, .statusMessage))
        let byException = ending {
            $0.statusCode = 2
            $0.events = [exception("agno.exceptions.ModelProviderError", "Request timed out.")]
        }
        #expect(byException == (.timeout, .exception))
        let another = ending {
            $0.statusCode = 2
            $0.errorType = "ValueError"
            $0.statusMessage = "timeout must be positive"
        }
        #expect(another == (.error, nil))
    }

    @Test func anAnswerThatBlamesTheRequestIsNoTimeout() {
        let message = "the request timed out field is not allowed"
        for (status, outcome) in [(400, Outcome.error), (429, .error), (408, .timeout), (500, .timeout)] {
            let found = ending {
                $0.statusCode = 2
                $0.errorType = "BadRequest"
                $0.httpStatus = Int64(status)
                $0.statusMessage = message
            }
            #expect(found.0 == outcome, "\(status)")
        }
    }

    @Test func whatWasRecoveredFromDoesNotCount() {
        let recovered = exception("Exception", "Request timed out.", at: 1)
        let last = exception("ValueError", "no such city", at: 2)
        #expect(ending { $0.events = [recovered] } == (.ok, nil))
        #expect(
            ending {
                $0.statusCode = 2
                $0.events = [recovered, last]
            } == (.error, nil))
    }

    @Test func anExceptionIsAFailureWhereTheClientCannotTakeAnOkBack() {
        let slow = ending {
            $0.statusCode = 1
            $0.exceptionFails = true
            $0.events = [exception("Exception", "ReadTimeout('timed out')Traceback (most recent call last):")]
        }
        #expect(slow == (.timeout, .exception))
        let broken = ending {
            $0.statusCode = 1
            $0.exceptionFails = true
            $0.events = [exception("Exception", "ValueError('no')Traceback (most recent call last):\n timed out")]
        }
        #expect(broken == (.error, nil))
    }

    @Test func toolsWithoutAStageHaveDerivedBreakers() {
        #expect(Classification.classify(span { _ in }, FusePolicy()).stage == .other)
        #expect(FusePolicy().derivedStages.contains(.other))
    }
}
