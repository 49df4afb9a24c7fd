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
        "/app.css": ("app.css", PackageResources.app_css),
        "/talk.css": ("talk.css", PackageResources.talk_css),
        "/icon.svg": ("icon.svg", PackageResources.icon_svg),
        "/app.js": ("app.js", PackageResources.app_js),
        "/kit.js": ("kit.js", PackageResources.kit_js),
        "/json.js": ("json.js", PackageResources.json_js),
        "/markdown.js": ("markdown.js", PackageResources.markdown_js),
        "/values.js": ("values.js", PackageResources.values_js),
        "/messages.js": ("messages.js", PackageResources.messages_js),
        "/charts.js": ("charts.js", PackageResources.charts_js),
        "/overview.js": ("overview.js", PackageResources.overview_js),
        "/contract.js": ("contract.js", PackageResources.contract_js),
        "/fuses.js": ("fuses.js", PackageResources.fuses_js),
        "/gateway.js": ("gateway.js", PackageResources.gateway_js),
        "/fleet.js": ("fleet.js", PackageResources.fleet_js),
        "/traces.js": ("traces.js", PackageResources.traces_js),
        "/filters.js": ("filters.js", PackageResources.filters_js),
        "/histogram.js": ("histogram.js", PackageResources.histogram_js),
        "/tail.js": ("tail.js", PackageResources.tail_js),
        "/judge.js": ("judge.js", PackageResources.judge_js),
        "/trace.js": ("trace.js", PackageResources.trace_js),
        "/spans.js": ("spans.js", PackageResources.spans_js),
        "/waterfall.js": ("waterfall.js", PackageResources.waterfall_js),
        "/zoom.js": ("zoom.js", PackageResources.zoom_js),
        "/steps.js": ("steps.js", PackageResources.steps_js),
        "/queue.js": ("queue.js", PackageResources.queue_js),
        "/runs.js": ("runs.js", PackageResources.runs_js),
        "/detail.js": ("detail.js", PackageResources.detail_js),
        "/logs.js": ("logs.js", PackageResources.logs_js),
        "/find.js": ("find.js", PackageResources.find_js),
        "/sessions.js": ("sessions.js", PackageResources.sessions_js),
        "/users.js": ("users.js", PackageResources.users_js),
        "/evals.js": ("evals.js", PackageResources.evals_js),
        "/compare.js": ("compare.js", PackageResources.compare_js),
        "/gates.js": ("gates.js", PackageResources.gates_js),
        "/projects.js": ("projects.js", PackageResources.projects_js),
        "/signin.js": ("signin.js", PackageResources.signin_js),
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
