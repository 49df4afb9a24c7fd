/// What the tokens of a span cost, in SQL: by the price of its model at its end, or at its start while it has none. Every list of the API has its dollars from here.
enum DollarsSQL {
    /// Dollars of a row of `table`; NULL without a price.
    static func of(_ table: String) -> String {
        """
        (SELECT token_dollars(tokens, input_tokens, output_tokens, cached_tokens, cache_write_tokens, price.input, price.cache_read,
            price.cache_write, price.output)
        FROM main.model_price AS price
        WHERE price.model = \(table).model AND price.effective_from_unix_nano <= \(table).latest_known_unix_nano
        ORDER BY price.effective_from_unix_nano DESC LIMIT 1)
        """
    }
}
