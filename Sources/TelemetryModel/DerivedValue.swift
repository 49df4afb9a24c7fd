/// A span's value in a derived column, as it is stored: what the span says itself, whatever others tell of its call.
package enum DerivedValue: Equatable, Sendable {
    case none
    case integer(Int64)
    case text(ArraySlice<UInt8>)
}
