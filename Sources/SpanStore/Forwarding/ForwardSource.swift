/// What is forwarded from: the file, and the lists of what is in it, which the writer, merging and retention keep.
package struct ForwardSource: Sendable {
    package let folder: StoreFolder
    let gate: CommitGate
    let ledger: SegmentLedger
    let logs: LogLedger

    /// The ordinal that the next span or log record will have.
    package func nextOrdinal(of signal: ForwardSignal) -> Int64 {
        switch signal {
        case .traces: ledger.nextOrdinal
        case .logs: logs.nextOrdinal
        }
    }

    /// The ordinal of the oldest that is stored; the next one when nothing is.
    package func oldestOrdinal(of signal: ForwardSignal) -> Int64 {
        switch signal {
        case .traces: ledger.entries.first?.firstOrdinal ?? ledger.nextOrdinal
        case .logs: logs.entries.first?.firstOrdinal ?? logs.nextOrdinal
        }
    }

    /// How much is stored from an ordinal on: the bytes of its segments, the one in which it lies included.
    package func storedBytes(from ordinal: Int64, of signal: ForwardSignal) -> Int64 {
        switch signal {
        case .traces:
            ledger.entries.reduce(0) { $0 + ($1.endOrdinal > ordinal ? Int64($1.storedBytes) : 0) }
        case .logs: logs.entries.reduce(0) { $0 + ($1.endOrdinal > ordinal ? $1.storedBytes : 0) }
        }
    }
}

extension ForwardSource {
    /// Who this store is among others, for receivers that tell records apart by node and ordinal.
    ///
    /// - Parameter candidate: 32 hexadecimal digits of chance, which it becomes when it was nobody yet.
    package func node(orElse candidate: String) throws(StoreError) -> String {
        try NodeIdentity(folder).name(orElse: candidate)
    }
}

/// What is forwarded. The names are those of the configuration and of `forward_target`.
package enum ForwardSignal: String, CaseIterable, Sendable {
    case traces, logs
}

extension SpanStore {
    package var forwardSource: ForwardSource { ForwardSource(folder: folder, gate: gate, ledger: ledger, logs: logLedger) }
}
