import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The name of a store among others: 32 hexadecimal digits in `fusebox.node`, beside the mark.
///
/// It lies outside of the data file on purpose. A backup that is put into another folder is another node, since what it stores from then on has
/// ordinals that the lost file may have given to others; in its old folder the mark knows which ordinals were given.
struct NodeIdentity {
    /// Senders of several targets may ask at the same time; the folder belongs to this process alone.
    private static let turn = Mutex(())

    private let folder: StoreFolder

    init(_ folder: StoreFolder) {
        self.folder = folder
    }

    /// The name; where there is none, or half of one, the candidate is written down and fsynced first.
    func name(orElse candidate: String) throws(StoreError) -> String {
        try Self.turn.withLock { _ throws(StoreError) in try entered(orElse: candidate) }
    }

    private func entered(orElse candidate: String) throws(StoreError) -> String {
        if let known { return known }
        guard Self.isName(candidate) else { throw .folder("'\(candidate)' is not a node name") }
        let fresh = folder.nodePath + ".new"
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        let line = Array((candidate + "\n").utf8)
        guard line.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == line.count, fsync(descriptor) == 0,
            rename(fresh, folder.nodePath) == 0
        else { throw failure() }
        try folder.synchronize()
        return candidate
    }

    /// `nil` when there is no name yet, or half of one.
    var known: String? {
        let descriptor = open(folder.nodePath, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 33)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        let text = String(decoding: bytes.prefix(max(0, min(32, count))), as: UTF8.self)
        return Self.isName(text) ? text : nil
    }

    private static func isName(_ text: String) -> Bool {
        text.utf8.count == 32 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    private func failure() -> StoreError {
        .folder("cannot write \(folder.nodePath): \(String(cString: strerror(errno)))")
    }
}

extension StoreFolder {
    /// Who the store of this folder is among others; `nil` when nobody needed to know yet.
    package var nodeName: String? { NodeIdentity(self).known }
}
