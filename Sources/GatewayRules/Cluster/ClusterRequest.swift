package import TelemetryModel

/// One request to the API server.
package enum ClusterRequest: Equatable, Sendable {
    case read(ClusterObject)
    case create(ClusterObject, JSONValue)
    /// With the version that was read in it: it is refused when somebody else wrote meanwhile.
    case update(ClusterObject, JSONValue)
    /// Only what was read, and only as it was read.
    case delete(ClusterObject, uid: String, version: String)
    /// The slices of a model's Service, whoever made them.
    case listSlices(Int)

    package var object: ClusterObject {
        switch self {
        case .read(let object), .create(let object, _), .update(let object, _), .delete(let object, _, _): object
        case .listSlices(let model): .service(model)
        }
    }

    /// What Kubernetes calls it.
    package var verb: String {
        switch self {
        case .read: "get"
        case .create: "create"
        case .update: "update"
        case .delete: "delete"
        case .listSlices: "list"
        }
    }

    /// As it goes over the wire.
    package func wire(_ plan: ClusterPlan) -> (method: String, path: String, body: JSONValue?) {
        let collection = object.collection(plan)
        let path = "\(collection)/\(object.name(plan))"
        switch self {
        case .read: return ("GET", path, nil)
        case .create(_, let value): return ("POST", collection, value)
        case .update(_, let value): return ("PUT", path, value)
        case .delete(_, let uid, let version):
            return (
                "DELETE", path,
                [
                    "apiVersion": "v1", "kind": "DeleteOptions",
                    "preconditions": ["uid": .string(uid), "resourceVersion": .string(version)],
                ]
            )
        case .listSlices(let model):
            let service = ClusterObject.service(model).name(plan)
            // Two: ours may not be gone yet.
            let query = "labelSelector=kubernetes.io%2Fservice-name%3D\(service)&limit=2"
            return ("GET", "\(ClusterObject.slice(model).collection(plan))?\(query)", nil)
        }
    }
}

/// What came of a request.
package enum ClusterAnswer: Equatable, Sendable {
    /// It was done; what the server says of the object.
    case done(JSONValue)
    case status(Int, retryAfterNanoseconds: Int64?, String)
    /// None. Whether it was done nobody knows.
    case nothing(String)

    /// By the status, the header `Retry-After` and the body of an answer.
    package init(status: Int, retryAfter: String?, body: [UInt8]) {
        let value = try? JSONValue.parse(body[...])
        if (200...299).contains(status) {
            self = value.map(Self.done) ?? .nothing("the API server's answer is no JSON")
            return
        }
        var seconds = retryAfter.flatMap { Int64($0) }
        if seconds == nil, case .integer(let told)? = value?["details"]?["retryAfterSeconds"] { seconds = told }
        let message = (value?["message"]?.text).map { String($0.prefix(300)) } ?? "no word about it"
        self = .status(status, retryAfterNanoseconds: seconds.map { max(0, $0).multipliedSaturated(by: 1_000_000_000) }, message)
    }
}

/// What is to be done next.
package enum ClusterStep: Equatable, Sendable {
    case send(ClusterRequest)
    /// Nothing before a time, unless something changes.
    case wait(until: Int64)
    /// Nothing any more: all that was ours is gone.
    case finished
}
