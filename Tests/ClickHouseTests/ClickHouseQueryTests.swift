import Testing

@testable import ClickHouse

@Suite struct ClickHouseQueryTests {
    private let table = ClickHouseTable(database: "otel", table: "otel_traces")

    @Test func anInsertSaysEverySettingThatTheServerKnows() {
        let all = Set(ClickHouseQuery.insertSettings.map(\.name))
        let path = ClickHouseQuery.insert(
            into: table, columns: ["TraceId", "Events.Name"], knownSettings: all, id: "fusebox-n-1")
        #expect(
            path
                == "/?query=INSERT%20INTO%20otel.otel_traces%20%28%60TraceId%60%2C%20%60Events.Name%60%29%20FORMAT%20Native"
                + "&query_id=fusebox-n-1&wait_end_of_query=1&async_insert=0&deduplicate_insert=disable&insert_deduplicate=0"
                + "&input_format_native_allow_types_conversion=1&optimize_on_insert=0&send_progress_in_http_headers=0")
        let old = ClickHouseQuery.insert(into: table, columns: ["TraceId"], knownSettings: ["async_insert"], id: "é&=")
        #expect(old.hasSuffix("&query_id=%C3%A9%26%3D&wait_end_of_query=1&async_insert=0"))
    }

    @Test func namesThatNeedQuotesAreNone() {
        for name in ["otel", "_a1", "A"] { #expect(ClickHouseTable.isName(name)) }
        for name in ["", "1a", "a b", "a'", "a.b", "ä", String(repeating: "a", count: 65)] {
            #expect(!ClickHouseTable.isName(name))
        }
    }

    @Test func aSurveyTellsWhatCanBeInsertedAndWhere() throws {
        let answer = """
            table\totel_traces\tReplicatedReplacingMergeTree\tServiceName, toDateTime(Timestamp), TraceId, SpanId
            column\tTraceId\t\tString
            column\ttool_name\tDEFAULT\tLowCardinality(String)
            column\told\tMATERIALIZED\tString
            column\titems\tALIAS\tArray(String)
            setting\tasync_insert\t\t

            """
        let survey = try #require(ClickHouseSurvey(Array(answer.utf8)))
        #expect(survey.columns == ["TraceId", "tool_name"] && survey.settings == ["async_insert"])
        #expect(survey.objection(table, identity: ["TraceId", "SpanId"]) == nil)
        #expect(survey.objection(table, identity: ["FuseboxOrdinal"])?.contains("not sorted by FuseboxOrdinal") == true)
        #expect(ClickHouseSurvey(Array("<html>".utf8)) == nil)
        let none = try #require(ClickHouseSurvey([]))
        #expect(none.objection(table, identity: [])?.hasPrefix("there is no table otel.otel_traces") == true)
        for (engine, word) in [("MergeTree", "--upgrade"), ("Distributed", "before rows are stored")] {
            let other = try #require(ClickHouseSurvey(Array("table\tt\t\(engine)\tTraceId, SpanId\n".utf8)))
            #expect(other.objection(table, identity: ["TraceId"])?.contains(word) == true)
        }
    }

    @Test func everyCodeHasOneMeaning() {
        let expected: [(ClickHouseError, [Int])] = [
            (.busy, [202, 203, 241, 242, 225, 243, 285, 286, 290, 439]), (.tooManyParts, [252]),
            (.ambiguous, [159, 209, 210, 236, 319, 341, 394, 999, 1000]), (.running, [216]),
            (.unauthorized, [516, 192, 193, 497, 194]), (.schema, [60, 81, 16, 20, 44, 53, 70, 115, 349, 469]),
            (.poison, [27, 33, 38, 69, 117, 131]), (.tooLarge, [229, 307]),
        ]
        for (error, codes) in expected { for code in codes { #expect(ClickHouseError(code: code) == error, "\(code)") } }
        #expect(ClickHouseError(code: 0) == nil && ClickHouseError(code: 123_456) == nil)
    }
}
