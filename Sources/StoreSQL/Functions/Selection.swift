/// Finds the value that would stand at a place if all were sorted, without sorting: Hoare's selection.
enum Selection {
    /// - Parameters:
    ///   - rank: from 0, below the count of values.
    ///   - values: not empty; their order changes.
    static func value<Value: Comparable>(atRank rank: Int, of values: UnsafeMutableBufferPointer<Value>) -> Value {
        var low = 0
        var high = values.count - 1
        while low < high {
            // Three places spread over the range keep sorted input from being the worst case.
            let pivot = median(values[low], values[low + (high - low) / 2], values[high])
            var left = low
            var right = high
            while left <= right {
                while values[left] < pivot { left += 1 }
                while values[right] > pivot { right -= 1 }
                if left <= right {
                    values.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if rank <= right {
                high = right
            } else if rank >= left {
                low = left
            } else {
                return values[rank]
            }
        }
        return values[rank]
    }

    private static func median<Value: Comparable>(_ first: Value, _ second: Value, _ third: Value) -> Value {
        max(min(first, second), min(max(first, second), third))
    }
}
