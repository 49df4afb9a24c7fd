/// Which characters are one another in another case, each of one scalar: `k`, `K` and the Kelvin sign; `é` and `É`.
enum CaseFolding {
    /// By what they fold to, where there are several.
    private static let families: [Unicode.Scalar: [Unicode.Scalar]] = {
        var families: [Unicode.Scalar: [Unicode.Scalar]] = [:]
        // Behind it there are no letters with cases.
        for value in UInt32(0x41)...0x1E943 {
            guard let scalar = Unicode.Scalar(value), scalar.properties.isCased || scalar.properties.changesWhenCaseMapped else { continue }
            families[folded(scalar), default: []].append(scalar)
        }
        return families.filter { $0.value.count > 1 }
    }()

    /// A character in each of its cases.
    static func cases(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        // ASCII has its own answer: most patterns need no table.
        if scalar.isASCII, !scalar.properties.isAlphabetic { return [scalar] }
        return families[folded(scalar)] ?? [scalar]
    }

    private static func folded(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        // The dotless i is no i: Unicode folds it to itself.
        if scalar == "\u{131}" { return scalar }
        let upper = single(scalar.properties.uppercaseMapping) ?? scalar
        return single(upper.properties.lowercaseMapping) ?? upper
    }

    private static func single(_ text: String) -> Unicode.Scalar? {
        text.unicodeScalars.count == 1 ? text.unicodeScalars.first : nil
    }
}
