import HummingbirdCore
import NIOCore
import Synchronization

/// Leaves connections in the system's backlog while as many are open as there are file descriptors for.
///
/// One past the limit of connections is closed by ``CountedChildChannel``, but on its own event loop, which may be behind: without
/// this, a burst would take the store's descriptors too. One for each server; all count in the same ledger.
final class AcceptLimit: AvailableConnectionsDelegate {
    /// How long until it is looked again, when another server's connections were the ones in the way.
    private static let pause = TimeAmount.milliseconds(5)

    private struct State {
        var server: (any Channel)?
        var isWaiting = false
    }

    private let ledger: ConnectionLedger
    private let state = Mutex(State())

    init(ledger: ConnectionLedger) {
        self.ledger = ledger
    }

    /// Tells it the server's channel, as soon as that is known; what was left in the backlog before is read then.
    func serves(_ channel: any Channel) {
        state.withLock { $0.server = channel }
        channel.read()
    }

    func connectionOpened() { ledger.accepted() }

    func connectionClosed() { ledger.closed() }

    func isAcceptingNewConnections() -> Bool {
        if ledger.hasDescriptors { return true }
        readLater()
        return false
    }

    private func readLater() {
        let server = state.withLock { state -> (any Channel)? in
            guard !state.isWaiting, let server = state.server else { return nil }
            state.isWaiting = true
            return server
        }
        server?.eventLoop.scheduleTask(in: Self.pause) { [self] in
            state.withLock { $0.isWaiting = false }
            server?.read()
        }
    }
}
