/// Statements in the dialect of an engine that is asked in place of a data folder. From any thread that may wait.
///
/// Contract, which `Tests/FleetTests/FleetQuestionsTests.swift` holds `FleetQuestions` to: a statement goes to the engine as it is, one at a
/// time, and only reads.
package protocol EngineStatements: AnyObject, Sendable {
    /// The engine's, as fusebox.yaml has it.
    var name: String { get }

    /// Runs a query and calls `body` for each row until it says `false`. Gives the names of the columns.
    ///
    /// - Parameter rows: how many are wanted; one more says that there are more.
    @discardableResult
    func each(
        _ query: String, parameters: [String: String], rows: Int, _ body: ([QueryValue]) throws(QueryError) -> Bool
    ) throws(QueryError) -> [String]

    /// The views and tables that can be asked, with their columns.
    func tables() throws(QueryError) -> [(name: String, columns: [String])]
}
