/// What decides, beside a span's attributes, which rules of the alias table might hold for it: as a number, since spans of one shape meet
/// few of them.
struct RuleCircumstances: Sendable {
    /// Status codes that rules ask for; all others are alike.
    static let statusCodesMax = 3
    static let count = 1 + 16 * (1 + statusCodesMax)

    /// Below `count`.
    let number: Int

    /// Nothing is known: every rule that the shape allows is tried. What the others leave out must not change what comes of it.
    static let unknown = RuleCircumstances(number: 0)

    private init(number: Int) {
        self.number = number
    }

    /// - Parameters:
    ///   - isComplete: each column that attributes fill directly has the value of the best one of them.
    ///   - isInScope: the scope's name begins with a prefix that some rule asks for.
    ///   - statusCode: the code's position in `ColumnTable.statusCodes`, from 1; 0 for one that no rule asks for.
    @inline(__always)
    init(isComplete: Bool, hasEvents: Bool, isInScope: Bool, isRoot: Bool, statusCode: Int) {
        var bits = statusCode &<< 4
        if isComplete { bits |= 1 }
        if hasEvents { bits |= 2 }
        if isInScope { bits |= 4 }
        if isRoot { bits |= 8 }
        number = bits &+ 1
    }

    private var bits: Int { number - 1 }
    private var isComplete: Bool { bits & 1 != 0 }
    private var hasEvents: Bool { bits & 2 != 0 }
    private var isInScope: Bool { bits & 4 != 0 }
    private var isRoot: Bool { bits & 8 != 0 }
    private var statusCode: Int { bits >> 4 }

    /// Whether a rule might hold, and its value be better than what the column has.
    ///
    /// - Parameter best: by column, the rank of the best attribute that fills it directly; the largest for none.
    func allow(_ rule: ColumnRule, _ needs: ColumnTable.Needs, best: [UInt16], _ table: borrowing ColumnTable) -> Bool {
        guard number > 0 else { return true }
        if isComplete && best[rule.column.rawValue] <= needs.rank { return false }
        if !hasEvents && needs.events != 0 || !isInScope && needs.scopes != 0 { return false }
        if needs.statusCode >= 0, statusCode == 0 || table.statusCodes[statusCode - 1] != needs.statusCode { return false }
        return rule.conditions.allSatisfy { condition in
            switch condition {
            case .root: isRoot
            case .child: !isRoot
            case .filled(let column, isNegated: true): !isComplete || best[column.rawValue] == .max
            case .scope, .attribute, .attributeSuffix, .column, .filled: true
            }
        }
    }
}
