/// Finds in a statement what groups `spans` and can be answered from columns, and puts the table `spans_grouped` in its place.
///
/// `SELECT service_name, count(*) / 2 AS half FROM spans WHERE status_code = 2 GROUP BY 1 ORDER BY half` becomes
/// `SELECT group_text_0 AS "service_name", +aggregate_0 / 2 AS "half" FROM spans_grouped(1) ORDER BY half`: the table gives the groups, and
/// what is made of them stays SQLite's. Only what a parse of the statement knows in every part is replaced.
struct GroupingRewriter {
    /// What statements may group, by name.
    private(set) var sources = [GroupingSource.spans.name: GroupingSource.spans]

    /// The statement with everything replaced that can be; `nil` when nothing can.
    ///
    /// - Parameter register: is given each plan, and says the number that the table finds it by; `nil` when there is no room.
    func rewritten(_ statement: String, register: (GroupingPlan) -> Int64?) -> String? {
        let bytes = Array(statement.utf8)
        guard let tokens = SQLText.tokens(bytes), tokens.count <= SQLText.rewrittenTokensMax,
            tokens.contains(where: { $0.isWord("select") })
        else { return nil }
        guard !tokens[0].isWord("explain"), !Self.hidesSource(tokens, sources) else { return nil }
        var text: [UInt8] = []
        var copied = 0
        var position = 0
        while position < tokens.count {
            guard tokens[position].isWord("select"), !Self.isPartOfCompound(tokens, position),
                let select = GroupingSelect(tokens, at: position, sources: sources),
                let replacement = GroupingReplacement(select, bytes, tokens), let number = register(replacement.plan)
            else {
                position += 1
                continue
            }
            text.append(contentsOf: bytes[copied..<tokens[position].range.lowerBound])
            text.append(contentsOf: replacement.text(number, isPart: position > 0).utf8)
            copied = tokens[select.tokens.upperBound - 1].range.upperBound
            position = select.tokens.upperBound
        }
        guard copied > 0 else { return nil }
        text.append(contentsOf: bytes[copied...])
        return String(decoding: text, as: UTF8.self)
    }

    /// Makes a view a source of its own, when all it does is to show columns of rows of a source that fulfil conditions.
    mutating func addView(_ name: String, _ definition: String) {
        guard let tokens = SQLText.tokens(Array(definition.utf8)),
            let select = GroupingSelect(tokens, at: 0, sources: sources), select.tokens.count == tokens.count, !select.isDistinct,
            !select.isGrouped, select.having == nil, select.tail.isEmpty, select.attributes.isEmpty
        else { return }
        var columns: [String: SQLExpression.Form] = [:]
        for item in select.items {
            guard item.expression.isEvaluable, let token = tokens[item.expression.tokens].last else { return }
            columns[(item.alias ?? token.value).lowercased()] = item.expression.form
        }
        let conditions = select.source.conditions + (select.condition?.conjuncts ?? [])
        guard conditions.allSatisfy(\.isEvaluable) else { return }
        sources[name] = GroupingSource(name: name, columns: columns, conditions: conditions)
    }

    /// Whether a SELECT stands beside UNION and its like, which share an ORDER BY.
    private static func isPartOfCompound(_ tokens: [SQLText.Token], _ position: Int) -> Bool {
        guard position > 0 else { return false }
        return ["union", "all", "except", "intersect"].contains { tokens[position - 1].isWord($0) }
    }

    /// Whether the statement may give a source's name to something else: `WITH spans AS (…)`.
    static func hidesSource(_ tokens: [SQLText.Token], _ sources: [String: GroupingSource]) -> Bool {
        guard tokens.contains(where: { $0.isWord("with") }) else { return false }
        return tokens.indices.dropLast().contains { position in
            guard tokens[position].kind == .word || tokens[position].kind == .name,
                sources[tokens[position].value.lowercased()] != nil, position > 0
            else { return false }
            let before = tokens[position - 1]
            return before.isWord("with") || before.isWord("recursive") || before.isSymbol(",") && !tokens[position + 1].isSymbol(".")
        }
    }
}

/// What stands for a SELECT that groups.
struct GroupingReplacement {
    let plan: GroupingPlan
    private let select: GroupingSelect
    private let bytes: [UInt8]
    private let tokens: [SQLText.Token]
    private let itemTexts: [String]
    private let havingText: String?
    private let tailText: String

    /// `nil` where the SELECT asks for something else than columns can give.
    init?(_ select: GroupingSelect, _ bytes: [UInt8], _ tokens: [SQLText.Token]) {
        self.select = select
        self.bytes = bytes
        self.tokens = tokens
        guard let keys = select.keys, Self.areKeys(keys), select.groups.allSatisfy({ !$0.hasAggregate }) else { return nil }
        let hasAggregate = select.items.contains { $0.expression.hasAggregate } || select.having?.hasAggregate == true
        guard select.isGrouped || (select.isDistinct ? !hasAggregate && select.having == nil : hasAggregate) else { return nil }
        // DISTINCT beside groups leaves out rows that come of different groups.
        guard !(select.isGrouped && select.isDistinct) else { return nil }
        var replacer = GroupedNames(keys: keys, names: Set(select.items.compactMap { $0.alias?.lowercased() }))
        let conditions = select.source.conditions + (select.condition?.conjuncts ?? [])
        guard conditions.allSatisfy(\.isEvaluable) else { return nil }
        var itemTexts: [String] = []
        for item in select.items {
            guard let text = replacer.text(item.expression, bytes, tokens, mayNameItems: false) else { return nil }
            itemTexts.append(text)
        }
        var havingText: String?
        if let having = select.having {
            guard let text = replacer.text(having, bytes, tokens, mayNameItems: true) else { return nil }
            havingText = text
        }
        guard let tailText = replacer.text(select.tail, select.orders, bytes, tokens) else { return nil }
        guard replacer.aggregates.count <= GroupedModule.aggregatesMax else { return nil }
        (self.itemTexts, self.havingText, self.tailText) = (itemTexts, havingText, tailText)
        guard let parameters = Self.parameters(select) else { return nil }
        plan = GroupingPlan(
            keys: replacer.keys, aggregates: replacer.aggregates.map(\.aggregate), conditions: conditions, attributes: select.attributes,
            parameters: parameters,
            plainText: Self.plainText(select, keys, replacer.aggregates.map(\.tokens), parameters, bytes, tokens),
            isOneRow: !select.isGrouped && !select.isDistinct)
    }

    private static func areKeys(_ keys: [SQLExpression]) -> Bool {
        let hasParameter = keys.contains { $0.contains { if case .parameter = $0.form { true } else { false } } }
        return !hasParameter && keys.count <= GroupedModule.keysMax && keys.allSatisfy(\.isEvaluable)
    }

    /// The parameters of WHERE by their tokens, as far as there is room; `nil` with parameters where they cannot be.
    private static func parameters(_ select: GroupingSelect) -> [Int: Int]? {
        var numbers: [Int: Int] = [:]
        func visit(_ expression: SQLExpression) {
            if case .parameter(let token) = expression.form, numbers[token] == nil { numbers[token] = numbers.count }
            for part in expression.parts { visit(part) }
        }
        if let condition = select.condition { visit(condition) }
        return numbers.count <= GroupedModule.argumentsMax ? numbers : nil
    }

    private static func plainText(
        _ select: GroupingSelect, _ keys: [SQLExpression], _ aggregates: [Range<Int>], _ parameters: [Int: Int], _ bytes: [UInt8],
        _ tokens: [SQLText.Token]
    ) -> String {
        // Symbols that stand side by side, such as `<>`, stay so.
        func text(_ range: Range<Int>) -> String {
            var text = ""
            for position in range {
                let place = tokens[position].range
                if position > range.lowerBound, tokens[position - 1].range.upperBound < place.lowerBound { text += " " }
                text += parameters[position].map { "?\($0 + 1)" } ?? String(decoding: bytes[place], as: UTF8.self)
            }
            return text
        }
        let keyTexts = keys.map { text($0.tokens) }
        let items = keyTexts + aggregates.map(text)
        var plain = "SELECT \(items.isEmpty ? "1" : items.joined(separator: ", ")) FROM \(text(select.from))"
        if let condition = select.condition { plain += " WHERE \(text(condition.tokens))" }
        if !keys.isEmpty { plain += " GROUP BY \(keyTexts.joined(separator: ", "))" }
        return plain
    }

    /// The SELECT over the table.
    ///
    /// SQLite would put the table itself in the place of a SELECT within another, and run it once for each row of what it is joined with.
    /// It does not where the SELECT groups or is limited, and groups of one row each cost little.
    ///
    /// - Parameters:
    ///   - number: that of the plan.
    ///   - isPart: whether the SELECT stands within a statement.
    func text(_ number: Int64, isPart: Bool) -> String {
        let items = zip(select.items, itemTexts).map { item, text in "\(text) AS \(SQLText.quoted(name(item)))" }
        let arguments = plan.parameters.sorted { $0.value < $1.value }.map { ", \(tokens[$0.key].value)" }.joined()
        var text = "SELECT \(items.joined(separator: ", ")) FROM \(GroupedModule.name)(\(number)\(arguments))"
        if let havingText { text += " WHERE \(havingText)" }
        if isPart, !plan.isOneRow { text += " GROUP BY \(plan.keyNames.joined(separator: ", "))" }
        if isPart, plan.isOneRow, tailText.isEmpty { text += " LIMIT 1" }
        return tailText.isEmpty ? text : "\(text) \(tailText)"
    }

    /// The name that SQLite gives an item's column: that of a column, else the text.
    private func name(_ item: GroupingSelect.Item) -> String {
        if let alias = item.alias { return alias }
        let range = item.expression.tokens
        if case .column(let column) = item.expression.form, column < SpansColumn.all.count, let last = tokens[range].last,
            last.kind == .word || last.kind == .name
        {
            return last.value
        }
        guard let first = tokens[range].first, let last = tokens[range].last else { return "" }
        return String(decoding: bytes[first.range.lowerBound..<last.range.upperBound], as: UTF8.self)
    }
}

/// Gives the columns of `spans_grouped` to keys and aggregates as they are met. A `+` takes from a column the affinity that what it stands for
/// has not: beside a column of texts, SQLite converts what has none (docs/sql.md).
private struct GroupedNames {
    private(set) var keys: [GroupingPlan.Key]
    private(set) var aggregates: [(aggregate: SQLAggregate, tokens: Range<Int>)] = []
    private let columns: [String]
    /// Names that the statement gives items, in lower case.
    private let names: Set<String>

    init(keys: [SQLExpression], names: Set<String>) {
        self.names = names
        self.keys = keys.map { GroupingPlan.Key(expression: $0, affinity: SQLAffinity($0)) }
        columns = zip(self.keys, GroupingPlan.names(of: self.keys)).map { key, name in key.affinity == .none ? "+" + name : name }
    }

    /// An expression with the table's columns in it; `nil` when it asks for a column of single spans, or what cannot be made.
    ///
    /// - Parameter mayNameItems: whether a name may be that of an item.
    mutating func text(_ expression: SQLExpression, _ bytes: [UInt8], _ tokens: [SQLText.Token], mayNameItems: Bool) -> String? {
        var replacements: [(tokens: Range<Int>, text: String)] = []
        guard replace(expression, mayNameItems, &replacements) else { return nil }
        return Self.text(expression.tokens, replacements, bytes, tokens)
    }

    /// ORDER BY and LIMIT.
    mutating func text(_ tail: Range<Int>, _ orders: [SQLExpression], _ bytes: [UInt8], _ tokens: [SQLText.Token]) -> String? {
        var replacements: [(tokens: Range<Int>, text: String)] = []
        for order in orders {
            // A whole term may be the number or the name of an item.
            if case .constant(.integer) = order.form { continue }
            if order.tokens.count == 1, names.contains(tokens[order.tokens.lowerBound].value.lowercased()) { continue }
            guard replace(order, true, &replacements) else { return nil }
        }
        return Self.text(tail, replacements, bytes, tokens)
    }

    private mutating func replace(
        _ expression: SQLExpression, _ mayNameItems: Bool, _ replacements: inout [(tokens: Range<Int>, text: String)]
    ) -> Bool {
        // BETWEEN and CASE ask of one part more than once.
        if replacements.contains(where: { $0.tokens == expression.tokens }) { return true }
        if let key = keys.firstIndex(where: { $0.expression == expression }) {
            replacements.append((expression.tokens, columns[key]))
            return true
        }
        switch expression.form {
        case .aggregate(let aggregate):
            let hasParameter = expression.contains { if case .parameter = $0.form { true } else { false } }
            guard aggregate.isEvaluable, !hasParameter else { return false }
            let number = aggregates.firstIndex { $0.aggregate == aggregate } ?? aggregates.count
            if number == aggregates.count { aggregates.append((aggregate, expression.tokens)) }
            replacements.append((expression.tokens, "+" + GroupedModule.aggregateName(number)))
            return true
        case .column: return false
        case .name(let name): return mayNameItems && names.contains(name.lowercased())
        default:
            for part in expression.parts { guard replace(part, mayNameItems, &replacements) else { return false } }
            return true
        }
    }

    /// The text of some tokens with parts replaced.
    private static func text(
        _ range: Range<Int>, _ replacements: [(tokens: Range<Int>, text: String)], _ bytes: [UInt8], _ tokens: [SQLText.Token]
    ) -> String? {
        guard !range.isEmpty else { return "" }
        var text = ""
        var position = range.lowerBound
        for replacement in replacements.sorted(by: { $0.tokens.lowerBound < $1.tokens.lowerBound }) {
            guard replacement.tokens.lowerBound >= position else { return nil }
            if position < replacement.tokens.lowerBound { text += Self.text(position..<replacement.tokens.lowerBound, bytes, tokens) + " " }
            text += replacement.text + " "
            position = replacement.tokens.upperBound
        }
        if position < range.upperBound { text += Self.text(position..<range.upperBound, bytes, tokens) }
        return text
    }

    private static func text(_ range: Range<Int>, _ bytes: [UInt8], _ tokens: [SQLText.Token]) -> String {
        String(decoding: bytes[tokens[range.lowerBound].range.lowerBound..<tokens[range.upperBound - 1].range.upperBound], as: UTF8.self)
    }
}
