/// The files of the page, as they stand in `Files`: plain HTML, CSS and ES modules, without a build step.
package enum WebPage {
    package struct File: Sendable {
        package var contentType: String
        package var bytes: [UInt8]
    }

    /// By the path under which it is served.
    package static func file(at path: String) -> File? {
        guard let (name, bytes) = files[path == "/" ? "/index.html" : path] else { return nil }
        return File(contentType: contentType(of: name), bytes: bytes)
    }

    /// The name in `Files` of what is served at a path; `nil` when there is no such file.
    package static func name(at path: String) -> String? { files[path == "/" ? "/index.html" : path]?.name }

    /// Paths and their files.
    package static let files: [String: (name: String, bytes: [UInt8])] = [
        "/index.html": ("index.html", PackageResources.index_html),
    ]

    package static func contentType(of name: String) -> String {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "svg": "image/svg+xml"
        default: "application/octet-stream"
        }
    }
}
