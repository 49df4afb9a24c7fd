import Derivations
import Dispatch
package import SpanStore

/// Takes what other processes put into the data folder's inbox, one file between two commits of spans.
struct InboxReader {
    /// The inbox is looked into at most this often,
    private static let interval = Duration.milliseconds(200)
    /// but for a while after a file as often as this, since files come in rows.
    private static let busyInterval = Duration.milliseconds(20)
    private static let busyFor = Duration.seconds(2)

    private let inbox: StoreInbox
    private var lastLook: ContinuousClock.Instant?
    private var lastFile: ContinuousClock.Instant?

    /// How long the writer may sleep before it should look again.
    func patience(now: ContinuousClock.Instant) -> Duration {
        isBusy(now) ? Self.busyInterval : .seconds(1)
    }

    private func isBusy(_ now: ContinuousClock.Instant) -> Bool { lastFile.map { now - $0 < Self.busyFor } ?? false }

    init(_ folder: StoreFolder) {
        inbox = StoreInbox(folder)
    }

    /// Commits the oldest file's rows, if there is one. A commit that fails leaves the file for the next try.
    mutating func takeNext(_ state: WriterState, now: ContinuousClock.Instant, moment: Moment) throws(StoreError) {
        if let lastLook, now - lastLook < (isBusy(now) ? Self.busyInterval : Self.interval) { return }
        lastLook = now
        guard let name = inbox.pending().first else { return }
        lastFile = now
        guard let content = inbox.content(of: name), let document = InboxDocument(content) else { return inbox.refuse(name) }
        try state.store(document.rows, now: moment)
        inbox.remove(name)
    }
}

extension InboxDocument {
    /// The document as the store takes it.
    var rows: AnnexRows {
        var rows = AnnexRows()
        switch self {
        case .evals(let evals): rows.evals = evals
        case .prices(let table): rows.prices = table
        case .forward(let orders): rows.forwardOrders = orders
        case .forget(let order): rows.forgetOrders = [order]
        }
        return rows
    }
}

/// How a command hands rows to the data file: to the process that owns it, or, when none does, into the file itself.
package struct Handover: Sendable {
    private let folder: StoreFolder
    private let inbox: StoreInbox

    package init(_ folder: StoreFolder) {
        self.folder = folder
        inbox = StoreInbox(folder)
    }

    /// Why the owner did not take a document.
    package enum Failure: Error, Sendable {
        case store(StoreError)
        /// It waits in the inbox and will be taken when the owner comes to it.
        case notYet(seconds: Int)
        package var isRetryable: Bool {
            switch self {
            case .store(let error): error.isRetryable
            case .notYet: true
            }
        }

        package var message: String {
            switch self {
            case .store(let error): error.message
            case .notYet(let seconds):
                "the server that owns the data folder did not take the rows within \(seconds) s; they wait in its inbox and will be taken"
            }
        }
    }

    /// Hands over one document and returns when its rows are committed.
    ///
    /// - Parameters:
    ///   - name: a name for the file in the inbox; names sort in the order in which they are to be taken.
    ///   - pause: sleeps for a moment between looks.
    package func send(
        _ document: InboxDocument, name: String, nowUnixNano: Int64, secondsMax: Int = 30, pause: () -> Void
    ) throws(Failure) {
        let start = ContinuousClock.now
        var isDelivered = false
        while true {
            do throws(StoreError) {
                if isDelivered && !inbox.holds(name) { return try checkRefusal(name) }
                try folder.write(document.rows, nowUnixNano: nowUnixNano)
                inbox.remove(name)
                return
            } catch .locked {
                // Somebody owns the file: it takes the rows.
            } catch {
                throw .store(error)
            }
            if !isDelivered {
                do throws(StoreError) {
                    try inbox.deliver(document.encoded, name: name)
                } catch {
                    throw .store(error)
                }
                isDelivered = true
            }
            guard ContinuousClock.now - start < .seconds(secondsMax) else { throw .notYet(seconds: secondsMax) }
            pause()
        }
    }

    private func checkRefusal(_ name: String) throws(StoreError) {
        guard inbox.refused(name) else { return }
        throw .folder("the server could not read \(name), and put it aside in its inbox; is it an older version?")
    }
}
