import OTLP
import TelemetryModel
import Testing

@testable import Ingest

/// What tells two series apart, and what becomes of it as labels.
struct ClientSeriesIdentityTests {
    @Test func scopesAreLabels() throws {
        let kit = ClientMetricsKit()
        try kit.send(counter("a", point("100")), scope: #"{"name":"one","version":"2"}"#)
        try kit.send(counter("a", point("7")), scope: #"{"name":"two"}"#)
        try kit.send(counter("a", point("8")), scope: #"{"name":"two","attributes":[{"key":"name","value":{"stringValue":"x"}}]}"#)
        #expect(
            try kit.lines("a_total") == [
                #"a_total{job="svc",otel_scope_key_name="x",otel_scope_name="two"} 8"#,
                #"a_total{job="svc",otel_scope_name="one",otel_scope_version="2"} 100"#,
                #"a_total{job="svc",otel_scope_name="two"} 7"#,
            ])
    }

    @Test func processesAreInstancesAsOfSpans() throws {
        let kit = ClientMetricsKit()
        for resource in [
            attributes(["service.name": "svc", "service.namespace": "shop", "service.instance.id": "i"]),
            #"[{"key":"host.name","value":{"stringValue":"h"}},{"key":"process.pid","value":{"intValue":"7"}}]"#,
            #"[{"key":"process.pid","value":{"intValue":"7"}}]"#,
        ] { try kit.send(gauge("a", point("1")), resource: resource) }
        #expect(try kit.lines("a") == ["a 1", #"a{instance="h:7"} 1"#, #"a{instance="i",job="shop/svc"} 1"#])
    }

    @Test func listsMapsAndBytesAreLabels() throws {
        let kit = ClientMetricsKit()
        let values = [
            #"{"arrayValue":{"values":[{"stringValue":"a"},{"intValue":"1"}]}}"#,
            #"{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}"#, #"{"bytesValue":"AAEC"}"#,
            #"{"doubleValue":1.5}"#, #"{"boolValue":false}"#,
        ]
        for value in values { try kit.send(gauge("a", #"{"asInt":"1",\#(times(0)),"attributes":[{"key":"k","value":\#(value)}]}"#)) }
        #expect(
            try kit.lines("a{") == [
                #"a{job="svc",k="1.5"} 1"#, #"a{job="svc",k="AAEC"} 1"#, #"a{job="svc",k="[\"a\",1]"} 1"#,
                #"a{job="svc",k="false"} 1"#, #"a{job="svc",k="{\"k\":true}"} 1"#,
            ])
    }

    @Test func theOrderOfAMapAndOfAKeyThatComesTwiceDoesNotMatter() throws {
        let kit = ClientMetricsKit()
        let members = [#"{"key":"a","value":{"intValue":"1"}}"#, #"{"key":"b","value":{"arrayValue":{}}}"#]
        for (time, members) in [members, members.reversed()].enumerated() {
            let map = #"{"kvlistValue":{"values":[\#(members.joined(separator: ","))]}}"#
            let texts = time == 0 ? ["x", "y"] : ["y", "x"]
            #expect(
                try kit.send(
                    gauge("a", #"{"asInt":"1",\#(times(Int64(time))),"attributes":[{"key":"k","value":\#(map)}]}"#),
                    gauge("b", point("1", at: Int64(time), ["t": texts[0], "t": texts[1]]))) == "")
        }
        #expect(try kit.lines("a{") == [#"a{job="svc",k="{\"a\":1,\"b\":[]}"} 1"#])
        #expect(try kit.lines("b{") == [#"b{job="svc",t="x;y"} 1"#])
    }

    @Test func keysBeyondASCIIKeepTheirSeriesApart() throws {
        let kit = ClientMetricsKit()
        try kit.send(gauge("a", point("1", ["город": "A"]), point("2", ["город": "B"]), point("3", ["город": "A", "гора": "A"])))
        #expect(
            try kit.lines("a{") == [
                #"a{U___433__43e__440__430_="A",U___433__43e__440__43e__434_="A",job="svc"} 3"#,
                #"a{U___433__43e__440__43e__434_="A",job="svc"} 1"#, #"a{U___433__43e__440__43e__434_="B",job="svc"} 2"#,
            ])
    }

    @Test func namesBeyondASCIIAreFamiliesOfTheirOwn() throws {
        let kit = ClientMetricsKit()
        #expect(try kit.send(gauge("один", point("1")), gauge("два", point("2"))) == "")
        #expect(try kit.lines("U__").count == 2)
    }

    @Test func textsThatOnlyLookAlikeAreTwo() throws {
        let kit = ClientMetricsKit()
        try kit.send(gauge("a", point("1", ["k": "\u{E9}"]), point("2", ["k": "e\u{301}"])))
        #expect(try kit.lines("a{").count == 2)
    }

    @Test func ownLabelsOfJobAndInstanceAreKept() throws {
        let kit = ClientMetricsKit()
        try kit.send(gauge("a", point("1", ["job": "nightly"]), point("2", ["job": "hourly", "instance": "x", "otel.scope.name": "y"])))
        #expect(
            try kit.lines("a{") == [
                #"a{exported_instance="x",exported_job="hourly",exported_otel_scope_name="y",job="svc"} 2"#,
                #"a{exported_job="nightly",job="svc"} 1"#,
            ])
    }

    @Test func reservedLabelsAreRenamed() throws {
        let kit = ClientMetricsKit()
        try kit.send(gauge("a", point("1", ["le": "1", "quantile": "2", "__name__": "b", "__é": "c", "-": "dash", "9": "nine", "empty": ""])))
        #expect(
            try kit.lines("a{") == [
                #"a{U___2d_="dash",U__key_______e9_="c",_9="nine",job="svc",key___name="b",key_le="1",key_quantile="2"} 1"#
            ])
    }

    @Test func keysThatBecomeOneAreJoinedInTheirOrderWhateverCameFirst() throws {
        let kit = ClientMetricsKit()
        try kit.send(gauge("a", point("1", ["b_x": "2", "b.x": "1"])))
        try kit.send(gauge("a", point("2", at: 1, ["b.x": "1", "b_x": "2"])))
        #expect(try kit.lines("a{") == [#"a{b_x="1;2",job="svc"} 2"#])
    }

    @Test(
        arguments: [
            (gauge("a", point("1", ["b_x": "1;2"])), gauge("a", point("2", at: 1, ["b.x": "1", "b_x": "2"]))),
            (gauge("a.b", point("1")), gauge("a_b", point("2", at: 1))),
            (gauge("a", point("1"), unit: "s"), gauge("a", point("2", at: 1), unit: "seconds")),
            (gauge("a", point("1")), gauge("a", point("2", at: 1, ["k": ""]))),
        ])
    func whatLabelsCannotTellApartIsRefusedNotMixed(first: String, second: String) throws {
        let kit = ClientMetricsKit()
        #expect(try kit.send(first) == "")
        #expect(try kit.send(second).contains("1 that would look like another"))
        #expect(kit.dropped(.conflict) == 1)
        #expect(try kit.lines("a").allSatisfy { $0.hasSuffix(" 1") })
        // The name is free again when its first owner is gone.
        kit.wait(301)
        #expect(try kit.send(second) == "")
    }

    @Test(arguments: [(delta("a", point("2")), #"a_total{job="svc"} 2"#), (gauge("a", point("2")), #"a{job="svc"} 2"#)])
    func sumsOfDeltasThatFellSilentYieldTheirName(second: String, line: String) throws {
        let kit = ClientMetricsKit()
        // Two metrics that Prometheus calls the same, and whose series are kept for an hour when nobody asks for their name.
        try kit.send(delta("a", point("1")), scope: #"{"attributes":[{"key":"k","value":{"stringValue":""}}]}"#)
        kit.wait(299)
        #expect(try kit.send(second).contains("1 that would look like another"))
        kit.wait(2)
        #expect(try kit.lines("a_total") == [#"a_total{job="svc"} 1"#])
        #expect(try kit.send(second) == "")
        #expect(try kit.lines("a") == [line])
        #expect(kit.count("fusebox_client_series_removed_total", #"reason="expired""#) == 1)
    }
}
