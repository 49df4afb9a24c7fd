import TelemetryModel

/// Which attribute keys have a column in the merged segment, and which go to the overflow column.
struct MergedAttributes {
    /// In the order of their first appearance.
    let columns: [MergedColumns.Column]
    /// Keys without a column.
    let overflowing: [String]
    private let all: MergedColumns
    private let inputs: [SegmentReader]

    init(_ all: MergedColumns, of inputs: [SegmentReader]) {
        self.all = all
        self.inputs = inputs
        let attributes = Array(all.all(.attribute))
        guard attributes.count > SegmentFormat.attributeColumnsMax else {
            columns = attributes
            overflowing = []
            return
        }
        let counts = attributes.map { column in
            column.lines.reduce(0) { $0 + inputs[$1.input].directory.columns[$1.line].valueCount }
        }
        // The commonest keys keep theirs; of equal ones those that came first.
        let ranked = attributes.indices.sorted { (counts[$0], $1) > (counts[$1], $0) }
        let kept = Set(ranked.prefix(SegmentFormat.attributeColumnsMax))
        columns = attributes.indices.filter(kept.contains).map { attributes[$0] }
        overflowing = attributes.indices.filter { !kept.contains($0) }.map { attributes[$0].name }
    }

    /// The attribute that a derived column repeats in all inputs; `nil` when it must hold values itself.
    func alias(of column: MergedColumns.Column) -> String? {
        var source: String?
        for line in column.lines {
            let entries = inputs[line.input].directory.columns
            guard entries[line.line].encoding == .alias, source.map({ $0.isExactly(entries[line.line].aliasName) }) ?? true else { return nil }
            source = entries[line.line].aliasName
        }
        guard let source, !overflowing.contains(where: source.isExactly) else { return nil }
        // Where the derived column is absent the attribute must be, or its values would become the column's.
        var places = column.lines[...]
        for line in all.column(.attribute, source)?.lines ?? [] {
            while let first = places.first, first.input < line.input { places.removeFirst() }
            guard places.first?.input == line.input else { return nil }
        }
        return source
    }
}
