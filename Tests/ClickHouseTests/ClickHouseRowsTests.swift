import Testing

@testable import ClickHouse

@Suite struct ClickHouseRowsTests {
    private func rows(_ lines: [String]) throws -> ClickHouseRows {
        try ClickHouseRows(Array(lines.joined(separator: "\n").utf8))
    }

    @Test func valuesArriveAsTheyWouldFromSQLite() throws {
        let cases: [(type: String, json: String, value: ClickHouseValue)] = [
            ("Int64", "-9223372036854775808", .integer(.min)), ("UInt64", "9223372036854775807", .integer(.max)),
            ("UInt64", "18446744073709551615", .text("18446744073709551615")), ("Nullable(Int64)", "null", .null),
            ("LowCardinality(Nullable(String))", #""a\u0000b\n""#, .text("a\0b\n")), ("Float64", "1", .double(1)),
            ("Float64", "\"nan\"", .null), ("Float64", "\"-inf\"", .double(-.infinity)),
            ("Float64", "5e-324", .double(.leastNonzeroMagnitude)),
            ("Bool", "true", .integer(1)), ("Decimal(18, 4)", "1.25", .text("1.25")), ("Enum8('a' = 1)", "\"a\"", .text("a")),
            ("Map(String, String)", #"{"b":"2","a":"1"}"#, .text(#"{"b":"2","a":"1"}"#)),
            ("Array(UInt8)", "[1,2]", .text("[1,2]")),
            ("DateTime64(9, 'UTC')", "\"2026-01-01 00:00:00.000000000\"", .text("2026-01-01 00:00:00.000000000")),
            ("IntervalDay", "3", .text("3")), ("UUID", "\"x\"", .text("x")),
            (
                "Int128", "170141183460469231731687303715884105727",
                .text("170141183460469231731687303715884105727")
            ),
        ]
        for one in cases {
            let found = try rows([#"["c"]"#, "[\(quoted(one.type))]", "[\(one.json)]"])
            #expect(found.names == ["c"] && found.rowCount == 1)
            #expect(try found.row(0) == [one.value], "\(one.type)")
        }
    }

    private func quoted(_ text: String) -> String { "\"" + text.replacing("\"", with: "\\\"") + "\"" }

    @Test func bytesThatAreNoTextAreMended() throws {
        let body = Array("[\"c\"]\n[\"String\"]\n[\"a".utf8) + [0xFF, 0xFE] + Array("\"]\n".utf8)
        #expect(try ClickHouseRows(body).row(0) == [.text("a\u{FFFD}\u{FFFD}")])
    }

    @Test func whatIsNoSuchAnswerIsSaid() throws {
        #expect(try rows([]).names.isEmpty)
        for lines in [["[\"a\"]"], ["{}", "[]"], ["[\"a\"]", "[]"], ["[\"a\"", "[\"Int8\"]"]] {
            #expect(throws: ClickHouseRows.Problem.self) { try rows(lines) }
        }
        for row in ["[1,2]", "[1", "1", "<html>"] {
            let found = try rows(["[\"a\"]", "[\"Int8\"]", row])
            #expect(throws: ClickHouseRows.Problem.self) { try found.row(0) }
        }
    }
}

@Suite struct StatementTextTests {
    @Test func aTextIsPartedAtSemicolonsOutsideOfQuotesAndComments() {
        let text = #"SELECT ';', "a;b", `;` -- ; one"# + "\n; /* ; /* ; */ */ ;\n SELECT 'it\\';s' # ;\n, 'x'';' ;"
        let parts = StatementText.parts(text)
        #expect(parts.count == 2 && parts[0].hasPrefix("SELECT ';'") && parts[1].contains("x'';'"))
        #expect(StatementText.parts("") == [] && StatementText.parts(" ; -- nothing\n;").isEmpty)
        #expect(StatementText.parts("SELECT 'open").count == 1 && StatementText.parts("SELECT 1 /* open").count == 1)
    }

    @Test func onlyWhatReadsIsAsked() {
        for text in [
            "SELECT 1", " -- why\n with a AS (SELECT 1) SELECT * FROM a", "(SELECT 1) UNION ALL (SELECT 2)", "show tables",
            "DESCRIBE t",
            "/* x */EXPLAIN SELECT 1", "exists t", "FROM t SELECT a", "select'1'",
        ] { #expect(StatementText.objection(text) == nil, "\(text)") }
        for text in [
            "INSERT INTO t VALUES (1)", "DROP TABLE t", "SET readonly = 0", "KILL QUERY WHERE 1", "SYSTEM STOP MERGES", "",
            "-- SELECT", "1",
            "USE d", "TRUNCATE t", "CREATE VIEW v AS SELECT 1", "'SELECT'", "; SELECT 1",
        ] { #expect(StatementText.objection(text) != nil, "\(text)") }
    }
}
