/// What follows from an error of ClickHouse. Its HTTP status says little, since most are 500, so the code decides (docs/fleet.md).
package enum ClickHouseError: Equatable, Sendable {
    /// Full, short of memory, read-only, or without its keeper: the same again later.
    case busy
    /// It has more parts than it can merge: the same again later, and from then on fewer and larger inserts.
    case tooManyParts
    /// Nobody knows whether the rows are there. A table that is keyed by identity takes them again.
    case ambiguous
    /// The same insert is still running.
    case running
    case unauthorized
    /// The table or the server is not as it must be; no row is at fault.
    case schema
    /// Rows of this insert cannot be read.
    case poison
    case tooLarge

    /// What a code means; `nil` for one that is not known here.
    package init?(code: Int) {
        guard let known = Self.byCode[code] else { return nil }
        self = known
    }

    /// What an operator does about it, where there is something to do.
    package var advice: String? {
        switch self {
        case .busy, .ambiguous, .running, .poison, .tooLarge: nil
        case .tooManyParts: "inserts become fewer and larger; are merges held up there?"
        case .unauthorized: "the user needs GRANT INSERT on the tables, and the password file what is in it to be right"
        case .schema: "fusebox ddl clickhouse prints the tables that are wanted"
        }
    }

    private static let byCode: [Int: ClickHouseError] = {
        let codes: [(ClickHouseError, [Int])] = [
            // TOO_MANY_SIMULTANEOUS_QUERIES, NO_FREE_CONNECTION, MEMORY_LIMIT_EXCEEDED, NOT_ENOUGH_SPACE, TOO_FEW_LIVE_REPLICAS,
            // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, LIMIT_EXCEEDED, CANNOT_SCHEDULE_TASK, TABLE_IS_READ_ONLY, NO_ZOOKEEPER, QUOTA_EXCEEDED
            (.busy, [202, 203, 241, 243, 285, 286, 290, 439, 242, 225, 201]),
            (.tooManyParts, [252]),
            // TIMEOUT_EXCEEDED, SOCKET_TIMEOUT, NETWORK_ERROR, ABORTED, UNKNOWN_STATUS_OF_INSERT, UNFINISHED, QUERY_WAS_CANCELLED,
            // KEEPER_EXCEPTION, POCO_EXCEPTION
            (.ambiguous, [159, 209, 210, 236, 319, 341, 394, 999, 1000]),
            (.running, [216]),
            // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, ACCESS_DENIED, AUTHENTICATION_FAILED
            (.unauthorized, [192, 193, 194, 497, 516]),
            // THERE_IS_NO_COLUMN, NOT_FOUND_COLUMN_IN_BLOCK, NO_SUCH_COLUMN_IN_TABLE, NUMBER_OF_COLUMNS_DOESNT_MATCH, ILLEGAL_COLUMN,
            // UNKNOWN_IDENTIFIER, UNKNOWN_TYPE, TYPE_MISMATCH, UNKNOWN_TABLE, SYNTAX_ERROR, CANNOT_CONVERT_TYPE, UNKNOWN_FORMAT,
            // UNKNOWN_DATABASE, UNKNOWN_SETTING, READONLY, CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN, VIOLATED_CONSTRAINT
            (.schema, [8, 10, 16, 20, 44, 47, 50, 53, 60, 62, 70, 73, 81, 115, 164, 349, 469]),
            // CANNOT_PARSE_TEXT, CANNOT_PARSE_INPUT_ASSERTION_FAILED, CANNOT_READ_ALL_DATA, CANNOT_PARSE_DATE, ARGUMENT_OUT_OF_BOUND,
            // INCORRECT_DATA, TOO_LARGE_STRING_SIZE, TOO_LARGE_ARRAY_SIZE, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
            (.poison, [6, 27, 33, 38, 69, 117, 131, 128, 321]),
            // QUERY_IS_TOO_LARGE, TOO_MANY_BYTES
            (.tooLarge, [229, 307]),
        ]
        var byCode: [Int: ClickHouseError] = [:]
        for (error, own) in codes { for code in own { byCode[code] = error } }
        return byCode
    }()
}
