package import HummingbirdCore
package import Logging
package import NIOCore
import NIOSSL

/// TLS around another channel, with the settings that hold when a connection begins.
package struct TLSChildChannel<Base: ServerChildChannel>: ServerChildChannel {
    package typealias Value = Base.Value

    private let base: Base
    private let contexts: TLSContexts

    package init(_ base: Base, contexts: TLSContexts) {
        self.base = base
        self.contexts = contexts
    }

    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: contexts.current))
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    package func handle(value: Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}
