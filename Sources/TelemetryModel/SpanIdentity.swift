/// What tells a span from every other one.
///
/// The two sides of a call may share one id: Zipkin and Envoy give the server's span the id of the client's. So the side is part
/// of it, and both are kept.
public struct SpanIdentity: Hashable, Sendable {
    public var trace: TraceID
    public var span: SpanID
    /// Whether it is the span of the side that was called.
    public var isServerSide: Bool

    @inlinable
    public init(trace: TraceID, span: SpanID, isServerSide: Bool) {
        self.trace = trace
        self.span = span
        self.isServerSide = isServerSide
    }
}
