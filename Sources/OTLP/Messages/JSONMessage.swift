/// The messages of `OTLPMessage` as JSON: lower camel case names, 64-bit integers as strings.
enum JSONMessage {
    /// An export response whose partial success counts rejections in `field`.
    static func partialSuccess(_ field: String, _ rejected: Int64, _ message: String) -> [UInt8] {
        var members: [String] = []
        if rejected != 0 { members.append("\"\(field)\":\"\(rejected)\"") }
        if !message.isEmpty { members.append("\"errorMessage\":\(string(message))") }
        guard !members.isEmpty else { return Array("{}".utf8) }
        return Array("{\"partialSuccess\":{\(members.joined(separator: ","))}}".utf8)
    }

    /// `google.rpc.Status`, whose code is a 32-bit integer and so a number.
    static func status(_ code: RPCCode, _ message: String) -> [UInt8] {
        var members: [String] = []
        if code != .ok { members.append("\"code\":\(code.rawValue)") }
        if !message.isEmpty { members.append("\"message\":\(string(message))") }
        return Array("{\(members.joined(separator: ","))}".utf8)
    }

    /// A JSON string: quote, backslash and control characters escaped, all else as it is.
    private static func string(_ text: String) -> String {
        var escaped = "\""
        for scalar in text.withoutNUL.unicodeScalars {
            switch scalar {
            case "\"": escaped += "\\\""
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\r": escaped += "\\r"
            case "\t": escaped += "\\t"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                escaped += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped + "\""
    }
}
