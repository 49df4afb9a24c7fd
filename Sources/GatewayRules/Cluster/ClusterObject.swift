import TelemetryModel

/// An object in the cluster that is ours.
package enum ClusterObject: Hashable, Sendable {
    /// By the model's position in the plan. Gateways that serve the same model share it.
    case service(Int)
    /// Where this gateway serves the model, and whether it does.
    case slice(Int)
    /// That this gateway lives.
    case lease

    package var kind: String {
        switch self {
        case .service: "Service"
        case .slice: "EndpointSlice"
        case .lease: "Lease"
        }
    }

    package func name(_ plan: ClusterPlan) -> String {
        switch self {
        case .service(let model): ClusterNames.service(plan.models[model], prefix: plan.servicePrefix)
        case .slice(let model): ClusterNames.slice(plan.models[model], plan)
        case .lease: ClusterNames.lease(plan)
        }
    }

    private var version: String {
        switch self {
        case .service: "v1"
        case .slice: "discovery.k8s.io/v1"
        case .lease: "coordination.k8s.io/v1"
        }
    }

    /// Where objects of its kind are.
    func collection(_ plan: ClusterPlan) -> String {
        let group = version == "v1" ? "/api/v1" : "/apis/\(version)"
        let resource =
            switch self {
            case .service: "services"
            case .slice: "endpointslices"
            case .lease: "leases"
            }
        return "\(group)/namespaces/\(plan.namespace)/\(resource)"
    }

    // MARK: What it says

    static let managerLabel = "app.kubernetes.io/managed-by"
    private static let manager = "fusebox-gateway"
    static let serviceLabel = "kubernetes.io/service-name"
    private static let portName = "http"

    /// Whether an object of its name is one that a gateway made.
    static func isOurs(_ value: JSONValue) -> Bool { value["metadata"]?["labels"]?[managerLabel]?.text == manager }

    /// What a Service or slice must say; `null` stands for what it must not have.
    func wanted(_ plan: ClusterPlan, isReady: Bool) -> JSONValue {
        switch self {
        case .service(let model):
            let port = JSONValue.integer(Int64(plan.port))
            return object(
                plan, labels: [], annotations: [.init("fusebox-gateway/model", .string(plan.models[model]))],
                [
                    // With a selector the cluster would look for endpoints itself.
                    .init(
                        "spec",
                        [
                            "selector": .null,
                            "ports": [["name": .string(Self.portName), "protocol": "TCP", "port": port, "targetPort": port]],
                        ])
                ])
        case .slice(let model):
            let service = ClusterObject.service(model).name(plan)
            return object(
                plan,
                labels: [
                    .init(Self.serviceLabel, .string(service)),
                    // The slices of others are left alone by this label.
                    .init("endpointslice.kubernetes.io/managed-by", .string(Self.manager)),
                ], annotations: [.init("fusebox-gateway/model", .string(plan.models[model]))],
                [
                    .init("addressType", plan.address.contains(":") ? "IPv6" : "IPv4"),
                    .init(
                        "endpoints",
                        [
                            [
                                "addresses": [.string(plan.address)],
                                "conditions": ["ready": .bool(isReady), "serving": .bool(isReady), "terminating": .bool(false)],
                            ]
                        ]),
                    .init(
                        "ports",
                        [
                            [
                                "name": .string(Self.portName), "protocol": "TCP", "port": .integer(Int64(plan.port)),
                                "appProtocol": plan.isEncrypted ? "https" : "http",
                            ]
                        ]),
                ])
        case .lease: return .null
        }
    }

    /// A lease that is renewed now.
    func renewed(_ plan: ClusterPlan, isNew: Bool, unixNano: Int64) -> JSONValue {
        // Microseconds are asked for, and three more digits make them.
        let time = JSONValue.string(TimeText.iso8601(unixNano: unixNano).dropLast() + "000Z")
        let seconds = max(1, plan.heartbeatNanoseconds.multipliedSaturated(by: 3) / 1_000_000_000)
        var spec: [JSONValue.Member] = [
            .init("holderIdentity", .string(plan.holder)), .init("leaseDurationSeconds", .integer(min(seconds, 86_400))),
            .init("renewTime", time),
        ]
        if isNew { spec.append(.init("acquireTime", time)) }
        return object(plan, labels: [], annotations: [], [.init("spec", .object(spec))])
    }

    private func object(
        _ plan: ClusterPlan, labels: [JSONValue.Member], annotations: [JSONValue.Member], _ rest: [JSONValue.Member]
    ) -> JSONValue {
        var metadata: [JSONValue.Member] = [
            .init("name", .string(name(plan))), .init("namespace", .string(plan.namespace)),
            .init("labels", .object([.init(Self.managerLabel, .string(Self.manager))] + labels)),
        ]
        if !annotations.isEmpty { metadata.append(.init("annotations", .object(annotations))) }
        // A Service is of all gateways, and outlives a pod.
        if let owner = plan.owner, kind != "Service" {
            metadata.append(
                .init(
                    "ownerReferences",
                    [["apiVersion": "v1", "kind": "Pod", "name": .string(owner.pod), "uid": .string(owner.uid)]]))
        }
        return .object(
            [.init("apiVersion", .string(version)), .init("kind", .string(kind)), .init("metadata", .object(metadata))] + rest)
    }
}

extension JSONValue {
    /// Whether a document says all that `wanted` does; more is no matter. A wanted `null` is said by its absence.
    func covers(_ wanted: JSONValue) -> Bool {
        switch wanted {
        case .object(let members):
            members.allSatisfy { member in
                guard let own = self[member.name] else { return member.value == .null }
                return own.covers(member.value)
            }
        case .array(let elements):
            if case .array(let own) = self {
                own.count == elements.count && zip(own, elements).allSatisfy { $0.covers($1) }
            } else {
                false
            }
        default: self == wanted
        }
    }

    /// The document with what `wanted` says: lists as they are wanted, members of objects one by one, and without its nulls.
    func merging(_ wanted: JSONValue) -> JSONValue {
        guard case .object(let members) = wanted else { return wanted }
        var own: [Member] = []
        if case .object(let members) = self { own = members }
        for member in members {
            let index = own.firstIndex { $0.name.isExactly(member.name) }
            if member.value == .null {
                if let index { own.remove(at: index) }
            } else if let index {
                own[index].value = own[index].value.merging(member.value)
            } else {
                own.append(Member(member.name, JSONValue.object([]).merging(member.value)))
            }
        }
        return .object(own)
    }
}
