import HTTPTypes
import NIOCore
import OTLP
import TelemetryModel

/// `/api/sign-in` and `/api/sign-out`: a browser shows a token once and gets a cookie for it.
extension APIRoutes {
    static let signInBytesMax = 4096

    func signIn(_ asked: RouteRequest) async throws -> Response {
        // A page of another site cannot send this type without asking first.
        guard RequestContent.mediaType(asked.request) == "application/json" else {
            throw StatusTable.wrongType("Content-Type must be application/json, and the body {\"token\": …}")
        }
        guard let signIns = access.signIns, access.asksReaders else {
            return Self.signedIn(nil, asked)
        }
        let client = asked.request.host
        guard signIns.mayTry(client) else {
            throw Refusal(
                status: .tooManyRequests, code: .resourceExhausted, message: "too many wrong tokens; try again in a minute",
                headers: [.retryAfter: "60"])
        }
        let body = Array(buffer: asked.request.body)
        let token = (try? JSONValue.parse(body[...]))?["token"]?.text ?? ""
        guard let rights = access.rights(ofToken: token[...]) else {
            signIns.noteFailure(client)
            throw Refusal(
                status: .forbidden, code: .permissionDenied, message: "this token does not allow reading; `fusebox token` makes one")
        }
        return Self.signedIn(signIns.begin(rights), asked)
    }

    func signOut(_ asked: RouteRequest) throws -> Response {
        guard RequestContent.mediaType(asked.request) == "application/json" else {
            throw StatusTable.wrongType("Content-Type must be application/json")
        }
        access.signIns?.end(asked.request.headers)
        return Self.signedIn("", asked)
    }

    /// - Parameter name: for the cookie; empty takes it away, `nil` sets none.
    private static func signedIn(_ name: String?, _ asked: RouteRequest) -> Response {
        var response = APIContext.response(Array("{}".utf8))
        guard let name else { return response }
        let age = name.isEmpty ? 0 : SignIns.secondsMax
        let secure = asked.request.head.scheme == "https" ? "; Secure" : ""
        response.headers[.setCookie] =
            "\(SignIns.cookieName)=\(name); Path=/; HttpOnly; SameSite=Strict; Max-Age=\(age)\(secure)"
        return response
    }
}
