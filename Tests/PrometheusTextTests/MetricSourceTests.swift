import PrometheusText
import Testing

struct MetricSourceTests {
    @Test func countersStartAtZeroAndGrow() {
        let counter = CounterMetric("x_total", help: "X.")
        #expect(counter.family().samples == [.init(value: .integer(0))])
        counter.increment()
        counter.increment(by: 4)
        #expect(counter.value == 5)
        #expect(
            counter.family() == MetricFamily(name: "x_total", help: "X.", kind: .counter, samples: [.init(value: .integer(5))]))
    }

    @Test func countersMayNotFall() async {
        await #expect(processExitsWith: .failure) { CounterMetric("x_total", help: "").increment(by: -1) }
    }

    @Test func labelledCountersAreBoundedAndEscaped() {
        let counter = LabeledCounterMetric("x_total", help: "X.", labels: ["code", "kind"], labelSetsMax: 2)
        counter.cell("429", "a\"b")
        counter.increment("503", "c", by: 2)
        counter.increment("one", "too many")
        counter.increment("two", "too many")
        counter.increment("503", "c")
        #expect(
            Set(counter.family().samples.map { "\($0.labels) \($0.value)" }) == [
                #"code="429",kind="a\"b" integer(0)"#, #"code="503",kind="c" integer(3)"#,
                #"code="__overflow__",kind="__overflow__" integer(2)"#,
            ])
    }

    @Test func cellsCountWithoutALookUp() {
        let counter = LabeledCounterMetric("x_total", help: "X.", labels: ["code"], labelSetsMax: 2)
        let cell = counter.cell("200")
        cell.increment(by: 3)
        #expect(counter.cell("200") === cell)
        #expect(counter.family().samples == [.init(labels: "code=\"200\"", value: .integer(3))])
    }

    @Test func gaugesMoveBothWaysAndMayBeUnset() {
        let gauge = GaugeMetric("depth", help: "Depth.")
        #expect(gauge.value == 0)
        gauge.set(3)
        gauge.add(-1.5)
        #expect(gauge.family().samples == [.init(value: .double(1.5))])

        let time = GaugeMetric("last_seconds", help: "Last.", unit: .seconds, initially: nil)
        #expect(time.family().samples.isEmpty)
        time.add(2)
        #expect(time.value == 2)
        time.set(.nan)
        #expect(time.value?.isNaN == true)
        time.set(Double(bitPattern: .max))
        #expect(time.value?.isNaN == true)
    }

    @Test func histogramsCountInclusively() {
        let histogram = HistogramMetric("h_seconds", help: "H.", unit: .seconds, bounds: [0.5, 1])
        for value in [0.5, 0.75, 1, 8, .nan] { histogram.record(value) }
        histogram.record(.milliseconds(250))
        #expect(histogram.family().samples == [.init(value: .histogram(.init(bounds: [0.5, 1], counts: [2, 2, 1], sum: 10.5)))])
    }

    @Test func labelledHistograms() {
        let histogram = LabeledHistogramMetric("h", help: "H.", bounds: [1], labels: ["format"], labelSetsMax: 4)
        histogram.cell("text").record(2.0)
        #expect(
            histogram.family().samples
                == [.init(labels: "format=\"text\"", value: .histogram(.init(bounds: [1], counts: [0, 1], sum: 2)))])
    }

    @Test func histogramBoundsMustAscend() async {
        await #expect(processExitsWith: .failure) { _ = HistogramCell(bounds: [1, 1]) }
        await #expect(processExitsWith: .failure) { _ = HistogramCell(bounds: [.infinity]) }
    }

    @Test func registryTellsWhatWasRegistered() {
        let registry = MetricRegistry()
        let counter = registry.register(CounterMetric("x_total", help: "X."))
        registry.register(GaugeMetric("g", help: "G."))
        counter.increment()
        #expect(registry.families().map(\.name) == ["x_total", "g"])
        #expect(registry.families().first?.samples == [.init(value: .integer(1))])
    }

    @Test func manyThreadsLoseNothing() async {
        let counter = CounterMetric("x_total", help: "")
        let labelled = LabeledCounterMetric("y_total", help: "", labels: ["l"], labelSetsMax: 2)
        let gauge = GaugeMetric("g", help: "")
        let histogram = HistogramMetric("h", help: "", bounds: [1])
        await withTaskGroup { group in
            for task in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        counter.increment()
                        labelled.increment("\(task)")
                        gauge.add(1)
                        histogram.record(1)
                    }
                }
            }
        }
        #expect(counter.value == 8000)
        #expect(gauge.value == 8000)
        #expect(histogram.family().samples == [.init(value: .histogram(.init(bounds: [1], counts: [8000, 0], sum: 8000)))])
        let total = labelled.family().samples.reduce(Int64(0)) { sum, sample in
            guard case .integer(let count) = sample.value else { return sum }
            return sum + count
        }
        #expect(total == 8000)
        #expect(labelled.family().samples.count == 3)
    }
}
