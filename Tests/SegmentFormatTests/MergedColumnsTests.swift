import Testing

@testable import SegmentFormat

/// Which line of which directory a column is, of segments that are merged.
@Suite struct MergedColumnsTests {
    private static func entry(_ space: ColumnSpace, _ name: String) -> ColumnEntry {
        ColumnEntry(
            space: space, name: name, encoding: .empties, stream: 0, offset: 0, length: 0, valueCount: 1, minimum: 0, maximum: 0, valueMask: .max)
    }

    private static func segment(_ columns: [(ColumnSpace, String)]) -> SegmentReader {
        let directory = SegmentDirectory(spanCount: 1, streamCounts: [1], columns: columns.map { entry($0.0, $0.1) })
        return SegmentReader(id: 1, directory: directory) { _ in [] }
    }

    private static func lines(_ column: MergedColumns.Column?) -> [[Int]] { column?.lines.map { [$0.input, $0.line] } ?? [] }

    @Test func columnsAreFoundInWhateverOrderTheirSegmentsHaveThem() {
        let merged = MergedColumns([
            Self.segment([(.fixed, "name"), (.attribute, "a"), (.attribute, "b")]),
            Self.segment([(.attribute, "b"), (.fixed, "name"), (.attribute, "c")]),
            Self.segment([(.fixed, "name"), (.attribute, "c"), (.attribute, "a")]),
        ])
        #expect(merged.columns.map(\.name) == ["name", "a", "b", "c"])
        #expect(Self.lines(merged.column(.fixed, "name")) == [[0, 0], [1, 1], [2, 0]])
        #expect(Self.lines(merged.column(.attribute, "a")) == [[0, 1], [2, 2]])
        #expect(Self.lines(merged.column(.attribute, "b")) == [[0, 2], [1, 0]])
        #expect(Self.lines(merged.column(.attribute, "c")) == [[1, 2], [2, 1]])
        #expect(merged.column(.derived, "a") == nil && merged.column(.attribute, "d") == nil)
    }

    @Test func namesThatShowAlikeAreOtherColumnsAndSoAreThoseOfOtherSpaces() {
        let merged = MergedColumns([
            Self.segment([(.attribute, "caf\u{E9}"), (.attribute, "cafe\u{301}"), (.derived, "model"), (.attribute, "model")]),
            Self.segment([(.attribute, "cafe\u{301}"), (.attribute, "model")]),
        ])
        #expect(merged.columns.count == 4)
        #expect(Self.lines(merged.column(.attribute, "caf\u{E9}")) == [[0, 0]])
        #expect(Self.lines(merged.column(.attribute, "cafe\u{301}")) == [[0, 1], [1, 0]])
        #expect(Self.lines(merged.column(.attribute, "model")) == [[0, 3], [1, 1]])
        #expect(merged.all(.attribute).map(\.name.utf8.count) == [5, 6, 5])
    }

    @Test func ofAColumnThatADirectoryHasTwiceTheFirstCounts() {
        let merged = MergedColumns([Self.segment([(.attribute, "a"), (.attribute, "b"), (.attribute, "a")])])
        #expect(Self.lines(merged.column(.attribute, "a")) == [[0, 0]])
    }

    @Test func aDerivedColumnStandsForAnAttributeOnlyWhereItDoesInEverySegment() {
        func segment(_ derived: String?, attribute: Bool) -> SegmentReader {
            var columns: [ColumnEntry] = []
            if let derived {
                var entry = Self.entry(.derived, "model")
                (entry.encoding, entry.aliasName) = (.alias, derived)
                columns.append(entry)
            }
            if attribute { columns.append(Self.entry(.attribute, "llm.model")) }
            return SegmentReader(id: 1, directory: SegmentDirectory(spanCount: 1, streamCounts: [1], columns: columns)) { _ in [] }
        }
        func alias(_ inputs: [SegmentReader]) -> String? {
            let columns = MergedColumns(inputs)
            return columns.column(.derived, "model").flatMap { MergedAttributes(columns, of: inputs).alias(of: $0) }
        }
        let both = segment("llm.model", attribute: true)
        let neither = segment(nil, attribute: false)
        #expect(alias([both, neither, both]) == "llm.model")
        // The attribute alone would become the column's value where it had none.
        #expect(alias([both, segment(nil, attribute: true), both]) == nil)
        #expect(alias([segment(nil, attribute: true), both]) == nil)
        #expect(alias([both, segment("gen_ai.model", attribute: true)]) == nil)
    }
}
