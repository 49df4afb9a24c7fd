/// Who a resource says it is.
public struct ResourceIdentity: Hashable, Sendable {
    /// `service.name`, or `unknown_service` when it is missing or no text, as OpenTelemetry names it.
    public var serviceName: String
    /// `service.instance.id`, else `host.name` and `process.pid` joined by a colon, else empty.
    public var instanceID: String

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
        if let instance {
            instanceID = instance
        } else if let host, let process {
            instanceID = "\(host):\(process)"
        } else {
            instanceID = ""
        }
    }

    private static func text(_ attribute: AttributeRecord, _ batch: SpanBatch) -> String? {
        guard attribute.kind == .string, !attribute.slice.isEmpty else { return nil }
        return batch.string(attribute.slice)
    }
}
