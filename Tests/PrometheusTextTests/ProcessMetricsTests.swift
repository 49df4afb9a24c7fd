import Testing

@testable import PrometheusText

struct ProcessMetricsTests {
    @Test func figuresAreThoseOfALivingProcess() throws {
        let values = Dictionary(
            uniqueKeysWithValues: ProcessMetrics.families().compactMap { family -> (String, Double)? in
                guard case .double(let value) = family.samples.first?.value else { return nil }
                return (family.name, value)
            })
        #expect(values.values.allSatisfy { $0 >= 0 && $0.isFinite })
        #expect(try #require(values["process_cpu_seconds_total"]) > 0)
        #expect(try #require(values["process_resident_memory_bytes"]) > 1_000_000)
        #expect(try #require(values["process_virtual_memory_bytes"]) > 1_000_000)
        #expect(try #require(values["process_threads"]) >= 1)
        #expect(try #require(values["process_start_time_seconds"]) > 1_700_000_000)
        #if os(Linux)
            #expect(try #require(values["process_open_fds"]) >= 3)
        #endif
    }

    #if os(Linux)
        @Test func commandsMayHoldSpacesAndParentheses() throws {
            let stat = try #require(ProcessStat("42 (a) b (c) S 1 2 3"))
            #expect(stat.integer(field: 4) == 1)
            #expect(stat.integer(field: 6) == 3)
            #expect(stat.integer(field: 7) == nil)
            #expect(stat.integer(field: 2) == nil)
            #expect(ProcessStat("") == nil)
        }
    #endif
}
