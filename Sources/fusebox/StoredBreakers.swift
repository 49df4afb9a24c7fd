import Derivations
import FuseboxConfiguration
import Ingest
import SemanticColumns
import SpanStore
import StoreSQL
import TelemetryModel

/// Breakers as the data file tells of them, beside a running server or without one.
struct StoredBreakers {
    /// The fuse table of the server which runs or ran last; `nil` where none has run yet, or another version wrote it.
    let toldPolicy: FusePolicy?
    let breakers: [BreakerView]

    /// - Parameter configured: the fuse table where no server has told its own.
    init(_ reader: SQLReader, _ configured: FusePolicy) throws(StoreError) {
        // What another version wrote may not be readable; then the configuration is the best that is known.
        toldPolicy = try reader.note(.fusePolicy).flatMap { try? Configuration.policy(yaml: $0) }
        let restorer = DerivationRestorer(history: reader.history, policy: toldPolicy ?? configured, table: .standard)
        breakers = try restorer.restored(prices: PriceTable()).view.breakers(at: Clock.unixNano())
    }
}
