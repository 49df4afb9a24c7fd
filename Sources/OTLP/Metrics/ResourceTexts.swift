import TelemetryModel

/// What of a resource becomes labels.
struct ResourceTexts {
    enum Name: String {
        case serviceName = "service.name"
        case serviceNamespace = "service.namespace"
        case serviceInstance = "service.instance.id"
        case host = "host.name"
        case process = "process.pid"

        /// No name is longer.
        static let bytesMax = 19
    }

    private var texts: [Name: String] = [:]

    /// Empty when the resource does not say.
    subscript(name: Name) -> String {
        get { texts[name] ?? "" }
        set { texts[name] = newValue }
    }

    /// The service with its namespace before a slash; without a name the namespace alone names nothing.
    var job: String {
        let (namespace, name) = (self[.serviceNamespace], self[.serviceName])
        return namespace.isEmpty || name.isEmpty ? name : namespace + "/" + name
    }

    var instanceID: String {
        ResourceIdentity.instanceID(instance: self[.serviceInstance], host: self[.host], process: self[.process])
    }
}
