/// The query of the loop contract (docs/metrics.md 2.14): the view `contract`, and the same over a part of the spans and by the limits of
/// a configuration, for gates, packets and the page.
package struct ContractQuery: Sendable {
    /// Limits of the configuration; where it has none, what each agent declares holds.
    package struct Limits: Equatable, Sendable {
        package var workflows: Int64?
        package var retrievalBatch: Int64?
        package var embedBatch: Int64?

        package init(workflows: Int64? = nil, retrievalBatch: Int64? = nil, embedBatch: Int64? = nil) {
            (self.workflows, self.retrievalBatch, self.embedBatch) = (workflows, retrievalBatch, embedBatch)
        }
    }

    /// SELECT over the spans that meet a condition over the columns of `spans`.
    package static func sql(where condition: String = "1", limits: Limits = Limits()) -> String {
        func limit(_ value: Int64?, _ field: String) -> String {
            value.map { "\($0)" } ?? "declared(resource_attributes, '\(field)')"
        }
        return String(decoding: PackageResources.contract_sql, as: UTF8.self)
            .replacing("{workflow_limit}", with: limit(limits.workflows, "workflow_limit"))
            .replacing("{retrieval_limit}", with: limit(limits.retrievalBatch, "retrieval_limit"))
            .replacing("{embed_limit}", with: limit(limits.embedBatch, "embed_limit"))
            .replacing("{within}", with: condition)
    }

    static let view = "CREATE TEMP VIEW contract AS\n" + sql()
}
