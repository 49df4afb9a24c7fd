import CSQLite
import Foundation
import Parquet
import SQLite
import SpanStore
import StoreSQL
import TelemetryModel

/// Spans and log records as Parquet files in a folder, each of a stretch of ordinals that its name tells. What a file of the folder has is not
/// written again, so the same export, repeated, adds what came since.
struct ParquetExport {
    /// Ordinals of a file; files end at multiples of it.
    private static let ordinalsPerFile: Int64 = 131_072

    struct Written {
        var files = 0
        var spans: Int64 = 0
        var logRecords: Int64 = 0
    }

    private let reader: SQLReader
    private let folder: String

    init(_ reader: SQLReader, to folder: String) throws {
        self.reader = reader
        self.folder = folder
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.failed, "cannot make the folder \(folder): \(error.localizedDescription)")
        }
    }

    /// Writes what is stored and not in the folder yet.
    func run(progress: (_ done: Int64, _ total: Int64) -> Void) throws -> Written {
        var written = Written()
        for signal in ForwardSignal.allCases {
            let stored = try reader.storedOrdinals(of: signal)
            var next = max(try endOfFiles(signal), stored.lowerBound)
            let (start, total) = (next, max(0, stored.upperBound - next))
            while next < stored.upperBound {
                let end = min((next / Self.ordinalsPerFile + 1) * Self.ordinalsPerFile, stored.upperBound)
                let rows = try write(signal, next..<end)
                written.files += 1
                if signal == .traces { written.spans += rows } else { written.logRecords += rows }
                next = end
                progress(next - start, total)
            }
        }
        return written
    }

    private static func name(_ signal: ForwardSignal) -> String { signal == .traces ? "spans" : "logs" }

    private static func padded(_ ordinal: Int64) -> String {
        let text = "\(ordinal)"
        return String(repeating: "0", count: max(0, 15 - text.count)) + text
    }

    /// The ordinal behind the last one that a file of the folder has.
    private func endOfFiles(_ signal: ForwardSignal) throws -> Int64 {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw CommandFailure(.failed, "cannot read the folder \(folder): \(error.localizedDescription)")
        }
        return names.compactMap { name -> Int64? in
            guard name.hasPrefix("\(Self.name(signal))-"), name.hasSuffix(".parquet") else { return nil }
            let parts = name.dropLast(".parquet".count).split(separator: "-")
            return parts.count == 3 ? Int64(parts[2]) : nil
        }.max() ?? 0
    }

    /// Writes one file; gives its rows.
    private func write(_ signal: ForwardSignal, _ ordinals: Range<Int64>) throws -> Int64 {
        let name = Self.name(signal)
        let target = "\(folder)/\(name)-\(Self.padded(ordinals.lowerBound))-\(Self.padded(ordinals.upperBound)).parquet"
        let columns = try reader.columns(of: name)
        let time = signal == .traces ? "start_time" : "time"
        let timeColumn = Int32((columns.firstIndex { $0.name == "\(time)_unix_nano" } ?? 0) + 1)
        return try NewFile.write(target) { partial in
            guard let file = FileHandle(forWritingAtPath: partial) else {
                throw CommandFailure(.failed, "cannot write \(partial)")
            }
            let writer = try ParquetWriter(
                columns: columns.map { ParquetColumn(name: $0.name, kind: $0.type == "INTEGER" ? .integer : .text) }
                    + [ParquetColumn(name: time, kind: .timestamp)],
                createdBy: BuildInfo.versionText,
                notes: [("fusebox.ordinals", "\(ordinals.lowerBound)..<\(ordinals.upperBound)")],
                write: { bytes in
                    do {
                        try file.write(contentsOf: Data(bytes))
                    } catch {
                        throw CommandFailure(.failed, "the file could not be written: \(error.localizedDescription)")
                    }
                })
            try reader.forEachRow(of: signal, ordinals: ordinals) { row in
                for (index, column) in columns.enumerated() {
                    let place = Int32(index + 1)
                    if row.isNull(place) {
                        try writer.appendNull()
                    } else if column.type == "INTEGER" {
                        try writer.append(row.integer(place))
                    } else {
                        try writer.append(row.blob(place))
                    }
                }
                let nanoseconds = row.integer(timeColumn)
                try writer.append(nanoseconds / 1000 - (nanoseconds % 1000 < 0 ? 1 : 0))
            }
            try writer.finish()
            try file.close()
            return Int64(writer.rowCount)
        }
    }
}
