package import SpanStore

/// Everything that may keep spans out, as it is now, and what follows from it. A value: who asks gets the one answer that the
/// door, readiness, the status, the log and the metrics give.
package struct IntakeState: Sendable {
    /// The server is going down.
    package var isStopping = false
    /// What is open is no longer what stands at the data file's name.
    package var dataFile: DataFileProblem?
    /// After a failed read, write or fsync nobody knows what is on the disk: the kernel may have dropped the pages and answer
    /// well the next time. So the first such error latches, whichever thread met it, and nothing is acknowledged until the file
    /// has been opened anew and checked whole (docs/adr/0020).
    package var suspicion: String?
    /// The disk has little left, or the log is too long.
    package var budget: IngestError?
    /// Retention may not make room: targets of forwarding hold what would go.
    package var hold: IngestError?
    /// The last commit failed for another reason; the next is tried as soon as there is something to commit.
    package var commitFailure: StoreError?
    /// The queue has turned requests away of late.
    package var overload: IngestError?

    package init() {}

    /// Why nothing is let in, as far as that does not change from one request to the next.
    var latched: IngestError? {
        if let dataFile { return .dataFile(dataFile) }
        return suspicion.map(IngestError.storageSuspect)
    }

    /// Why nothing may be stored; `nil` when it is at least tried.
    var closed: IngestError? { latched ?? budget ?? hold }

    /// Why spans are refused now; `nil` when they are stored.
    package var refusal: IngestError? {
        if isStopping { return .stopping }
        return closed ?? commitFailure.map(IngestError.store) ?? overload
    }
}

/// What the server's log says of refusals: one line when they begin and one when they have ended, however many requests they
/// meet.
struct IntakeLog {
    /// Refusals that stop for less than this go on, for the log.
    private static let quietMin = Duration.seconds(1)

    private var begun: (reason: String, at: Duration)?
    private var quietSince: Duration?

    /// The line that is due.
    ///
    /// - Parameter now: on any clock that goes forward.
    mutating func line(_ refusal: IngestError?, now: Duration) -> String? {
        guard let refusal else {
            guard let begun else { return nil }
            let quiet = quietSince ?? now
            quietSince = quiet
            guard now - quiet >= Self.quietMin else { return nil }
            self.begun = nil
            quietSince = nil
            return "spans are stored again, after \((quiet - begun.at).components.seconds) s (\(begun.reason))"
        }
        quietSince = nil
        let reason = refusal.dropReason
        if begun?.reason == reason { return nil }
        begun = (reason, begun?.at ?? now)
        return "spans are refused (\(reason)): \(refusal.message)"
    }
}
