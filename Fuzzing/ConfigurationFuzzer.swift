// The libFuzzer target of the files that operators write: the first byte chooses prices.yaml (1) or fusebox.yaml. A configuration that
// is taken must, printed, give itself again; and its policy must, as other processes read it.

import Derivations
import FuseboxConfiguration
import TelemetryModel

private let loader = ConfigurationLoader(homeFolder: "/home/fuzz", environment: [:])

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = input.first else { return 0 }
    let text = String(decoding: input.dropFirst(), as: UTF8.self)
    if first == 1 {
        guard let prices = try? PriceFile.parse(text, path: "prices.yaml") else { return 0 }
        for price in prices.models {
            let values = [price.input, price.cacheRead, price.cacheWrite, price.output]
            require(values.allSatisfy { $0.isFinite && $0 >= 0 }, "a price that is none")
        }
        return 0
    }
    guard var configuration = try? loader.load(yaml: (text, "fusebox.yaml"), flags: [:]) else { return 0 }
    // Digests are not printed.
    configuration.transport.ingestTokens = []
    configuration.transport.readTokens = []
    configuration.origins = [:]
    // Printed as it takes effect.
    configuration.transport.grpcPort = .some(configuration.grpcPort)
    do {
        var again = try loader.load(yaml: (configuration.yaml, "printed"), flags: [:])
        again.origins = [:]
        require(again == configuration, "printed it is another configuration")
        // The gate is the policy's, and nothing that breakers are derived by.
        configuration.policy.p95LatencyGateNanoseconds = nil
        require(try Configuration.policy(yaml: configuration.policyYAML) == configuration.policy, "told it is another policy")
    } catch {
        fatalError("what is printed is refused: \(error)")
    }
    return 0
}

private func require(_ condition: Bool, _ message: StaticString) {
    if !condition { fatalError("\(message)") }
}
