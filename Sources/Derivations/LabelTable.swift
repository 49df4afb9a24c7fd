import TelemetryModel

/// Which label values were admitted, first come, never evicted: metrics.md 2.11.
struct LabelTable: Sendable {
    /// The labels whose values clients choose.
    enum Label: String, CaseIterable, Sendable {
        case service = "service_name"
        case tool
        case workflow
        case model
        case host

        /// Values that always stand for themselves and take no room.
        func isReserved(_ value: String) -> Bool {
            if value == LabelSanitiser.unknown || value == LabelSanitiser.overflow { return true }
            return self == .tool && (value == Stage.llm.rawValue || value == Stage.vector.rawValue)
        }
    }

    private struct Scope: Hashable {
        var label: Label
        @ByBytes var service: String
    }

    private var admitted: [Scope: Set<ExactText>] = [:]
    private(set) var unsaved: [LabelRow] = []

    init(rows: [LabelRow]) {
        for row in rows {
            guard let label = Label(rawValue: row.label) else { continue }
            admitted[Scope(label: label, service: row.scope), default: []].insert(ExactText(row.value))
        }
    }

    /// The exposed value of a clean `value` and whether it is past the cap. `service` is the service's exposed value, empty for
    /// `service_name` itself and for `host`. Nothing new is admitted when `isOpen` is false.
    mutating func admit(
        _ label: Label, _ value: String, service: String, capacity: Int, isOpen: Bool, at unixNano: Int64
    ) -> (value: String, isOverflow: Bool) {
        if label.isReserved(value) { return (value, false) }
        let scope = Scope(label: label, service: service)
        let known = admitted[scope]
        if let known, known.contains(ExactText(value)) { return (value, false) }
        guard isOpen, known?.count ?? 0 < capacity else { return (LabelSanitiser.overflow, true) }
        admitted[scope, default: []].insert(ExactText(value))
        unsaved.append(LabelRow(label: label.rawValue, scope: service, value: value, firstSeenUnixNano: unixNano))
        return (value, false)
    }

    /// The exposed value of a clean value that is not to be admitted now.
    func exposed(_ label: Label, _ value: String, service: String) -> String {
        if label.isReserved(value) { return value }
        let known = admitted[Scope(label: label, service: service)]?.contains(ExactText(value)) ?? false
        return known ? value : LabelSanitiser.overflow
    }

    mutating func takeUnsaved() -> [LabelRow] {
        defer { unsaved = [] }
        return unsaved
    }
}
