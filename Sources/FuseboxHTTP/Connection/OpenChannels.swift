package import NIOCore
import Synchronization

/// The connections of a server, so that it can ask them to end, and know when all have.
package final class OpenChannels: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Set once the server stops; kept when the last connection is gone.
        var ended: EventLoopPromise<Void>?
    }

    private let state = Mutex(State())

    package init() {}

    /// Looks after a connection until it closes. While the server stops, it is asked to end at once.
    package func add(_ channel: any Channel) {
        let isStopping = state.withLock { state in
            state.channels[ObjectIdentifier(channel)] = channel
            return state.ended != nil
        }
        channel.closeFuture.whenComplete { [self] _ in remove(channel) }
        if isStopping { Self.askToEnd(channel) }
    }

    private func remove(_ channel: any Channel) {
        let ended = state.withLock { state -> EventLoopPromise<Void>? in
            state.channels[ObjectIdentifier(channel)] = nil
            return state.channels.isEmpty ? state.ended : nil
        }
        ended?.succeed()
    }

    /// Asks all connections to end once what they are at is done (`ChannelShouldQuiesceEvent`), and keeps the promise when none is open.
    /// Called once.
    package func end(_ promise: EventLoopPromise<Void>) {
        let channels = state.withLock { state in
            state.ended = promise
            return Array(state.channels.values)
        }
        if channels.isEmpty { promise.succeed() }
        for channel in channels { Self.askToEnd(channel) }
    }

    /// Closes all connections, whatever they are at.
    package func closeAll() {
        for channel in state.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
    }

    private static func askToEnd(_ channel: any Channel) {
        channel.eventLoop.execute { channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent()) }
    }
}
