/// The views of schemas/store/views.sql.
struct StoredView {
    var name: String
    /// Its SELECT.
    var definition: String

    /// In the order of the file, where each view uses only those before it.
    static let all: [StoredView] = {
        let text = PackageResources.views_sql
        let tokens = SQLText.tokens(text) ?? []
        var views: [StoredView] = []
        // CREATE TEMP VIEW name AS … ;
        for statement in tokens.split(whereSeparator: { $0.isSymbol(";") }) {
            guard statement.count > 5, let name = statement.dropFirst(3).first, let first = statement.dropFirst(5).first,
                let last = statement.last
            else { continue }
            let definition = text[first.range.lowerBound..<last.range.upperBound]
            views.append(StoredView(name: name.value, definition: String(decoding: definition, as: UTF8.self)))
        }
        return views
    }()
}

extension SQLReader {
    /// The view `costs` over the calls that meet a condition on the columns of `token_spans`. It is the view's own text, so that what a window
    /// cost and what everything cost follow one law.
    package static func costs(where condition: String) -> String {
        let definition = StoredView.all.first { $0.name == "costs" }?.definition ?? ""
        guard let group = definition.ranges(of: "GROUP BY").last else { return definition }
        return definition[..<group.lowerBound] + "WHERE \(condition)\n" + definition[group.lowerBound...]
    }
}
