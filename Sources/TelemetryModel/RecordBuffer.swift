/// Records one after the other, in storage with one owner. Appending checks for room and nothing else, where an array also asks
/// each time whether it shares its storage: a span's way appends some hundred times. Every access is checked against `count`.
public struct RecordBuffer<Element>: ~Copyable {
    @usableFromInline var base: UnsafeMutablePointer<Element>
    @usableFromInline var capacity: Int
    @usableFromInline var used: Int

    public init(capacity: Int = 64) {
        self.capacity = max(1, capacity)
        base = .allocate(capacity: self.capacity)
        used = 0
    }

    deinit {
        base.deinitialize(count: used)
        base.deallocate()
    }

    @inlinable
    public var count: Int { used }

    @inlinable
    public var indices: Range<Int> { 0..<used }

    @inlinable
    public subscript(index: Int) -> Element {
        @inline(__always) get {
            precondition(index >= 0 && index < used)
            return base[index]
        }
        @inline(__always) set {
            precondition(index >= 0 && index < used)
            base[index] = newValue
        }
    }

    @inlinable
    @inline(__always)
    public mutating func append(_ element: Element) {
        if used == capacity { grow(to: used &+ 1) }
        (base + used).initialize(to: element)
        used &+= 1
    }

    /// Makes the count `count`, filling with `element` what is new.
    public mutating func resize(to count: Int, filling element: Element) {
        if count < used { return truncate(to: count) }
        if count > capacity { grow(to: count) }
        (base + used).initialize(repeating: element, count: count - used)
        used = count
    }

    /// Drops everything from position `count` on, and keeps the storage.
    public mutating func truncate(to count: Int) {
        precondition(count >= 0 && count <= used)
        (base + count).deinitialize(count: used - count)
        used = count
    }

    public mutating func removeAll() { truncate(to: 0) }

    /// A copy of the records as an array.
    public func array() -> [Element] { Array(UnsafeBufferPointer(start: base, count: used)) }

    @inlinable
    public var span: Span<Element> {
        @_lifetime(borrow self)
        borrowing get {
            let span = Span(_unsafeStart: base, count: used)
            return _overrideLifetime(span, borrowing: self)
        }
    }

    @usableFromInline
    mutating func grow(to needed: Int) {
        let larger = max(needed, capacity * 2)
        let moved = UnsafeMutablePointer<Element>.allocate(capacity: larger)
        moved.moveInitialize(from: base, count: used)
        base.deallocate()
        base = moved
        capacity = larger
    }
}

extension RecordBuffer<UInt8> {
    /// Appends the low `width` bytes of a value, least significant first; `width` is at most 8.
    @inlinable
    @inline(__always)
    public mutating func appendLittleEndian(_ value: UInt64, width: Int = 8) {
        if used &+ 8 > capacity { grow(to: used &+ 8) }
        UnsafeMutableRawPointer(base + used).storeBytes(of: value.littleEndian, as: UInt64.self)
        used &+= width
    }

    /// Copies bytes to the end.
    @inlinable
    @inline(__always)
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        let needed = used &+ bytes.count
        if needed > capacity { grow(to: needed) }
        if let source = bytes.baseAddress { UnsafeMutableRawPointer(base + used).copyMemory(from: source, byteCount: bytes.count) }
        used = needed
    }

    /// Calls `body` with the bytes.
    @inlinable
    public func withUnsafeBytes<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value {
        body(UnsafeRawBufferPointer(start: base, count: used))
    }
}

extension RecordBuffer: @unchecked Sendable where Element: Sendable {}
