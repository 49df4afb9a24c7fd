package import FuseboxHTTP
package import GatewayRules
package import NIOCore

/// How the gateway's port is served.
package struct GatewaySettings: Sendable {
    package var host = "127.0.0.1"
    /// 0 takes any free one.
    package var port = 4320
    package var plan: GatewayPlan
    package var access = AccessPolicy()
    package var deadlines = DeadlineLimits()
    /// Bytes of a request's body.
    package var requestBytesMax = 64 << 20
    /// Bytes of the bodies of all requests that are under way.
    package var bodiesBytesMax = 256 << 20
    /// A connection to a backend is kept this long without a call: llama.cpp closes after five seconds, and who writes at that moment
    /// loses the race.
    package var keptTimeout = TimeAmount.milliseconds(3500)
    /// When the server stops, calls that are under way have this long.
    package var drainTimeout = TimeAmount.seconds(5)
    /// `service.name` of the spans.
    package var serviceName = "fusebox-gateway"
    package var versionText = ""
    /// Where processes that are started here are written down, and what they write.
    package var processFolder = ""
    /// Part of the memory that a start leaves free.
    package var headroomRatio = 0.15
    /// Makes what a cluster is told, by the port that the gateway listens at; `nil` where none is told anything.
    package var cluster: (@Sendable (Int) -> (plan: ClusterPlan, access: ClusterAccess))?
    /// Told whom others ask about the gateway, once it runs.
    package var opensDoor: @Sendable (GatewayDoor.Answers) -> Void = { _ in }
    /// Whether processes that were started here end with this program; asked as it stops. The next run adopts those that do not.
    package var takesProcesses: @Sendable () -> Bool = { true }

    package init(plan: GatewayPlan) {
        self.plan = plan
    }
}

/// Where the time of day and chance come from.
package struct GatewaySources: Sendable {
    /// Nanoseconds since 1970.
    package var unixNano: @Sendable () -> Int64
    package var random: @Sendable () -> UInt64

    package init(unixNano: @escaping @Sendable () -> Int64, random: @escaping @Sendable () -> UInt64) {
        self.unixNano = unixNano
        self.random = random
    }

    /// The moment now, for the rules.
    func moment() -> GatewayMoment {
        GatewayMoment(nanoseconds: Self.uptimeNanoseconds(), chance: Double(random() >> 11) / Double(1 << 53 as UInt64))
    }

    static func uptimeNanoseconds() -> Int64 { Int64(clamping: NIODeadline.now().uptimeNanoseconds) }
}
