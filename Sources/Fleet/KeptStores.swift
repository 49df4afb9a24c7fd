import Dispatch
import Queries
import Synchronization

/// Stores that are kept for the next questions, and those that are being made: a page asks several questions at once, most of them of one
/// window, and its spans come over the network once. From any thread that may wait.
final class KeptStores: Sendable {
    /// Stores that are kept.
    private static let keptMax = 4
    /// Stores that are being made at a time and that others may wait for; who asks beyond makes one of its own.
    private static let pendingMax = 16

    private struct Kept {
        var need: SpanNeed
        var store: WorkingStore
        var until: ContinuousClock.Instant
    }

    /// A store that somebody is making.
    private final class Pending: Sendable {
        let need: SpanNeed
        let made = DispatchGroup()
        let result = Mutex<Result<WorkingStore, any Error>?>(nil)

        init(_ need: SpanNeed) {
            self.need = need
            made.enter()
        }
    }

    private struct State {
        var kept: [Kept] = []
        var pending: [Pending] = []
    }

    private enum Place {
        case known(WorkingStore)
        case waiting(Pending)
        case making(Pending)
    }

    private let state = Mutex(State())
    private let keptFor: Duration

    /// - Parameter seconds: how long a store may be asked again; none is shared below 0.
    init(seconds: Int) {
        keptFor = .seconds(seconds)
    }

    /// Lets go of all that is kept.
    func clear() { state.withLock { $0.kept = [] } }

    /// A store that has what is needed: one that is there, one that somebody is making, or what `make` gives.
    ///
    /// - Parameter seconds: how long somebody else's is waited for.
    func store(of need: SpanNeed, seconds: Int, _ make: () throws -> WorkingStore) throws -> WorkingStore {
        guard keptFor >= .zero else { return try make() }
        switch place(of: need) {
        case .known(let store): return store
        case .waiting(let pending):
            guard pending.made.wait(timeout: .now() + .seconds(max(1, seconds))) == .success, let result = pending.result.withLock({ $0 })
            else { throw QueryError.unavailable("the spans did not come within \(seconds) s; ask again in a moment, or about a shorter time") }
            return try result.get()
        case .making(let pending):
            let result = Result { try make() }
            state.withLock { state in
                state.pending.removeAll { $0 === pending }
                guard case .success(let store) = result else { return }
                if state.kept.count >= Self.keptMax { state.kept.removeFirst() }
                state.kept.append(Kept(need: need, store: store, until: ContinuousClock.now + keptFor))
            }
            pending.result.withLock { $0 = result }
            pending.made.leave()
            return try result.get()
        }
    }

    private func place(of need: SpanNeed) -> Place {
        let now = ContinuousClock.now
        return state.withLock { state in
            state.kept.removeAll { $0.until < now }
            if let kept = state.kept.first(where: { $0.need.covers(need) }) { return .known(kept.store) }
            if let pending = state.pending.first(where: { $0.need.covers(need) }) { return .waiting(pending) }
            let own = Pending(need)
            if state.pending.count < Self.pendingMax { state.pending.append(own) }
            return .making(own)
        }
    }
}
