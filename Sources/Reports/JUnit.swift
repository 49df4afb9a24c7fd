/// Gates as JUnit's XML, which build servers show: one test case a gate. Times are 0: the window is not the build's time.
package enum JUnit {
    package static func text(_ gates: [GateReport.Gate]) -> String {
        let failures = gates.filter { $0.verdict == .failed }.count
        let errors = gates.filter { $0.verdict == .insufficient || $0.verdict == .integrity }.count
        let skipped = gates.filter { $0.outcome == .reported }.count
        var lines = [
            #"<?xml version="1.0" encoding="UTF-8"?>"#,
            #"<testsuites tests="\#(gates.count)" failures="\#(failures)" errors="\#(errors)" skipped="\#(skipped)">"#,
            #"<testsuite name="fusebox gate" tests="\#(gates.count)" failures="\#(failures)" errors="\#(errors)" "#
                + #"skipped="\#(skipped)" time="0">"#,
        ]
        for gate in gates {
            let open = #"<testcase classname="fusebox.gate" name="\#(escaped(gate.name))" time="0""#
            let said = gate.message.isEmpty ? "" : escaped(gate.message)
            switch gate.verdict {
            case .passed where gate.outcome == .reported: lines.append(open + #"><skipped message="no limit is set"/></testcase>"#)
            case .passed: lines.append(open + "><system-out>\(escaped(line(gate)))</system-out></testcase>")
            case .failed: lines.append(open + #"><failure message="\#(said)">\#(escaped(line(gate)))</failure></testcase>"#)
            case .insufficient, .integrity:
                lines.append(
                    open + #"><error message="\#(said)" type="\#(escaped(gate.outcome.rawValue))">\#(escaped(line(gate)))</error></testcase>"#)
            }
        }
        lines += ["</testsuite>", "</testsuites>"]
        return lines.joined(separator: "\n") + "\n"
    }

    private static func line(_ gate: GateReport.Gate) -> String {
        "\(gate.name) is \(gate.value.text), limit \(gate.limit.text): \(gate.outcome.rawValue)"
    }

    /// Characters that XML 1.0 cannot hold at all become U+FFFD.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\t", "\n": result += " "
            default:
                let isLegal = scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
                result.unicodeScalars.append(isLegal ? scalar : "\u{FFFD}")
            }
        }
        return result
    }
}
