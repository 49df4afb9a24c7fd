import Dispatch
import Foundation

/// Calls a closure with the number when the process is sent one of a few signals, which then do nothing else.
struct StopSignals {
    private let sources: [any DispatchSourceSignal]

    /// When it returns, a signal that is sent from then on arrives: a source listens only some moments after it was resumed, and what is sent
    /// before that would be ignored for good.
    init(_ numbers: [Int32], action: @escaping @Sendable (Int32) -> Void) {
        let registered = DispatchSemaphore(value: 0)
        sources = numbers.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { action(number) }
            source.setRegistrationHandler { registered.signal() }
            source.resume()
            return source
        }
        for _ in numbers { registered.wait() }
    }

    func cancel() {
        for source in sources { source.cancel() }
    }
}
