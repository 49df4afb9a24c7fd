/// The gRPC status codes that a `google.rpc.Status` body carries here. Raw values are gRPC's.
package enum RPCCode: Int32, Sendable, CaseIterable {
    case ok = 0
    case unknown = 2
    /// The request cannot be read; the same bytes fail the same way.
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case permissionDenied = 7
    /// A limit was reached: a request that is too large, or one too many.
    case resourceExhausted = 8
    /// The method, media type or content coding is not one that is served.
    case unimplemented = 12
    case `internal` = 13
    /// Not now; the client should send the request again later.
    case unavailable = 14
    case unauthenticated = 16
}
