import SpanStore

/// What the store leaves free: refusing early keeps room for what makes room.
struct StorageBudget: Sendable {
    private let folder: StoreFolder
    private let limits: IngestLimits

    init(_ folder: StoreFolder, _ limits: IngestLimits) {
        self.folder = folder
        self.limits = limits
    }

    /// Why nothing may be stored now; `nil` when it may. Two calls to the kernel.
    ///
    /// - Parameter readerSeconds: for how long one reader has kept the log from starting over.
    func refusal(readerSeconds: Int) -> IngestError? {
        if let free = FileSize.freeBytes(folder.path), free < Int64(limits.diskReserveBytes) {
            return .diskReserve(freeBytes: free, reserveBytes: limits.diskReserveBytes)
        }
        let log = folder.logBytes
        return log > Int64(limits.logBytesMax) ? .logTooLong(bytes: log, readerSeconds: readerSeconds) : nil
    }
}
