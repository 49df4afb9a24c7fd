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

    package var isRetryable: Bool {
        switch self {
        case .queueFull, .waitedTooLong, .stopping, .store: true
        }
    }

    package var message: String {
        switch self {
        case .queueFull: "too many spans are waiting to be stored; send again in a moment"
        case .waitedTooLong: "the spans waited too long to be stored; send again in a moment"
        case .stopping: "the server is shutting down; send again in a moment"
        case .store(let error): "the spans could not be stored: \(error.message)"
        }
    }
}

/// What became of a request whose spans are durable.
package struct IngestResult: Sendable {
    package var accepted = 0
    package var duplicates = 0
    package var conflicts = 0
    /// Why spans were refused, the decoder's reasons included.
    package var rejections: SpanRejections

    package init(rejections: SpanRejections) {
        self.rejections = rejections
    }
}
