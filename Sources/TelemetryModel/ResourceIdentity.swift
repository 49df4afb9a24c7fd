/// Who a resource says it is.
public struct ResourceIdentity: Hashable, Sendable {
    /// `service.name`, or `unknown_service` when it is missing or no text, as OpenTelemetry names it.
    @ByBytes public var serviceName: String
    /// `service.instance.id`, else `host.name` and `process.pid` joined by a colon, else empty.
    @ByBytes public var instanceID: String

    public init(_ resource: ResourceRecord, _ batch: SpanBatch) {
        var name: String?
        var instance: String?
        var host: String?
        var process: String?
        for attribute in batch.attributes[resource.attributes.indices] {
            let key = batch.keys[Int(attribute.key)]
            if batch.equals(key, "service.name") {
                name = Self.text(attribute, batch)
            } else if batch.equals(key, "service.instance.id") {
                instance = Self.text(attribute, batch)
            } else if batch.equals(key, "host.name") {
                host = Self.text(attribute, batch)
            } else if batch.equals(key, "process.pid") {
                process = attribute.kind == .int ? "\(attribute.int)" : Self.text(attribute, batch)
            }
        }
        serviceName = name ?? "unknown_service"
        instanceID = Self.instanceID(instance: instance ?? "", host: host ?? "", process: process ?? "")
    }

    /// The process by what its resource says of it; empty texts are what it does not say.
    package static func instanceID(instance: String, host: String, process: String) -> String {
        if !instance.isEmpty { return instance }
        return host.isEmpty || process.isEmpty ? "" : "\(host):\(process)"
    }

    private static func text(_ attribute: AttributeRecord, _ batch: SpanBatch) -> String? {
        guard attribute.kind == .string, !attribute.slice.isEmpty else { return nil }
        return batch.string(attribute.slice)
    }
}
