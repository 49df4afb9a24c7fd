import Testing

@testable import Forwarding

@Suite struct ForwardAuditTests {
    @Test func whatIsThereIsComparedStretchByStretch() {
        let audit = ForwardAudit(
            stored: [5_000..<12_000, 12_000..<25_000, 40_000..<40_003], refused: [40_001, 39_000, 24_000],
            there: [0: 5_000, 1: 9_990, 2: 5_000, 4: 2])
        // 24,000 was refused, and is there anyhow; 39,000 is gone here.
        #expect(audit.sent == 5_000 + 10_000 + 4_999 + 2)
        #expect(audit.gaps == [.init(ordinals: 10_000..<20_000, sent: 10_000, there: 9_990)] && audit.missing == 10)
    }

    @Test func nothingIsComparedWithNothing() {
        let audit = ForwardAudit(stored: [], refused: [1], there: [0: 5])
        #expect(audit.sent == 0 && audit.gaps.isEmpty && audit.missing == 0)
        #expect(ForwardAudit(stored: [0..<3], refused: [], there: [:]).missing == 3)
    }
}
