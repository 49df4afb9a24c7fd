/// How a question of an agent runs while spans come as fast as the writer takes them: a moment, then a pause many times as long. So it costs
/// them a twentieth of a processor at most, and nothing is held back while the writer has time to spare.
///
/// A value without a clock. Times are those of any clock that goes forward, from the same beginning each time.
struct BehindPace {
    /// It runs so long before it looks whether to pause.
    static let run = Duration.milliseconds(2)
    /// A pause is so many times as long as what ran before it.
    static let pauseFactor = 19
    /// No pause is longer: a segment that was read at once may have taken long.
    static let pauseMax = Duration.milliseconds(200)
    /// The writer is pressed when it worked for more than one in so many parts of the time.
    static let pressedPart = 2

    /// When it last looked, and how long the writer had worked by then; `nil` before the first look.
    private var last: (time: Duration, worked: Duration)?
    /// When its run began.
    private var resumed = Duration.zero

    /// How long to pause now; `nil` to go on.
    ///
    /// - Parameter worked: for how long the writer has worked so far.
    mutating func pause(now: Duration, worked: Duration) -> Duration? {
        guard let known = last else {
            (last, resumed) = ((now, worked), now)
            return nil
        }
        let ran = now - resumed
        guard ran >= Self.run else { return nil }
        let isPressed = (worked - known.worked) * Self.pressedPart > now - known.time
        last = (now, worked)
        guard isPressed else {
            resumed = now
            return nil
        }
        let pause = min(ran * Self.pauseFactor, Self.pauseMax)
        resumed = now + pause
        return pause
    }
}
