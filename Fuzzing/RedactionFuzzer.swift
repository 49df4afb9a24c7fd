// The libFuzzer target of redaction: the first byte says how long the pattern is that follows it, the rest is a trace request. What comes
// out must decode whenever what went in does, to as many spans, and the pattern must find nothing in a text that it was taken from twice.

import OTLP
import TelemetryModel

private let decoder = TraceDecoder()
private let standard: RedactionRules = {
    var rules = RedactionRules()
    for detector in RedactionRules.detectors {
        do { try rules.add(detector: detector.name) } catch { fatalError("\(detector.name): \(error)") }
    }
    for key in ["*password*", "http.*.authorization", "k"] { rules.add(key: key) }
    return rules
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let first = input.first else { return 0 }
    let length = min(Int(first), input.count - 1)
    let body = Array(input[(1 + length)...])
    var rules = standard
    if length > 0 {
        let text = String(decoding: input[1...length], as: UTF8.self)
        if let pattern = try? Pattern(text) {
            check(pattern, body)
            do { try rules.add(pattern: text) } catch { fatalError("read once and not twice: \(error)") }
        }
    }
    let decoded = try? decoder.decode(body)
    do {
        let clean = try Redactor(rules).redacted(body, as: .traceRequest)
        let again = try decoder.decode(clean)
        if let decoded {
            require(again.spans.count == decoded.spans.count, "spans were lost")
            require(again.rejections == decoded.rejections, "spans are refused otherwise")
        }
    } catch {
        // What our decoder takes, redaction takes; a value too deep is found by either.
        if let error = error as? OTLPDecodingError, case .malformed(.tooDeep) = error { return 0 }
        require(decoded == nil, "refused what decodes: \(error)")
    }
    return 0
}

private func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}

private func check(_ pattern: Pattern, _ text: [UInt8]) {
    let ranges = pattern.matches(in: text[...])
    var end = -1
    for range in ranges {
        require(
            range.lowerBound > end && range.upperBound > range.lowerBound && range.upperBound <= text.count, "matches overlap")
        end = range.upperBound
    }
}
