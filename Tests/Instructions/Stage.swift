/// What is counted, each alone.
enum Stage: String, CaseIterable {
    /// A whole HTTP request to its answer, decoding included, as if the store took it at once.
    case request
    /// Bytes to spans.
    case decode
    /// Whether the spans are new.
    case presence
    /// Attributes to columns.
    case columns
    /// Columns to counters and observations of breakers.
    case derive
    /// Observations that are old enough to breakers, and what changed to rows.
    case settle
    /// A group of spans to a segment.
    case encode
    /// The segment and the rows to a transaction.
    case commit
    /// Small segments to large ones.
    case merge
}

/// Does a stage's work, in a function of the stage's own when it is counted: callgrind tells what was spent in it by its name.
func counted(_ stage: Stage, _ isCounted: Bool, _ body: () throws -> Void) rethrows {
    guard isCounted else { return try body() }
    switch stage {
    case .request: try countedRequest(body)
    case .decode: try countedDecode(body)
    case .presence: try countedPresence(body)
    case .columns: try countedColumns(body)
    case .derive: try countedDerive(body)
    case .settle: try countedSettle(body)
    case .encode: try countedEncode(body)
    case .commit: try countedCommit(body)
    case .merge: try countedMerge(body)
    }
}

@_silgen_name("fusebox_counted_request") @inline(never) @_optimize(none)
private func countedRequest(_ body: () throws -> Void) rethrows { try body() }

@_silgen_name("fusebox_counted_decode") @inline(never) @_optimize(none)
private func countedDecode(_ body: () throws -> Void) rethrows { try body() }

@_silgen_name("fusebox_counted_presence") @inline(never) @_optimize(none)
private func countedPresence(_ body: () throws -> Void) rethrows { try body() }

@_silgen_name("fusebox_counted_columns") @inline(never) @_optimize(none)
private func countedColumns(_ body: () throws -> Void) rethrows { try body() }

@_silgen_name("fusebox_counted_derive") @inline(never) @_optimize(none)
private func countedDerive(_ body: () throws -> Void) rethrows { try body() }

@_silgen_name("fusebox_counted_settle") @inline(never) @_optimize(none)
private func countedSettle(_ body: () throws -> Void) rethrows { try body() }

@_silgen_name("fusebox_counted_encode") @inline(never) @_optimize(none)
private func countedEncode(_ body: () throws -> Void) rethrows { try body() }

@_silgen_name("fusebox_counted_commit") @inline(never) @_optimize(none)
private func countedCommit(_ body: () throws -> Void) rethrows { try body() }

@_silgen_name("fusebox_counted_merge") @inline(never) @_optimize(none)
private func countedMerge(_ body: () throws -> Void) rethrows { try body() }
