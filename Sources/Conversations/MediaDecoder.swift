import TelemetryModel

/// Reads images, sounds and files among the parts of a message.
enum MediaDecoder {
    private static let types: [String: Media.Kind] = [
        "image": .image, "image_url": .image, "input_image": .image, "audio": .audio, "input_audio": .audio, "audio_url": .audio,
        "video": .video, "video_url": .video, "file": .file, "input_file": .file, "document": .file, "media": .file, "blob": .file,
        "uri": .file, "image-url": .image, "document-url": .file, "binary": .file,
    ]

    static func media(_ value: JSONValue) -> Media? {
        let type = value.firstText("type", "block_type", "kind")
        if let inner = value.first("inline_data", "inlineData", "file_data", "fileData"), inner["data"] != nil || type == nil {
            return media(inner, kind: nil, name: nil)
        }
        guard let type, let kind = types[type] else { return nil }
        let name = value.firstText("filename", "file_name", "name", "title")
        // The content lies in the part itself, or in a member named after it.
        for member in ["image_url", "source", "image", "audio", "input_audio", "file", "document", "video", "audio_url", "video_url"] {
            guard let inner = value[member], !inner.isNull else { continue }
            if let text = inner.text { return made(text, kind, value.firstText("mime_type", "media_type", "mediaType"), name) }
            if let found = media(inner, kind: kind, name: name) { return found }
            // OpenInference: image.image.url
            for nested in inner.members where nested.value.text == nil {
                if let found = media(nested.value, kind: kind, name: name) { return found }
            }
        }
        return media(value, kind: kind, name: name)
    }

    private static func media(_ value: JSONValue, kind: Media.Kind?, name: String?) -> Media? {
        let type = value.firstText("mime_type", "mimeType", "media_type", "mediaType", "image_mimetype", "mimetype")
        let name = value.firstText("filename", "display_name") ?? name
        let modality = value.firstText("modality").flatMap { Media.Kind(rawValue: $0) }
        let known = modality ?? kind ?? .file
        if let text = value.firstText("url", "uri", "file_uri", "fileUri", "image_url", "content", "data", "file_data", "image") {
            return made(text, known, type ?? value.firstText("format").map { "\(known.rawValue)/\($0)" }, name)
        }
        if let id = value.firstText("file_id", "fileId") {
            return Media(kind: known, mediaType: type, name: name, source: .file(id))
        }
        return nil
    }

    /// From an address, a data URL or base64.
    private static func made(_ text: String, _ kind: Media.Kind, _ mediaType: String?, _ name: String?) -> Media {
        if text.hasPrefix("data:"), let comma = text.utf8.firstIndex(of: UInt8(ascii: ",")) {
            let head = text[text.index(text.startIndex, offsetBy: 5)..<comma]
            let type = head.split(separator: ";").first.map { String($0) } ?? mediaType
            return Media(
                kind: self.kind(type) ?? kind, mediaType: type, name: name, source: .data(String(text[text.index(after: comma)...])))
        }
        let isAddress = text.utf8.prefix(32).contains(UInt8(ascii: ":"))
        return Media(
            kind: self.kind(mediaType) ?? kind, mediaType: mediaType, name: name, source: isAddress ? .uri(text) : .data(text))
    }

    private static func kind(_ mediaType: String?) -> Media.Kind? {
        guard let first = mediaType?.split(separator: "/").first else { return nil }
        return Media.Kind(rawValue: String(first))
    }
}
