import CSQLite
import Foundation
import SQLite
import SegmentFormat
import SpanStore
import StoreSQL
import StoreTesting
import TelemetryModel
import TelemetryTesting
import Testing

@Suite struct SpanStoreTests {
    @Test func whatGoesInComesOutAsJSON() throws {
        let fixture = try StoreFixture()
        var span = Batches.span(1, 2)
        span.parentSpanID = SpanID(9)
        span.kind = .client
        span.traceState = "a=b"
        span.attributes = [
            "text": "é\"\n", "int": -3, "double": 1.5, "flag": true, "list": [1, "two", [false]], "map": ["k": ["x": 1]],
            "bytes": .bytes([0, 255]), "key with \"quote": 1,
        ]
        span.events = [.init("exception", timeUnixNano: 1_200, attributes: ["exception.type": "E"])]
        span.links = [.init(traceID: TraceID(high: 5, low: 5), spanID: SpanID(5), attributes: ["why": "retry"])]
        try fixture.ingest(Batches.of([span]))
        let row = try fixture.sql(
            """
            SELECT trace_id, span_id, parent_span_id, kind, duration_ns, service_name, scope_name, trace_state, attributes, events, links,
                resource_attributes FROM spans
            """)
        #expect(
            row == [[
                "00000000000000010000000000000007", "0000000000000002", "0000000000000009", "3", "500", "svc", "tests", "a=b",
                row.first?[8] ?? "",
                #"[{"name":"exception","time_unix_nano":1200,"attributes":{"exception.type":"E"}}]"#,
                #"[{"trace_id":"00000000000000050000000000000005","span_id":"0000000000000005","attributes":{"why":"retry"}}]"#,
                #"{"service.name":"svc"}"#,
            ]])
        let values = try fixture.sql(
            """
            SELECT attr(attributes, 'text'), attr(attributes, 'int'), attr(attributes, 'double'), attr(attributes, 'flag'),
                attr(attributes, 'list'), attr(attributes, 'map'), attr(attributes, 'bytes'), attr(attributes, 'key with "quote'),
                attr(attributes, 'none'), json_valid(attributes) FROM spans
            """)
        #expect(values == [["é\"\n", "-3", "1.5", "1", #"[1,"two",[false]]"#, #"{"k":{"x":1}}"#, "AP8=", "1", "∅", "1"]])
    }

    @Test func ofTwoEqualKeysTheLaterWins() throws {
        let fixture = try StoreFixture()
        var list = AttributeList()
        list.append("tokens", 1)
        list.append("tokens", 2)
        try fixture.ingest(Batches.of([Batches.span(1, 1, list)]))
        #expect(try fixture.sql("SELECT tokens, attributes FROM spans") == [["2", #"{"tokens":2}"#]])
    }

    @Test func aKeyMayHoldValuesOfManyKinds() throws {
        let fixture = try StoreFixture()
        let values: [AttributeValue] = ["a", 1, 2.5, true, [1], ["k": 1], .bytes([1]), "b", -1]
        try fixture.ingest(
            Batches.of(values.enumerated().map { Batches.span(1, UInt64($0.offset + 1), ["mixed": $0.element]) }))
        #expect(
            try fixture.sql("SELECT attributes FROM spans").map { $0[0] } == [
                #"{"mixed":"a"}"#, #"{"mixed":1}"#, #"{"mixed":2.5}"#, #"{"mixed":true}"#, #"{"mixed":[1]}"#,
                #"{"mixed":{"k":1}}"#, #"{"mixed":"AQ=="}"#, #"{"mixed":"b"}"#, #"{"mixed":-1}"#,
            ])
    }

    @Test func keysPastTheBoundOverflowAndStay() throws {
        let fixture = try StoreFixture()
        var list = AttributeList()
        for number in 0..<700 { list.append("key.\(number)", .int(Int64(number))) }
        try fixture.ingest(Batches.of([Batches.span(1, 1, list), Batches.span(1, 2, ["key.699": "x"])]))
        #expect(
            try fixture.sql("SELECT attr(attributes, 'key.0'), attr(attributes, 'key.650'), attr(attributes, 'key.699') FROM spans")
                == [["0", "650", "699"], ["∅", "∅", "x"]])
    }

    @Test func aDerivedColumnMayComeFromSeveralKeys() throws {
        let fixture = try StoreFixture()
        let spans = (1...200).map { number in
            Batches.span(
                1, UInt64(number),
                number % 3 == 0 ? ["gen_ai.tool.name": .string("t\(number)")] : ["tool_name": .string("t\(number % 7)")])
        }
        try fixture.ingest(Batches.of(spans))
        let expected = (1...200).map { [$0 % 3 == 0 ? "t\($0)" : "t\($0 % 7)"] }
        #expect(try fixture.sql("SELECT tool_name FROM spans") == expected)
        #expect(try fixture.sql("SELECT count(*) FROM spans WHERE tool_name = 't3'") == [["\(expected.filter { $0 == ["t3"] }.count)"]])
    }

    // MARK: Identity

    @Test func aSpanIsStoredOnceWithinACommitAcrossCommitsAndAfterReopening() throws {
        let fixture = try StoreFixture()
        let batch = Batches.of([Batches.span(1, 1), Batches.span(1, 2)])
        #expect(try fixture.add(batch) == [.new, .new])
        #expect(try fixture.add(batch) == [.identical, .identical])
        try fixture.commit()
        #expect(try fixture.add(batch) == [.identical, .identical])
        #expect(try fixture.add(Batches.of([Batches.span(1, 1, ["changed": 1])])) == [.conflict])
        #expect(try fixture.add(Batches.of([Batches.span(2, 1)])) == [.new])
        try fixture.commit()
        try fixture.reopen()
        #expect(try fixture.add(batch) == [.identical, .identical])
        #expect(try fixture.add(Batches.of([Batches.span(2, 1, start: 5)])) == [.conflict])
        #expect(fixture.store?.storedSpans == 3)
        #expect(try fixture.sql("SELECT count(*) FROM spans") == [["3"]])
    }

    @Test func theTwoSidesOfACallMayShareAnId() throws {
        let fixture = try StoreFixture()
        var client = Batches.span(1, 1)
        client.kind = .client
        var server = Batches.span(1, 1, ["side": "server"])
        server.kind = .server
        #expect(try fixture.add(Batches.of([client, server])) == [.new, .new])
        #expect(try fixture.add(Batches.of([client, server])) == [.identical, .identical])
        try fixture.commit()
        #expect(try fixture.add(Batches.of([server, client])) == [.identical, .identical])
        var other = server
        other.attributes = ["side": "another"]
        var producer = client
        producer.kind = .producer
        #expect(try fixture.add(Batches.of([other, producer])) == [.conflict, .conflict])
        // Enough for a merge, which keeps both too, and so does a start.
        for trace: UInt64 in 2...40 {
            client.traceID = TraceID(high: trace, low: 7)
            server.traceID = client.traceID
            try fixture.ingest(Batches.of(trace.isMultiple(of: 2) ? [client, server] : [server, client]))
        }
        try fixture.merge()
        try fixture.reopen()
        #expect(try fixture.add(Batches.of([client, server])) == [.identical, .identical])
        #expect(
            try fixture.sql("SELECT count(*), sum(kind = 2), sum(kind = 3), count(DISTINCT trace_id) FROM spans")
                == [["80", "40", "40", "40"]])
    }

    @Test func duplicatesAreFoundExactlyAmongManySpans() throws {
        let fixture = try StoreFixture()
        var random = SplitMix64(seed: 1)
        var known: [SpanDescription] = []
        for _ in 0..<40 {
            let fresh = (0..<300).map { _ in
                Batches.span(.random(in: 1...500, using: &random), .random(in: 1...UInt64.max, using: &random))
            }
            let again = known.isEmpty ? [] : (0..<100).map { _ in known[Int.random(in: 0..<known.count, using: &random)] }
            #expect(try fixture.add(Batches.of(fresh)).allSatisfy { $0 == .new })
            #expect(try fixture.add(Batches.of(again)).allSatisfy { $0 == .identical })
            try fixture.commit()
            known += fresh
        }
        #expect(try fixture.sql("SELECT count(*), count(DISTINCT span_id) FROM spans") == [["12000", "12000"]])
    }

    @Test func storedSpansComeBackAsTheBatchThatTheyCameIn() throws {
        let fixture = try StoreFixture()
        var span = Batches.span(3, 4, ["a": 1, "b": "x", "c": [1, 2]])
        span.events = [.init("exception", timeUnixNano: 9, attributes: ["exception.type": "E", "n": 1])]
        try fixture.ingest(Batches.of([span, Batches.span(3, 5)]))
        let history = try #require(fixture.presence?.history)
        let stored = try history.batch(ofSegment: 1)
        let batch = stored.batch
        #expect(batch.spans.map(\.spanID) == [SpanID(4), SpanID(5)])
        let first = batch.spans[0]
        let attributes = batch.attributes[first.attributes.indices].map { batch.string(batch.keys[Int($0.key)]) }.sorted()
        #expect(attributes == ["a", "b", "c"])
        let event = batch.events[first.events.indices.lowerBound]
        #expect(batch.string(event.name) == "exception" && event.timeUnixNano == 9 && event.attributes.count == 2)
        #expect(ResourceIdentity(batch.resources[Int(first.resource)], batch).serviceName == "svc")
    }

    // MARK: Opening

    @Test func aFolderHasOneOwner() throws {
        let fixture = try StoreFixture()
        let error = #expect(throws: StoreError.self) { try SpanStore(folder: fixture.folder, gate: CommitGate()) }
        #expect(error?.message.contains("in use by another fusebox (process \(getpid()))") == true)
        try fixture.reopen()
    }

    @Test func readersWorkBesideTheWriterAndSeeWhatIsCommitted() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of([Batches.span(1, 1)]))
        let reader = try SQLReader(folder: fixture.folder)
        #expect(try reader.connection.integer("SELECT count(*) FROM spans") == 1)
        try fixture.ingest(Batches.of([Batches.span(1, 2)]))
        #expect(try reader.connection.integer("SELECT count(*) FROM spans") == 2)
    }

    @Test(arguments: [
        "INSERT INTO counter VALUES (1, 'a', 'b', 1, 1)", "DELETE FROM segment", "UPDATE counter SET value = 0", "DROP TABLE segment",
        "CREATE TABLE x (y)", "ATTACH '/tmp/x.db' AS x", "PRAGMA journal_mode = DELETE", "PRAGMA user_version = 9", "VACUUM",
        "INSERT INTO spans (name) VALUES ('x')", "SELECT load_extension('x')", "PRAGMA writable_schema = 1",
        "CREATE TEMP TABLE x (y)",
    ])
    func readersCannotWrite(statement: String) throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of([Batches.span(1, 1)]))
        #expect(throws: (any Error).self) { try fixture.sql(statement) }
        #expect(try fixture.sql("SELECT count(*) FROM spans") == [["1"]])
    }

    @Test func aDamagedStreamIsAnErrorAndNotAWrongAnswer() throws {
        let fixture = try StoreFixture()
        try fixture.ingest(Batches.of((1...50).map { Batches.span(1, $0, ["tool_name": "t"]) }))
        let raw = try Connection(path: fixture.folder.databasePath, access: .readWrite)
        try raw.execute(
            "UPDATE segment_stream SET data = CAST(substr(data, 1, 20) || x'00FF00FF' || substr(data, 25) AS BLOB) WHERE id % 4096 = 0")
        let error = #expect(throws: SQLiteError.self) { try fixture.sql("SELECT max(tool_name) FROM spans") }
        #expect(error?.code == SQLITE_CORRUPT)
        #expect(error?.message.contains("damaged") == true)
        #expect(try fixture.sql("SELECT count(*) FROM spans") == [["50"]])
    }
}
