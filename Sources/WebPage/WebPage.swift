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
        "/app.css": ("app.css", PackageResources.app_css), "/icon.svg": ("icon.svg", PackageResources.icon_svg),
        "/app.js": ("app.js", PackageResources.app_js),
        "/kit.js": ("kit.js", PackageResources.kit_js),
        "/charts.js": ("charts.js", PackageResources.charts_js),
        "/overview.js": ("overview.js", PackageResources.overview_js),
        "/fuses.js": ("fuses.js", PackageResources.fuses_js),
        "/traces.js": ("traces.js", PackageResources.traces_js),
        "/trace.js": ("trace.js", PackageResources.trace_js),
        "/sessions.js": ("sessions.js", PackageResources.sessions_js),
        "/evals.js": ("evals.js", PackageResources.evals_js),
        "/compare.js": ("compare.js", PackageResources.compare_js),
        "/sql.js": ("sql.js", PackageResources.sql_js),
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
