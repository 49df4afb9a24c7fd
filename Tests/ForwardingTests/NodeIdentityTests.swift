import Foundation
import SpanStore
import Testing

@Suite struct NodeIdentityTests {
    private let first = String(repeating: "0a", count: 16)
    private let second = String(repeating: "f1", count: 16)

    @Test func aNodeKeepsTheNameThatItGotFirst() throws {
        let fixture = try ForwardFixture()
        let source = try fixture.store.forwardSource
        #expect(fixture.folder.nodeName == nil)
        #expect(try source.node(orElse: first) == first)
        #expect(try source.node(orElse: second) == first)
        #expect(fixture.folder.nodeName == first)
        let file = fixture.folder.path + "/fusebox.node"
        #expect(try String(contentsOfFile: file, encoding: .utf8) == first + "\n")
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        // Half of a name is none.
        try Data("0a0a".utf8).write(to: URL(fileURLWithPath: file))
        #expect(fixture.folder.nodeName == nil)
        #expect(try source.node(orElse: second) == second)
    }

    @Test func whatIsNoNameIsNotTaken() throws {
        let source = try ForwardFixture().store.forwardSource
        for candidate in ["", "node", String(repeating: "A", count: 32), String(repeating: "0", count: 33)] {
            #expect(throws: StoreError.self) { try source.node(orElse: candidate) }
        }
    }
}
