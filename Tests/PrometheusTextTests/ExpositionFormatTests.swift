import PrometheusText
import Testing

struct ExpositionFormatTests {
    private func contentType(_ accept: String?) -> String { ExpositionFormat.negotiate(accept: accept).contentType }

    @Test func contentTypes() {
        #expect(contentType(nil) == "text/plain; version=0.0.4; charset=utf-8")
        #expect(contentType("text/plain;version=1.0.0") == "text/plain; version=1.0.0; charset=utf-8")
        #expect(contentType("application/openmetrics-text") == "application/openmetrics-text; version=1.0.0; charset=utf-8")
    }

    @Test(
        arguments: [
            (nil, .text004),
            ("", .text004),
            ("garbage", .text004),
            (",,;;=,", .text004),
            ("text/html,application/xhtml+xml,*/*;q=0.8", .text004),
            ("application/json", .text004),
            ("text/plain", .text004),
            ("text/plain;version=0.0.4", .text004),
            ("application/openmetrics-text", .openMetrics100),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", .openMetrics100),
            ("APPLICATION/OpenMetrics-Text;VERSION=\"1.0.0\"", .openMetrics100),
            ("application/openmetrics-text;version=0.0.1", .text004),
            ("application/openmetrics-text;version=2.0.0,*/*", .text004),
            ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.6", .text004),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.75", .openMetrics100),
            ("text/plain,application/openmetrics-text", .text004),
            ("application/openmetrics-text,text/plain", .openMetrics100),
            ("application/openmetrics-text;q=0", .text004),
            ("application/openmetrics-text;q=0.000,text/plain;q=0.001", .text004),
            ("application/openmetrics-text;q=nan", .text004),
            ("application/openmetrics-text;q=2", .text004),
            ("application/openmetrics-text;q=1.001", .text004),
            ("application/openmetrics-text;q=-1", .text004),
            ("application/openmetrics-text;q=", .text004),
            ("application/openmetrics-text;q=1.", .openMetrics100),
            ("application/openmetrics-text;q=0.0005,text/plain;q=0.001", .text004),
            ("application/openmetrics-text;q=0.2;q=0.9,*/*;q=0.5", .text004),
            ("foo/bar;x=\"a,application/openmetrics-text;q=1\"", .text004),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
                    + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics100
            ),
        ] as [(String?, ExpositionFormat)])
    func negotiates(accept: String?, expected: ExpositionFormat) {
        #expect(ExpositionFormat.negotiate(accept: accept).format == expected)
        #expect(!contentType(accept).contains("escaping"))
    }

    @Test func theEscapingIsThatOfTheRangeThatWins() {
        #expect(
            contentType(
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=underscores;q=0.4,*/*;q=0.2"
            )
                == "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8")
        #expect(
            contentType("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.1,text/plain;version=0.0.4;q=0.4")
                == "text/plain; version=0.0.4; charset=utf-8")
        // These would double the underscores of our names, which stay as they are.
        for scheme in ["values", "dots", "nonsense"] {
            #expect(
                contentType("text/plain;version=1.0.0;escaping=\(scheme)")
                    == "text/plain; version=1.0.0; charset=utf-8; escaping=underscores")
        }
    }

    @Test func manyRangesAreNotAllRead() {
        let accept = String(repeating: "a/b,", count: 10_000) + "application/openmetrics-text"
        #expect(ExpositionFormat.negotiate(accept: accept).format == .text004)
    }
}
