/// Names of objects, as Kubernetes takes them.
enum ClusterNames {
    /// Of a Service: an RFC 1035 label.
    private static let labelBytesMax = 63
    private static let hashDigits = 8

    /// The Service of a model. Another model has another one: a name that had to be changed or cut carries a hash of the whole.
    static func service(_ model: String, prefix: String) -> String {
        let plain = model == ModelPlan.anyName ? "any" : slug(model)
        let room = labelBytesMax - prefix.utf8.count
        // `any` is also what a model may be called.
        if plain == model && plain != "any" && !plain.isEmpty && plain.utf8.count <= room { return prefix + plain }
        if model == ModelPlan.anyName { return prefix + "any" }
        let cut = trimmed(String(plain.prefix(max(0, room - hashDigits - 1))))
        return prefix + (cut.isEmpty ? "" : cut + "-") + hash(model)
    }

    /// Ours among the slices of a Service.
    static func slice(_ model: String, _ plan: ClusterPlan) -> String {
        service(model, prefix: plan.servicePrefix) + "-" + place(plan)
    }

    static func lease(_ plan: ClusterPlan) -> String { plan.servicePrefix + "gateway-" + place(plan) }

    private static func place(_ plan: ClusterPlan) -> String { slug(plan.address) + "-\(plan.port)" }

    /// Small letters and digits, with a dash for anything else, and none at the ends.
    private static func slug(_ text: String) -> String {
        trimmed(String(decoding: text.lowercased().utf8.map { isWord($0) ? $0 : UInt8(ascii: "-") }, as: UTF8.self))
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.hasPrefix("-") { text.removeFirst() }
        while text.hasSuffix("-") { text.removeLast() }
        return String(text)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// FNV-1a, 32 bits: the same on every machine.
    private static func hash(_ text: String) -> String {
        var hash: UInt32 = 0x811C_9DC5
        for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: hashDigits - digits.count) + digits
    }
}
