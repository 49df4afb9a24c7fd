package import NIOCore

/// What an event loop's clock looks after.
package protocol ClockedConnection: AnyObject {
    /// Called a few times a second.
    func tick(now: NIODeadline)
}

/// The coarse clock of an event loop, and what else its connections share. Deadlines of seconds need no timer of their own for each
/// request: all connections are looked at a few times a second, for as long as there are any.
package final class LoopClock {
    private static let interval = TimeAmount.milliseconds(250)

    package let eventLoop: any EventLoop
    let executor: EventLoopExecutor
    private let unixNano: @Sendable () -> Int64
    /// At most one interval old.
    package private(set) var now: NIODeadline
    /// For the header field `Date`.
    private(set) var date = ""
    private(set) var unixSeconds: Int64 = -1
    private var connections: [ObjectIdentifier: any ClockedConnection] = [:]
    private var isTicking = false

    /// Belongs to the event loop, and is made on it.
    package init(_ eventLoop: any EventLoop, unixNano: @escaping @Sendable () -> Int64) {
        self.eventLoop = eventLoop
        self.unixNano = unixNano
        executor = EventLoopExecutor(eventLoop)
        now = eventLoop.now
    }

    /// Looks after a connection until `remove`.
    package func add(_ connection: any ClockedConnection) {
        connections[ObjectIdentifier(connection)] = connection
        guard !isTicking else { return }
        read()
        schedule()
    }

    package func remove(_ connection: any ClockedConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    private func read() {
        now = eventLoop.now
        let seconds = unixNano() / 1_000_000_000
        if seconds != unixSeconds {
            unixSeconds = seconds
            date = HTTPDate.text(unixSeconds: seconds)
        }
    }

    private func schedule() {
        isTicking = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.interval) { bound.value.tick() }
    }

    private func tick() {
        isTicking = false
        read()
        for connection in Array(connections.values) { connection.tick(now: now) }
        if !connections.isEmpty && !isTicking { schedule() }
    }
}

/// The clocks of all event loops of a group.
package struct LoopClocks: Sendable {
    private let clocks: [ObjectIdentifier: NIOLoopBound<LoopClock>]

    /// - Parameter unixNano: nanoseconds since 1970.
    package init(_ group: any EventLoopGroup, unixNano: @escaping @Sendable () -> Int64) async throws {
        var clocks: [ObjectIdentifier: NIOLoopBound<LoopClock>] = [:]
        for eventLoop in group.makeIterator() {
            clocks[ObjectIdentifier(eventLoop)] = try await eventLoop.submit {
                NIOLoopBound(LoopClock(eventLoop, unixNano: unixNano), eventLoop: eventLoop)
            }.get()
        }
        self.clocks = clocks
    }

    /// The clock of an event loop of the group, asked for on that loop.
    package subscript(_ eventLoop: any EventLoop) -> LoopClock? { clocks[ObjectIdentifier(eventLoop)]?.value }
}
