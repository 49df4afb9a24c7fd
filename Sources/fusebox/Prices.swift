import ArgumentParser
import Foundation
import FuseboxConfiguration
import Ingest
import Reports
import SpanStore
import StoreSQL
import TelemetryModel

/// `fusebox prices`: what models cost, and whose word that is.
struct Prices: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the prices of models, and import price tables.",
        discussion: """
            prices.yaml in the data folder beats an imported table, which beats the public list prices that come with the program. The \
            column source says where a price is from.
            """,
        subcommands: [List.self, Import.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show the price of every model, in dollars per million tokens.")

        @OptionGroup var common: CommonOptions

        @Argument(help: "Only models whose name has this text.")
        var text: String?

        @Option(help: "\(SQLFormat.allCases.map(\.rawValue).joined(separator: ", ")).")
        var format: SQLFormat = .table

        mutating func run() throws {
            let table = try common.configuration().priceTable()
            var rows = SQLRowWriter(
                format: format, escapes: Terminal.isTerminal(.standardOutput),
                columns: ["model", "kind", "effective_from", "input", "cache_read", "cache_write", "output", "source"],
                fit: .terminal(optional: ["kind", "effective_from"], whole: ["model"]))
            let wanted = text?.lowercased()
            for price in table.sorted.models where wanted.map({ price.model.lowercased().contains($0) }) ?? true {
                rows.write([
                    .text(price.model), .text(price.kind.rawValue),
                    price.effectiveFromUnixNano == 0 ? .null : .text(TimeText.iso8601(unixNano: price.effectiveFromUnixNano)),
                    .double(price.input), .double(price.cacheRead), .double(price.cacheWrite), .double(price.output),
                    .text(price.source ?? "prices.yaml"),
                ])
            }
            rows.finish()
        }
    }

    struct Import: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Import a price table of LiteLLM or genai-prices.",
            discussion: """
                LiteLLM's is model_prices_and_context_window.json, genai-prices' its data.json. The table replaces the one that was imported \
                before; the server takes it at its next start, reports at once.
                """)

        @OptionGroup var common: CommonOptions

        @Argument(help: "The file; - is standard input.")
        var file: String

        mutating func run() throws {
            let configuration = try common.configuration()
            let bytes = [UInt8](try InputFile.bytes(file))
            let document: JSONValue
            do throws(JSONValue.SyntaxError) {
                document = try JSONValue.parse(bytes[...])
            } catch {
                throw CommandFailure(.failed, "\(file) (line \(error.line)): \(error.message)")
            }
            guard let found = ForeignPrices.read(document), !found.prices.isEmpty else {
                throw CommandFailure(.failed, "\(file) is not a price table of LiteLLM or genai-prices, so nothing was imported")
            }
            let text = PriceList.text(found.prices)
            let taken = PriceList.parse(text).count
            do {
                try Data(text.utf8).write(to: URL(fileURLWithPath: configuration.importedPricesPath), options: .atomic)
            } catch {
                throw CommandFailure(.failed, "cannot write \(configuration.importedPricesPath): \(error.localizedDescription)")
            }
            try configuration.loadPrices()
            Terminal.write("prices: \(taken) models, \(found.skipped) entries skipped that have no price of text tokens\n")
        }
    }
}

extension Configuration {
    /// Where `fusebox prices import` puts its table.
    var importedPricesPath: String { dataFolder + "/prices-imported.csv" }

    /// Everything that costs: prices.yaml, then what was imported, then the built-in list unless it is turned off.
    func priceTable() throws -> PriceTable {
        var own = PriceTable()
        if let data = FileManager.default.contents(atPath: pricesPath) {
            do throws(ConfigurationError) {
                own = try PriceFile.parse(String(decoding: data, as: UTF8.self), path: pricesPath)
            } catch {
                throw CommandFailure(.usage, error.message)
            }
        } else if pricesFile != nil {
            throw CommandFailure(.usage, "cannot read the prices file \(pricesPath)")
        } else {
            own = storedPrices().own
        }
        guard usesListPrices else { return own }
        let imported = FileManager.default.contents(atPath: importedPricesPath).map {
            PriceList.parse(String(decoding: $0, as: UTF8.self), source: "imported")
        }
        return PriceList.merged(own, [imported ?? [], PriceList.builtIn])
    }

    /// The prices that the data file holds; without a file, or beside prices.yaml's absence, what was loaded once still counts.
    private func storedPrices() -> PriceTable {
        let folder = StoreFolder(path: dataFolder)
        guard folder.databaseExists, let reader = try? SQLReader(folder: folder) else { return PriceTable() }
        return (try? CostReport(ReportReader(reader)).prices()) ?? PriceTable()
    }

    /// Hands the prices to the data file for a report; fails where there is none.
    func loadPricesForReport() throws {
        do {
            try StoreFolder(path: dataFolder).checkDatabaseExists()
        } catch {
            throw error.failure
        }
        try loadPrices()
    }

    /// Hands the prices to the data file when it holds others.
    func loadPrices() throws {
        let table = try priceTable().sorted
        let folder = StoreFolder(path: dataFolder)
        if folder.databaseExists, storedPrices() == table { return }
        try folder.handOver(.prices(table))
    }
}

extension PriceTable {
    /// Without prices of lists.
    fileprivate var own: PriceTable {
        var table = self
        table.models.removeAll { $0.isListPrice }
        return table
    }
}
