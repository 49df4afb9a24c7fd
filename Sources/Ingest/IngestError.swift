package import SpanStore
package import TelemetryModel

/// Why spans were not taken. All but a damaged store pass by themselves, and the client should send the same again.
package enum IngestError: Error, Sendable {
    /// More spans or bytes wait than the limits allow.
    case queueFull
    /// The disk was slower than the clients' patience.
    case waitedTooLong
    /// The server is going down.
    case stopping
    case store(StoreError)
    /// An earlier read, write or fsync failed, and the file has not been checked since.
    case storageSuspect(String)
    case diskReserve(freeBytes: Int64, reserveBytes: Int)
    /// - Parameter readerSeconds: for how long one reader has kept the log from starting over.
    case logTooLong(bytes: Int64, readerSeconds: Int)
    /// What is open is no longer what stands at the data file's name.
    case dataFile(DataFileProblem)
    /// The store has reached its limit, and what would go was not delivered to targets that hold it.
    case forwardHold(targets: [String])

    package var isRetryable: Bool {
        switch self {
        case .queueFull, .waitedTooLong, .stopping, .store, .storageSuspect, .diskReserve, .logTooLong, .dataFile, .forwardHold: true
        }
    }

    package var message: String {
        switch self {
        case .queueFull: "too many spans are waiting to be stored; send again in a moment"
        case .waitedTooLong: "the spans waited too long to be stored; send again in a moment"
        case .stopping: "the server is shutting down; send again in a moment"
        case .store(let error): "the spans could not be stored: \(error.message)"
        case .storageSuspect(let reason):
            "the disk failed (\(reason)); nothing is stored until the data file has been checked, which is tried by itself"
        case .diskReserve(let free, let reserve):
            "the disk of the data folder has \(free >> 20) MiB left, and \(reserve >> 20) MiB are kept; make room on it"
        case .logTooLong(let bytes, let seconds):
            "the write-ahead log has \(bytes >> 20) MiB because a reader of the data file has stayed on an old state"
                + (seconds > 0 ? " for \(seconds) s" : "") + "; end long queries on it"
        case .dataFile(let problem): problem.message
        case .forwardHold(let targets):
            "the data file is at its limit (retention.bytes), and its oldest spans wait for \(targets.joined(separator: ", ")), which "
                + "forward.targets says to hold them for; bring the target back, or set hold: false and lose them there"
        }
    }
}

/// What became of a request whose spans are durable.
package struct IngestResult: Sendable {
    package var accepted = 0
    /// Spans that are stored already, with the same contents or with others.
    package var duplicates = 0
    /// Those of `duplicates` that came with other contents: they are not stored, and whoever sent them is told.
    package var conflicts = 0
    /// Why spans were refused, the decoder's reasons included.
    package var rejections: SpanRejections

    package init(rejections: SpanRejections) {
        self.rejections = rejections
    }
}
