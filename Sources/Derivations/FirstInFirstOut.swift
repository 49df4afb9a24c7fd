/// A queue in one array whose elements keep their number for life: the first one ever is 0.
struct FirstInFirstOut<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0
    /// The number of the first element of the array.
    private var base = 0

    /// - Parameter firstNumber: the number of the first element.
    init(firstNumber: Int = 0) { base = firstNumber }

    var isEmpty: Bool { head == elements.count }
    var first: Element? { head < elements.count ? elements[head] : nil }
    /// The number of the first element that is still there, or that the next one gets.
    var firstNumber: Int { base + head }

    /// The element of this number if it is still there.
    subscript(number: Int) -> Element? {
        let position = number - base
        return position >= head && position < elements.count ? elements[position] : nil
    }

    /// The number that the next element gets.
    var nextNumber: Int { base + elements.count }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        head += 1
        if head == elements.count || head >= 4_096 && head * 2 >= elements.count {
            base += head
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    /// Changes the element of this number if it is still there; false otherwise.
    mutating func update(_ number: Int, _ change: (inout Element) -> Void) -> Bool {
        let position = number - base
        guard position >= head, position < elements.count else { return false }
        change(&elements[position])
        return true
    }
}
