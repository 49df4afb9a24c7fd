import Dispatch
import PrometheusText
import SpanStore
import StoreSQL
import Synchronization

/// Puts answers together on a thread of its own, beside the writer's and the event loops', with a reading connection of its own
/// for the families that are made of stored rows.
///
/// `@unchecked Sendable`: the connection is used on the one queue alone.
final class ExpositionReader: @unchecked Sendable {
    private let folder: StoreFolder
    private let queue = DispatchQueue(label: "fusebox.exposition", qos: .userInitiated)
    private var reader: SQLReader?

    init(_ folder: StoreFolder) {
        self.folder = folder
    }

    func run<Value: Sendable>(_ body: @escaping @Sendable (ExpositionReader) -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: body(self)) }
        }
    }

    /// The families of stored rows; none when they cannot be read now, which the next scrape tries again. Only inside `run`.
    func annexFamilies() -> [MetricFamily] {
        do {
            let reader = try reader ?? SQLReader(folder: folder)
            self.reader = reader
            return try AnnexFamilies.collect(reader.connection)
        } catch {
            reader = nil
            return []
        }
    }
}
