/// Chooses the log segments to let go: whole ones, oldest first. Nothing reads log records again after their commit, so they need not
/// settle, and having no identity they need no floor.
enum LogRetentionPlan {
    /// Segments of which nothing was received after `cut`.
    static func aged(_ entries: [LogLedger.Entry], cut: Int64) -> [LogLedger.Entry] {
        entries.filter { $0.receivedMaximum <= cut }
    }

    /// Segments all of whose records happened at or before `cut`.
    static func ended(_ entries: [LogLedger.Entry], cut: Int64) -> [LogLedger.Entry] {
        entries.filter { $0.timeMaximum <= cut }
    }

    /// What is to go for so many bytes, whichever of spans and log records was received first: the log segments, and how many bytes of
    /// segments of spans.
    static func oldest(
        _ entries: [LogLedger.Entry], beside spans: [SegmentLedger.Entry], bytes: Int64
    ) -> (logs: [LogLedger.Entry], spanBytes: Int64) {
        guard !entries.isEmpty else { return ([], bytes) }
        var logs: [LogLedger.Entry] = []
        var spanBytes: Int64 = 0
        var freed: Int64 = 0
        var nextLog = 0
        var nextSpan = 0
        while freed < bytes {
            let log = nextLog < entries.count ? entries[nextLog] : nil
            let span = nextSpan < spans.count ? spans[nextSpan] : nil
            if let log, log.receivedMaximum <= span?.receivedMaximum ?? .max {
                logs.append(log)
                freed += log.storedBytes
                nextLog += 1
            } else if let span {
                spanBytes += Int64(span.storedBytes)
                freed += Int64(span.storedBytes)
                nextSpan += 1
            } else {
                break
            }
        }
        return (logs, spanBytes)
    }
}
