import StoreSQL
import Testing

/// A condition goes between brackets, and stays there.
@Suite struct UserConditionTests {
    @Test(arguments: [
        "service_name = 'agent'", "(a OR b) AND c", "name = 'a;b -- c' OR name = ')('", "name LIKE '%(%'", "\"service_name\" = 'x'",
        "span_id IN (SELECT span_id FROM spans WHERE kind = 1)", "1",
    ])
    func itIsOneExpression(text: String) { #expect(UserCondition.problem(text) == nil) }

    @Test(arguments: [
        ("1) or (1", "not opened"), ("1) OR 1 OR (1", "not opened"), ("(1", "not closed"), ("1)", "not opened"), ("1; SELECT 2", "another statement"),
        ("1 -- x", "comment"), ("1 /* x", "comment"), ("1 /* x */ AND 1", "comment"), ("/* x */ 1", "comment"), ("name = 'x", "quote is not closed"),
        ("", "nothing is left"), ("  ", "nothing is left"), ("kind = ?", "parameter"), ("kind = :kind", "parameter"), ("1\0", "not closed"),
    ] as [(String, String)])
    func itIsRefusedWithWords(text: String, words: String) { #expect(UserCondition.problem(text)?.contains(words) == true, "\(text)") }
}
