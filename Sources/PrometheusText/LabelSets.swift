import Synchronization

/// The cells of a labelled metric, one a set of label values, first come and never evicted.
///
/// Bounded: when `setsMax` sets are taken, every further one shares a cell whose values all read `overflowValue`.
final class LabelSets<Cell: Sendable>: Sendable {
    private struct State {
        var cells: [[String]: Cell] = [:]
        var overflow: Cell?
    }

    private let names: [String]
    private let setsMax: Int
    private let make: @Sendable () -> Cell
    private let state = Mutex(State())

    init(names: [String], setsMax: Int, make: @escaping @Sendable () -> Cell) {
        precondition(!names.isEmpty && setsMax > 0)
        self.names = names
        self.setsMax = setsMax
        self.make = make
    }

    /// The cell of a set of values, one a label name; made when it is new. Constant time.
    func cell(_ values: [String]) -> Cell {
        precondition(values.count == names.count)
        return state.withLock { state in
            if let cell = state.cells[values] { return cell }
            if state.cells.count < setsMax {
                let cell = make()
                state.cells[values] = cell
                return cell
            }
            let overflow = state.overflow ?? make()
            state.overflow = overflow
            return overflow
        }
    }

    /// Every cell with its labels as exposition text, in no order.
    func rendered() -> [(labels: String, cell: Cell)] {
        let (cells, overflow) = state.withLock { ($0.cells, $0.overflow) }
        var result = cells.map { values, cell in (labels: render(values), cell: cell) }
        if let overflow {
            let values = [String](repeating: LabelText.overflowValue, count: names.count)
            result.append((labels: render(values), cell: overflow))
        }
        return result
    }

    private func render(_ values: [String]) -> String {
        LabelText.render(zip(names, values).map { (name: $0, value: $1) })
    }
}

extension LabelText {
    /// What a label reads when its metric holds as many label sets as it may.
    package static let overflowValue = "__overflow__"
}
