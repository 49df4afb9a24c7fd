package import SQLite
package import SegmentFormat

/// Opens stored segments on a connection, and reads their bytes by statements that are prepared once: one loader for whoever reads many.
/// It keeps the connection open, and the readers that it gives keep it.
package final class SegmentLoader {
    private let connection: Connection
    private var streams: Statement?
    private var directories: Statement?

    /// Reads on this connection, and so on its thread.
    package init(_ connection: Connection) {
        self.connection = connection
    }

    /// Opens a segment; `nil` when it is not there. Its streams are read when they are asked for: merging may have deleted them by then, unless
    /// a transaction holds one state of the file.
    ///
    /// - Parameters:
    ///   - known: the segment's directory, for whoever keeps it.
    ///   - onRead: is told the stored bytes of each read of a stream.
    package func open(
        _ id: Int64, directory known: SegmentDirectory? = nil, onRead: ((_ bytes: Int) -> Void)? = nil
    ) throws -> SegmentReader? {
        let load = { [self] (stream: Int64) throws -> [UInt8] in
            let frame = try self.stream(stream)
            onRead?(frame.count)
            return frame
        }
        if let known { return SegmentReader(id: id, directory: known, loadStream: load) }
        guard let directory = try directory(id) else { return nil }
        return try SegmentReader(id: id, directory: directory, loadStream: load)
    }

    /// The frame of the stream with that row id.
    private func stream(_ id: Int64) throws -> [UInt8] {
        let statement = try streams ?? connection.prepare("SELECT data FROM segment_stream WHERE id = ?1")
        streams = statement
        defer { statement.reset() }
        try statement.bind(1, id)
        guard try statement.step() else { throw SegmentError.damaged("stream \(id) is missing") }
        return statement.blob(0)
    }

    /// The directory's frame; `nil` when there is no such segment.
    private func directory(_ id: Int64) throws -> [UInt8]? {
        let statement = try directories ?? connection.prepare("SELECT directory FROM segment WHERE id = ?1")
        directories = statement
        defer { statement.reset() }
        try statement.bind(1, id)
        return try statement.step() ? statement.blob(0) : nil
    }
}
