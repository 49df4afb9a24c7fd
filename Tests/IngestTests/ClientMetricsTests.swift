import OTLP
import PrometheusText
import TelemetryModel
import Testing

@testable import Ingest

/// Which series there are, and what they stand at.
struct ClientMetricsTests {
    @Test(
        "Names are Prometheus'",
        arguments: [
            ("http.server.duration", "s", MetricPoint.Kind.histogram, "http_server_duration_seconds"),
            ("gen_ai.client.token.usage", "{token}", .histogram, "gen_ai_client_token_usage"),
            ("my.counter", "1", .counter, "my_counter_total"),
            ("load", "1", .gauge, "load_ratio"), ("sent_total", "By", .counter, "sent_bytes_total"),
            ("2fast", "m/s", .gauge, "_2fast_meters_per_second"), ("rate", "1/s", .gauge, "rate_per_second"),
            ("rate", "{request}/s", .gauge, "rate_per_second"), ("rate", "By/{request}", .gauge, "rate_bytes"),
            ("uptime_seconds", "s", .gauge, "uptime_seconds"), ("seconds", "s", .counter, "seconds_total"),
            ("temp_C", "°C", .gauge, "temp_C_celsius"), ("temp", "Cel", .gauge, "temp_celsius"),
            ("heat", "J/Cel", .gauge, "heat_joules_per_celsius"), ("wait", "µs", .gauge, "wait_microseconds"),
            ("odd", "€", .gauge, "odd"), ("x", "[odd]", .gauge, "x_odd"),
            ("é", "", .gauge, "U___e9_"), ("температура", "°C", .gauge, "U___442__435__43c__43f__435__440__430__442__443__440__430___celsius"),
            ("é_a", "", .counter, "U___e9___a__total"), ("...", "", .gauge, "U___2e__2e__2e_"), ("", "s", .gauge, ""),
        ])
    func names(name: String, unit: String, kind: MetricPoint.Kind, expected: String) {
        var point = MetricPoint()
        (point.name, point.unit, point.kind) = (name, unit, kind)
        #expect(PrometheusName.family(point) == expected)
    }

    @Test func theLatestValueIsShown() throws {
        let kit = ClientMetricsKit()
        try kit.send(counter("a", point("5", at: 2)), gauge("c", point("5", at: 1), point("-1", at: 2)))
        #expect(try kit.send(counter("a", point("4", at: 1))).contains("1 older than what is shown"))
        #expect(try kit.lines("") == ["# TYPE a_total counter", #"a_total{job="svc"} 5"#, "# TYPE c gauge", #"c{job="svc"} -1"#])
        #expect(kit.count("fusebox_client_points_total") == 3)
        #expect(kit.dropped(.late) == 1)
    }

    @Test func aProcessThatBeginsAnewIsNotLate() throws {
        let kit = ClientMetricsKit()
        try kit.send(counter("a", point("100", at: 20, start: 0)))
        #expect(try kit.send(counter("a", point("1", at: 15, start: 14))) == "")
        #expect(try kit.lines("a_total") == [#"a_total{job="svc"} 1"#])
    }

    @Test func largeCountsAreExactAndStopAtTheEnd() throws {
        let kit = ClientMetricsKit()
        try kit.send(counter("a", point("9223372036854775807")), delta("b", point("9223372036854775807"), point("9007199254740993", at: 1)))
        #expect(try kit.lines("a_total") == [#"a_total{job="svc"} 9223372036854775807"#])
        #expect(try kit.lines("b_total") == [#"b_total{job="svc"} 9.232379236109517e+18"#])
    }

    // MARK: Deltas

    @Test func deltasOfSeveralProcessesAddUp() throws {
        let kit = ClientMetricsKit()
        for (process, value, time) in [("a", "10", 0), ("b", "5", 0), ("c", "5", -1)] as [(String, String, Int64)] {
            #expect(
                try kit.send(
                    delta("jobs", point(value, at: time)), resource: attributes(["service.name": "svc", "container.id": process])) == "")
        }
        #expect(try kit.lines("jobs_total") == [#"jobs_total{job="svc"} 20"#])
    }

    @Test func deltasOfOneIntervalAddUpAndOneThatIsSentAgainDoesNot() throws {
        let kit = ClientMetricsKit()
        let sent = delta("jobs", point("10", at: 5, start: 1), point("4", at: 5, start: 1), point("3", at: 1, start: 0))
        try kit.send(sent)
        #expect(try kit.send(sent).contains("3 that were added up before"))
        #expect(try kit.send(delta("jobs", point("10", at: 9, start: 5))) == "")
        #expect(try kit.lines("jobs_total") == [#"jobs_total{job="svc"} 27"#])
        #expect(kit.dropped(.duplicate) == 3)
    }

    @Test func deltasWithoutTimesAllCount() throws {
        let kit = ClientMetricsKit()
        for _ in 1...3 { try kit.send(delta("jobs", point("2", at: nil))) }
        #expect(try kit.lines("jobs_total") == [#"jobs_total{job="svc"} 6"#])
    }

    @Test func deltasThatFallAddUpToo() throws {
        let kit = ClientMetricsKit()
        try kit.send(delta("open", point("5"), point("-2", at: 1), isMonotonic: false))
        #expect(try kit.lines("open") == [#"open{job="svc"} 3"#])
    }

    @Test func histogramsOfTheSameBoundsAddUp() throws {
        let kit = ClientMetricsKit()
        try kit.send(histogram("h", bounds: "1,2", counts: "1,0,3", sum: "10", temporality: 1))
        try kit.send(histogram("h", bounds: "1,2", counts: "1,0,3", sum: "10", at: 1, temporality: 1))
        #expect(
            try kit.lines("h_") == [
                #"h_bucket{job="svc",le="1.0"} 2"#, #"h_bucket{job="svc",le="2.0"} 2"#, #"h_bucket{job="svc",le="+Inf"} 8"#,
                #"h_sum{job="svc"} 20"#, #"h_count{job="svc"} 8"#,
            ])
    }

    @Test func countsThatLeaveTheirRangeStopThere() throws {
        let kit = ClientMetricsKit()
        let largest = "18446744073709551615"
        for time: Int64 in 0...1 {
            try kit.send(histogram("h", bounds: "1", counts: "\(largest),\(largest)", sum: "1.7e308", at: time, temporality: 1))
        }
        #expect(
            try kit.lines("h_") == [
                #"h_bucket{job="svc",le="1.0"} 9223372036854775807"#, #"h_bucket{job="svc",le="+Inf"} 9223372036854775807"#,
                #"h_count{job="svc"} 9223372036854775807"#,
            ])
    }

    // MARK: Ends

    @Test(
        arguments: [
            (gauge("x", point("7")), gauge("x", #"{"flags":1,\#(times(1))}"#)),
            (counter("x", point("7")), counter("x", #"{"flags":1,\#(times(1))}"#)),
            (delta("x", point("7")), delta("x", #"{"flags":1,"asInt":"0",\#(times(1))}"#)),
            (histogram("x", bounds: "1", counts: "1,1"), histogram("x", bounds: "1", counts: "0,0", at: 1, rest: #","flags":1"#)),
            (
                #"{"name":"x","exponentialHistogram":{"dataPoints":[{"count":"1","zeroCount":"1",\#(times(0))}]}}"#,
                #"{"name":"x","exponentialHistogram":{"dataPoints":[{"flags":1,\#(times(1))}]}}"#
            ),
        ])
    func aPointWithoutARecordedValueEndsItsSeries(value: String, end: String) throws {
        let kit = ClientMetricsKit()
        try kit.send(value)
        #expect(try !kit.lines("x").isEmpty)
        #expect(try kit.send(end) == "")
        #expect(try kit.lines("") == [])
        #expect(kit.count("fusebox_client_points_total") == 2)
        #expect(kit.count("fusebox_client_series_removed_total", #"reason="ended""#) == 1)
        #expect(kit.count("fusebox_client_exposition_lines") == 0)
    }

    @Test func anEndedSeriesBeginsAnewWithALaterPointOnly() throws {
        let kit = ClientMetricsKit()
        let end = counter("x", #"{"flags":1,\#(times(10))}"#)
        // The end of what was never shown is none.
        #expect(try kit.send(end) == "")
        try kit.send(counter("x", point("7", at: 1)))
        try kit.send(end)
        #expect(try kit.send(counter("x", point("6", at: 5))).contains("1 older"))
        #expect(try kit.lines("x") == [])
        #expect(try kit.send(counter("x", #"{"flags":1,\#(times(2))}"#)).contains("1 older"))
        try kit.send(counter("x", point("8", at: 11)))
        #expect(try kit.lines("x") == [#"x_total{job="svc"} 8"#])
    }

    // MARK: Times

    @Test func pointsWithoutATimeFollowEachOther() throws {
        let kit = ClientMetricsKit()
        for value in ["1", "2", "3"] { #expect(try kit.send(counter("a", point(value, at: nil))) == "") }
        #expect(try kit.lines("a_total") == [#"a_total{job="svc"} 3"#])
        // What has a time again is not held up by those, even from a clock that is an hour behind.
        try kit.send(counter("a", point("4", at: -3600)))
        #expect(try kit.lines("a_total") == [#"a_total{job="svc"} 4"#])
    }

    @Test(arguments: [61, 3600, 400 * 86400] as [Int64])
    func aPointFromTheFutureDoesNotFreezeItsSeries(seconds: Int64) throws {
        let kit = ClientMetricsKit()
        try kit.send(counter("a", point("1", at: seconds)))
        for (time, value) in [(-2, "2"), (-1, "3")] as [(Int64, String)] {
            #expect(try kit.send(counter("a", point(value, at: time))) == "")
        }
        #expect(try kit.lines("a_total") == [#"a_total{job="svc"} 3"#])
    }

    @Test(arguments: [400 * 86400, -3600] as [Int64])
    func aJumpOfTheServersClockCostsNothingLasting(seconds: Int64) throws {
        let kit = ClientMetricsKit()
        try kit.send(gauge("a", point("1")))
        kit.jump(seconds)
        try kit.send(gauge("a", point("2", at: seconds)), gauge("b", point("1", at: nil)))
        kit.jump(-seconds)
        kit.wait(1)
        #expect(try kit.send(gauge("a", point("3", at: 1)), gauge("b", point("2", at: 1))) == "")
        #expect(try kit.lines("") == ["# TYPE a gauge", #"a{job="svc"} 3"#, "# TYPE b gauge", #"b{job="svc"} 2"#])
        kit.wait(301)
        #expect(try kit.lines("") == [])
    }
}
