extension CallFamily.Limits {
    /// Calls that are compared with each other one by one.
    static let plainMax = 16
}

extension CallFamily {
    /// What counts of each call of a trace in which nobody else tells of a call, as in most: `CallFamily` would say the same, and makes sets
    /// and tables for it. `nil` where it must be asked.
    package static func plainFacets(_ calls: [ToldCall]) -> [CallFacets]? {
        guard calls.count <= Limits.plainMax else { return nil }
        for (index, call) in calls.enumerated() {
            let standsAlone = call.source == .span && call.side == .none && !call.tellsParent && !call.isToldByChild
            guard standsAlone else { return nil }
            for other in 0..<index where isOfSameCall(call, calls[other]) { return nil }
        }
        return calls.indices.map { calls[$0].carries.subtracting(inside($0, calls).intersection(calls[$0].mayLose)) }
    }

    /// Whether two spans may be of one class.
    private static func isOfSameCall(_ one: ToldCall, _ other: ToldCall) -> Bool {
        if one.span == other.span { return true }
        guard one.isOfModel, other.isOfModel else { return false }
        return one.response != 0 && one.response == other.response || one.parent == other.parent && one.scope != other.scope
    }

    /// What calls within one have, however deep; a bit a call.
    private static func inside(_ index: Int, _ calls: [ToldCall]) -> CallFacets {
        var found: CallFacets = []
        var seen: UInt32 = 1 << index
        var waiting: UInt32 = seen
        while waiting != 0 {
            let place = waiting.trailingZeroBitCount
            waiting &= waiting - 1
            for (child, call) in calls.enumerated() where call.parent == calls[place].span && seen & 1 << child == 0 {
                guard let told = call.told(to: calls[index]) else { continue }
                seen |= 1 << child
                found.formUnion(told)
                if call.sort != .tool { waiting |= 1 << child }
            }
        }
        return found
    }
}
