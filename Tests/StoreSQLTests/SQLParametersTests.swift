import SpanStore
import StoreSQL
import Testing

@Suite struct SQLParametersTests {
    @Test func numbersAreThoseThatJSONWouldWrite() {
        #expect(SQLParameters.value(of: "12") == .integer(12))
        #expect(SQLParameters.value(of: "-9223372036854775808") == .integer(.min))
        #expect(SQLParameters.value(of: "2.50") == .double(2.5))
        #expect(SQLParameters.value(of: "-1e3") == .double(-1000))
        #expect(SQLParameters.value(of: "9223372036854775808") == .double(9_223_372_036_854_775_808))
        for text in ["", "007", "-01.5", "nan", "inf", "infinity", "0x10", "1e999", "+-1", "e", " 1", "1 "] {
            #expect(SQLParameters.value(of: text) == .text(text), "\(text)")
        }
    }

    @Test func idsAreTextsThoughSomeLookLikeNumbers() {
        for id in ["12345678901234567890123456789012", "1234567890123e12", "1e345678901234567890123456789012"] {
            #expect(SQLParameters.value(of: id) == .text(id), "\(id)")
        }
    }

    @Test func anAssignmentHasANameAndOneEqualsSign() {
        #expect(SQLParameters.assignment("a=b=c")?.value == "b=c")
        #expect(SQLParameters.assignment("a=")?.value == "")
        #expect(SQLParameters.assignment("=a") == nil)
        #expect(SQLParameters.assignment("a") == nil)
    }
}
