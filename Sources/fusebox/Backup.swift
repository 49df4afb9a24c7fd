import ArgumentParser
import Foundation
import FuseboxConfiguration
import SegmentFormat
import SpanStore

/// `fusebox backup`: a copy of the data file while it is in use.
struct Backup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy the data file, also while the server runs; the copy is one committed state.",
        discussion: """
            Everything that was acknowledged before the start is in the copy. To go back to it, stop the server, put it into an empty \
            folder as fusebox.db, and give that folder to --data-dir.
            """)

    @OptionGroup var common: CommonOptions

    @Argument(help: "Where the copy goes: a new file, or a folder, in which it becomes fusebox.db.")
    var target: String

    @Flag(help: "Leave the copy unchecked.")
    var noVerify = false

    mutating func run() async throws {
        let folder = StoreFolder(path: try common.configuration().dataFolder)
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: target, isDirectory: &isFolder)
        let path = exists && isFolder.boolValue ? StoreFolder(path: target).databasePath : target
        var copying = ProgressLine("copying")
        var checking = ProgressLine("checking the copy")
        defer {
            copying.end()
            checking.end()
        }
        do throws(StoreError) {
            try StoreBackup.run(folder: folder, to: path) { copying.show($0, of: $1, "pages") }
            copying.end()
            guard !noVerify else { return Terminal.write("copied to \(path), unchecked\n") }
            let report = try StoreVerification.run(path: path) { checking.show($0, of: $1, "segments") }
            checking.end()
            if let finding = report.findings.first {
                throw .segment(.damaged("the copy \(path) is, as \(folder.databasePath) must be: \(finding.message)"))
            }
            Terminal.write("copied \(report.spans) spans to \(path) and checked it\n")
        } catch {
            throw error.failure
        }
    }
}
