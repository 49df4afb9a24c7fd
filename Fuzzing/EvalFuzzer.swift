// The libFuzzer target of files of evals: JSON lines, JSON documents, CSV and TSV, told by their content. What is read must be within
// its bounds, say something, and be the same when it is read again.

import Evals
import TelemetryModel

private let reader = EvalReader(scoreColumns: ["wide"])

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let file = EvalFile(bytes, reader: reader)
    require(file.problems.count <= EvalFile.Limits.problemsMax && file.problems.count <= file.problemCount, "problems")
    for row in file.rows {
        require(!row.name.isEmpty, "an eval without a name")
        require(row.name.utf8.count <= EvalReader.Limits.idBytesMax, "a name that is too long")
        require(row.score.map(\.isFinite) != false, "a score that is no number")
        require((row.explanation?.utf8.count ?? 0) <= EvalReader.Limits.textBytesMax, "an explanation that is too long")
    }
    require(EvalFile(bytes, reader: reader).rows == file.rows, "read again it says something else")
    return 0
}

private func require(_ condition: Bool, _ message: StaticString) {
    if !condition { fatalError("\(message)") }
}
