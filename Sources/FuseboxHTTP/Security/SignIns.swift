import HTTPTypes
import Synchronization
import TelemetryModel

/// What a token that lets read lets do.
struct ReadingRights: Equatable, Sendable {
    var mayJudge = false
    /// The only project that it lets read; `nil` for all.
    var project: String?
}

/// Browsers that signed in with a token. Each holds a random name in a cookie that its scripts cannot read; the token itself is kept nowhere.
/// A server that starts anew knows nobody.
package final class SignIns: Sendable {
    /// Browsers at once; the one that came first makes room.
    private static let browsersMax = 1000
    static let secondsMax: Int64 = 7 * 86_400
    /// Wrong tokens of one client, and of all together, in a minute.
    private static let failuresMax = 10
    private static let failuresOfAllMax = 200
    private static let clientsMax = 1000
    private static let second: Int64 = 1_000_000_000
    static let cookieName = "fusebox-session"

    private struct Browser {
        var rights: ReadingRights
        var untilUnixNano: Int64
    }

    private struct State {
        var browsers: [TokenDigest: Browser] = [:]
        /// Oldest first.
        var order: [TokenDigest] = []
        var minute: Int64 = 0
        var failures: [String: Int] = [:]
        var failuresOfAll = 0
    }

    private let state = Mutex(State())
    private let clock: @Sendable () -> Int64
    private let random: @Sendable () -> UInt64

    /// - Parameters:
    ///   - clock: nanoseconds since 1970.
    ///   - random: numbers that nobody can guess.
    package init(clock: @escaping @Sendable () -> Int64, random: @escaping @Sendable () -> UInt64) {
        self.clock = clock
        self.random = random
    }

    /// Whether the client may try another token now.
    func mayTry(_ client: String) -> Bool {
        let minute = clock() / (60 * Self.second)
        return state.withLock { state in
            if state.minute != minute { (state.minute, state.failures, state.failuresOfAll) = (minute, [:], 0) }
            return state.failures[client, default: 0] < Self.failuresMax && state.failuresOfAll < Self.failuresOfAllMax
        }
    }

    func noteFailure(_ client: String) {
        state.withLock { state in
            state.failuresOfAll += 1
            if state.failures.count < Self.clientsMax || state.failures[client] != nil { state.failures[client, default: 0] += 1 }
        }
    }

    /// Gives the name for the browser's cookie.
    func begin(_ rights: ReadingRights) -> String {
        let name = (0..<4).map { _ in Self.hexadecimal(random()) }.joined()
        let digest = TokenDigest(token: name[...])
        let until = clock().addingSaturated(Self.secondsMax.multipliedSaturated(by: Self.second))
        state.withLock { state in
            if state.order.count >= Self.browsersMax { state.browsers[state.order.removeFirst()] = nil }
            state.browsers[digest] = Browser(rights: rights, untilUnixNano: until)
            state.order.append(digest)
        }
        return name
    }

    func end(_ fields: HTTPFields) {
        guard let digest = Self.digest(fields) else { return }
        state.withLock { state in
            state.browsers[digest] = nil
            state.order.removeAll { $0 == digest }
        }
    }

    /// What the browser of a request may do; `nil` when it has not signed in.
    func rights(_ fields: HTTPFields) -> ReadingRights? {
        guard let digest = Self.digest(fields) else { return nil }
        let now = clock()
        return state.withLock { state in
            guard let browser = state.browsers[digest], browser.untilUnixNano > now else { return nil }
            return browser.rights
        }
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func digest(_ fields: HTTPFields) -> TokenDigest? {
        for field in fields[values: .cookie] {
            for part in field.split(separator: ";") {
                let sides = part.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
                if sides.count == 2, sides[0] == cookieName { return TokenDigest(token: sides[1]) }
            }
        }
        return nil
    }
}
