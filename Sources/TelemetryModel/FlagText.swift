/// Texts that clients write for yes and no.
public enum FlagText {
    /// The longest text that is read.
    private static let bytesMax = 24

    /// Whether a text says yes or no; `nil` when it says neither.
    public static func value(_ text: some Collection<UInt8>) -> Bool? {
        guard text.count <= bytesMax else { return nil }
        let isBlank: (UInt8) -> Bool = { $0 == 0x20 || 9...10 ~= $0 || $0 == 13 }
        let trimmed = text.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
        switch String(decoding: trimmed, as: UTF8.self).lowercased() {
        case "true", "1", "hit", "yes": return true
        case "false", "0", "miss", "no": return false
        default: return nil
        }
    }
}
