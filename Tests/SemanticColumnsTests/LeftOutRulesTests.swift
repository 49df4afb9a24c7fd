import OTLP
import TelemetryModel
import TelemetryTesting
import Testing

@testable import SemanticColumns

/// Rules that cannot win are left out, and change nothing: what a span's attributes, events, scope and status say beforehand gives what
/// trying every rule gives.
struct LeftOutRulesTests {
    /// Enough attributes that every rule has a chance, with values that converted, blank and compared ones are among.
    private static let values = [
        "", " ", " chat ", "chat", "tool", "retrieval", "execute_tool", "invoke_agent", "create_agent", "llm_request", "tool.execution",
        "openai", "OpenAI", "langchain", "5", "-3", "true", "miss", "open", "Opened", "CircuitBreakerOpen", "-32001", "null",
        "\"quoted\"", "(2)", "call>", "TOOL", "2026-01-01T00:00:01Z", "[1,2]",
        #"{"id":"r","session_id":"s","input_tokens":4,"documents":[1],"langgraph_node":"n","langgraph_step":2}"#,
    ]
    private static let names = [
        "span", "a.run", "a.workflow", "a.kickoff", "invoke_workflow w", "execute_tool t", "t.__call__", "a.forward", "",
    ]
    private static let scopes = [
        "", "agent", "llamaindex.core", "openinference.instrumentation.langchain", "codex_exec", "logfire", "langsmith", "strands.agent",
        "opentelemetry.instrumentation.openai_v2",
    ]
    private static let texts = ["exception", "cache.hit", "gen_ai.first_token", "LLMChatEndEvent", "RetrievalEndEvent", "other"]

    @Test(arguments: 0..<60)
    func randomSpansHaveTheSameColumns(seed: Int) {
        var generator = SplitMix64(seed: UInt64(seed))
        let table = ColumnTable.standard
        let keys = (0..<table.keys.count).map { text(ofKey: $0, table) }
        var builder = SpanBatchBuilder()
        for number in 1...120 {
            if number % 10 == 1 {
                builder.beginResource(generator.chance(0.5) ? [:] : ["model": "of resource", "workflow_name": "of resource"])
                builder.beginScope(name: generator.pick(Self.scopes, or: ""))
            }
            builder.append(span(UInt64(number), keys, &generator))
        }
        expectTheSame(builder.batch)
    }

    @Test(arguments: Captures.names)
    func capturedSpansHaveTheSameColumnsWhateverBecomesOfThem(name: String) throws {
        var generator = SplitMix64(seed: 7)
        for request in try Captures.traces(name) {
            let batch = try TraceDecoder().decode(try request.inflated())
            expectTheSame(batch)
            var changed = batch
            for index in changed.spans.indices {
                if generator.chance(0.3) { changed.spans[index].parentSpanID = SpanID(generator.chance(0.5) ? 0 : 9) }
                if generator.chance(0.3) { changed.spans[index].statusCode = generator.pick([0, 1, 2, 7], or: 0) }
                if generator.chance(0.2) { changed.spans[index].events.count = 0 }
                if generator.chance(0.2) { changed.spans[index].scope = UInt32.random(in: 0..<UInt32(batch.scopes.count), using: &generator) }
            }
            for index in changed.attributes.indices where generator.chance(0.1) {
                let key = changed.attributes[index].key
                changed.attributes[index] =
                    generator.chance(0.5)
                    ? AttributeRecord(key: key, kind: .string, slice: .empty)
                    : AttributeRecord(key: key, kind: .int, payload: UInt64(bitPattern: generator.pick([-1, 0, 408], or: 0)))
            }
            expectTheSame(changed)
        }
    }

    private func span(_ number: UInt64, _ keys: [String], _ generator: inout SplitMix64) -> SpanDescription {
        var span = SpanDescription(traceID: TraceID(high: 1, low: 1), spanID: SpanID(number), name: generator.pick(Self.names, or: ""))
        span.parentSpanID = SpanID(generator.chance(0.4) ? 0 : 9)
        span.startTimeUnixNano = 1_767_225_600_000_000_000
        span.endTimeUnixNano = span.startTimeUnixNano + 5
        span.status = generator.pick([.unset, .unset, .ok, .error("")], or: .unset)
        for _ in 0..<Int.random(in: 0...8, using: &generator) {
            let key = generator.chance(0.05) ? "retrieval.documents.3.id" : generator.pick(keys, or: "")
            span.attributes.append(key, value(&generator))
        }
        if generator.chance(0.3) {
            span.events = (0..<2).map { place in
                SpanDescription.Event(
                    generator.pick(Self.texts, or: ""), timeUnixNano: span.startTimeUnixNano + Int64(place),
                    attributes: ["exception.type": "E", "response.raw.usage.prompt_tokens": 4, "nodes": "[1]"])
            }
        }
        return span
    }

    private func value(_ generator: inout SplitMix64) -> AttributeValue {
        switch Int.random(in: 0...5, using: &generator) {
        case 0: .int(generator.pick([-2, 0, 1, 7, 408], or: 0))
        case 1: .bool(generator.chance(0.5))
        case 2: .double(generator.pick([-1, 0.5, 3], or: 0))
        default: .string(generator.pick(Self.values, or: ""))
        }
    }

    private func text(ofKey key: Int, _ table: ColumnTable) -> String {
        let range = table.keys.ranges[key].range
        return String(decoding: table.keys.bytes[range.offset..<range.end], as: UTF8.self)
    }

    private func expectTheSame(_ source: SpanBatch) {
        var (first, second) = (source, source)
        var pruning = ColumnReader(table: .standard)
        var trying = ColumnReader(table: .standard, leavesRulesOut: false)
        pruning.begin(&first)
        trying.begin(&second)
        for span in source.spans {
            pruning.read(span, of: &first)
            trying.read(span, of: &second)
            for column in Column.allCases {
                let (found, expected) = (pruning.row[column], trying.row[column])
                let isSame =
                    found.kind == expected.kind && found.rank == expected.rank && found.isGuess == expected.isGuess
                    && found.sourceKey == expected.sourceKey
                    && (found.kind == .text ? first.string(found.slice) == second.string(expected.slice) : found.payload == expected.payload)
                #expect(isSame, "\(column) of \(source.string(span.name))")
            }
        }
    }
}
