import SegmentFormat
import TelemetryModel

/// What docs/metrics.md 2.12 says of a segment's rows.
struct SegmentCalls: Sendable {
    /// How a call ended, as `spans` shows it; a row that is no call has none of the three.
    struct Ending: Hashable, Sendable {
        var outcome: [UInt8]?
        var reason: [UInt8]?
        var phase: [UInt8]?

        static let none = Ending()

        /// The text of one of the columns `outcome`, `timeout_reason` and `timeout_phase`.
        func text(_ column: String) -> [UInt8]? {
            switch column {
            case "outcome": outcome
            case "timeout_reason": reason
            default: phase
            }
        }
    }

    /// Rows whose tokens count; `nil` for none.
    var tokens: RowBits?
    /// Rows that are shown with another ending than the stored one.
    var endings: [Int32: Ending] = [:]

    /// What was found out of a row.
    struct Change {
        var countsTokens: Bool
        /// Shown in place of the stored one; `nil` when that holds.
        var ending: Ending?

        init(countsTokens: Bool, ending: Ending?) {
            self.countsTokens = countsTokens
            self.ending = ending
        }

        /// - Parameter endings: by `CallFamily.Verdict.failure`, which counts from 1.
        init(_ call: ToldCall, _ verdict: CallFamily.Verdict, _ endings: [Ending]) {
            let isDropped = call.tellsParent || call.carries.contains(.call) && !verdict.facets.contains(.call)
            let told = verdict.failure == 0 ? nil : endings[Int(verdict.failure) - 1]
            self.init(countsTokens: verdict.facets.contains(.tokens), ending: isDropped ? Ending.none : told)
        }
    }

    mutating func set(_ row: Int32, _ change: Change, rowCount: Int) {
        if let ending = change.ending {
            endings[row] = ending
        } else if !endings.isEmpty {
            endings[row] = nil
        }
        if change.countsTokens {
            if tokens == nil { tokens = RowBits(rowCount: rowCount) }
            tokens?.insert(Int(row))
        } else if tokens?.contains(Int(row)) == true {
            tokens?.remove(Int(row))
        }
    }
}
