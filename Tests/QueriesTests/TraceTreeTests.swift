import Testing

@testable import Queries

@Suite struct TraceTreeTests {
    private static func node(_ id: String, _ parent: String?, service: String = "a", kind: Int64 = 1) -> TraceTree.Node {
        TraceTree.Node(spanID: id, parentSpanID: parent, service: service, kind: kind)
    }

    private static func drawn(_ nodes: [TraceTree.Node]) -> [String] {
        TraceTree.places(nodes).map { String(repeating: ".", count: $0.depth) + nodes[$0.index].spanID }
    }

    @Test func childrenFollowTheirParentInTheOrderOfTheList() {
        #expect(Self.drawn([Self.node("r", nil), Self.node("b", "r"), Self.node("a", "r"), Self.node("c", "b")]) == ["r", ".b", "..c", ".a"])
    }

    @Test func whatHasNoStoredParentOrOnlyItselfIsARoot() {
        #expect(Self.drawn([Self.node("a", "gone"), Self.node("b", "b"), Self.node("c", "d"), Self.node("d", "c")]) == ["a", "b", "c", ".d"])
    }

    @Test func theServersSideHangsUnderItsCaller() {
        let nodes = [
            Self.node("x", nil, service: "front", kind: 3), Self.node("x", nil, service: "back", kind: 2),
            Self.node("y", "x", service: "back"), Self.node("z", "x", service: "front"),
        ]
        #expect(Self.drawn(nodes) == ["x", ".x", "..y", ".z"])
    }

    @Test func aChainOfAnyLengthIsWalkedWithoutRecursion() {
        let nodes = [Self.node("0", nil)] + (1..<50_000).map { Self.node("\($0)", "\($0 - 1)") }
        #expect(TraceTree.places(nodes).map(\.depth) == Array(0..<50_000))
    }
}
