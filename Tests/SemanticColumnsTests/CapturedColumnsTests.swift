import OTLP
import SemanticColumns
import TelemetryModel
import Testing

/// What the alias table makes of what real frameworks sent.
///
/// The expected texts were written by a script over the captures that reads each framework's own attributes with the Python
/// protobuf library, and knows nothing of the alias table. What a framework does not send is not there: tool names of native
/// LlamaIndex, token counts of Haystack, runs of plain OpenAI clients.
struct CapturedColumnsTests {
    /// Stored columns that have a value in any span: values with their counts, most frequent first, or a summary of many.
    private static let expected = [
        (
            "llamaindex-native",
            """
            operation: text_completion ×12, retrieval ×6
            workflow_name: ResearchWorkflow ×6
            step_id: 69 values, 13 different
            retrieval_batch: 4 ×3, 2 ×2, 8 ×1
            input_tokens: 44 ×4, 75 ×4, 27 ×2, 59 ×2
            output_tokens: 5 ×12
            tokens: 49 ×4, 80 ×4, 32 ×2, 64 ×2
            model: mock-llama ×12
            error_type: TimeoutError ×12
            """
        ),
        (
            "llamaindex-openinference",
            """
            operation: chain ×39, chat ×15, retrieval ×12, execute_tool ×9
            workflow_name: ResearchWorkflow ×6
            step_id: 69 values, 13 different
            tool_name: weather_api ×9
            retrieval_batch: 4 ×3, 2 ×2, 8 ×1
            input_tokens: 44 ×4, 75 ×4, 27 ×2, 59 ×2
            output_tokens: 5 ×12
            tokens: 49 ×4, 80 ×4, 32 ×2, 64 ×2
            model: mock-llama ×15
            error_type: TimeoutError ×12
            """
        ),
        (
            "haystack",
            """
            workflow_name: rag-weather ×6
            step_id: retriever ×6, weather_tool ×6, llm ×4, prompt ×4
            tool_name: weather_tool ×6
            error_type: haystack.core.errors.PipelineRuntimeError ×4
            """
        ),
        (
            "haystack-content",
            """
            workflow_name: rag-weather ×2
            step_id: retriever ×2, weather_tool ×2, llm ×1, prompt ×1
            tool_name: weather_tool ×2
            error_type: haystack.core.errors.PipelineRuntimeError ×2
            """
        ),
        (
            "langgraph-openinference",
            """
            operation: chain ×18, invoke_agent ×13, chat ×8, execute_tool ×5, retrieval ×5
            workflow_name: weather_agent ×5
            step_id: agent#2 ×15, retrieve#1 ×10, tools#3 ×10, agent#4 ×9
            tool_name: weather_api ×5
            retrieval_batch: 4 ×5
            input_tokens: 3 ×5, 6 ×3
            output_tokens: 9 ×8
            tokens: 12 ×5, 15 ×3
            model: mock-chat-2026 ×8
            provider: mock ×8
            session_id: s-1 ×11, s-2 ×11, s-4 ×11, s-0 ×8, s-3 ×8
            error_type: TimeoutError ×6
            """
        ),
        (
            "langgraph-openllmetry",
            """
            operation: execute_task ×26, invoke_agent ×10, chat ×8, execute_tool ×5, vector_db_retrieve ×5
            workflow_name: weather_agent ×54
            step_id: agent#2 ×15, retrieve#1 ×10, tools#3 ×10, agent#4 ×9, weather_agent ×5
            tool_name: weather_api ×5
            cached_tokens: 2 ×8
            cache_hit: 1 ×8
            input_tokens: 3 ×5, 6 ×3
            output_tokens: 9 ×8
            tokens: 12 ×5, 15 ×3
            model: mock-chat-2026 ×8
            session_id: s-1 ×11, s-2 ×11, s-4 ×11, s-0 ×8, s-3 ×8
            error_type: TimeoutError ×8
            """
        ),
        (
            "langgraph-traceloop",
            """
            operation: execute_task ×26, invoke_agent ×10, chat ×8, execute_tool ×5, invoke_workflow ×5, vector_db_retrieve ×5
            workflow_name: weather_agent ×49, weather_workflow ×10
            step_id: agent#2 ×15, retrieve#1 ×10, tools#3 ×10, agent#4 ×9, weather_agent ×5, weather_workflow ×5
            tool_name: weather_api ×5
            cached_tokens: 2 ×8
            cache_hit: 1 ×8
            input_tokens: 3 ×5, 6 ×3
            output_tokens: 9 ×8
            tokens: 12 ×5, 15 ×3
            model: mock-chat-2026 ×8
            session_id: s-1 ×11, s-2 ×11, s-4 ×11, s-0 ×8, s-3 ×8
            error_type: TimeoutError ×10
            """
        ),
        (
            "openai-v2",
            """
            operation: chat ×26, embeddings ×5
            step_id: chat ×26, embeddings ×5
            input_tokens: 42 ×10, 100 ×5, 12 ×5
            output_tokens: 15 values, 9 different, sum 737
            tokens: 20 values, 10 different, sum 1717
            model: mock-small-2026-01-01 ×20, mock-embed ×5, mock-429 ×3, mock-hang ×3
            provider: openai ×31
            error_type: APITimeoutError ×3, RateLimitError ×3
            """
        ),
        (
            "openai-v2-content",
            """
            operation: chat ×10, embeddings ×2
            step_id: chat ×10, embeddings ×2
            input_tokens: 42 ×4, 100 ×2, 12 ×2
            output_tokens: 16 ×2, 21 ×2, 34 ×1, 86 ×1
            tokens: 12 ×2, 58 ×2, 63 ×2, 134 ×1, 186 ×1
            model: mock-small-2026-01-01 ×8, mock-embed ×2, mock-429 ×1, mock-hang ×1
            provider: openai ×12
            error_type: APITimeoutError ×1, RateLimitError ×1
            """
        ),
        (
            "openai-openinference",
            """
            operation: chat ×31, embeddings ×5
            cached_tokens: 0 ×16, 16 ×4
            cache_hit: 0 ×16, 1 ×4
            input_tokens: 42 ×10, 100 ×5, 12 ×5, 22 ×5
            output_tokens: 20 values, 13 different, sum 1056
            reasoning_tokens: 0 ×7, 2 ×5, 5 ×4, 1 ×2, 4 ×1, 6 ×1
            tokens: 25 values, 14 different, sum 2146
            model: mock-small-2026-01-01 ×25, mock-embed ×5
            provider: openai ×36
            error_type: openai.APITimeoutError ×3, openai.RateLimitError ×3
            """
        ),
        (
            "openai-openinference-content",
            """
            operation: chat ×12, embeddings ×2
            cached_tokens: 0 ×5, 16 ×3
            cache_hit: 0 ×5, 1 ×3
            input_tokens: 42 ×4, 100 ×2, 12 ×2, 22 ×2
            output_tokens: 16 ×2, 21 ×2, 34 ×1, 51 ×1, 86 ×1, 94 ×1
            reasoning_tokens: 2 ×3, 0 ×2, 5 ×2, 1 ×1
            tokens: 12 ×2, 58 ×2, 63 ×2, 116 ×1, 134 ×1, 186 ×1, 73 ×1
            model: mock-small-2026-01-01 ×10, mock-embed ×2
            provider: openai ×14
            error_type: openai.APITimeoutError ×1, openai.RateLimitError ×1
            """
        ),
        (
            "handmade",
            """
            workflow_name: support_triage ×129, nightly_report ×115, trip_planner ×109
            step_id: 03-tool-1 ×83, 03-tool-2 ×58, 01-plan ×40, 02-retrieve ×40, 04-llm ×38, 05-synthesize ×38, 03-tool-3 ×16
            tool_name: weather_api ×34, web_search ×26, crm_lookup ×22
            retrieval_batch: 8 ×20, 4 ×15, 16 ×3, 32 ×2
            cache_hit: 1 ×40, 0 ×38
            tokens: 38 values, 27 different, sum 35012
            queue_depth: 0 ×235, 1 ×34, 2 ×2
            breaker_state: closed ×62, open ×17, half_open ×3
            eval_id: 40 values, 40 different
            error_type: __main__.BreakerOpen ×26, TimeoutError ×15
            """
        ),
        (
            "handmade-gzip",
            """
            workflow_name: trip_planner ×46, nightly_report ×35, support_triage ×34
            step_id: 03-tool-1 ×26, 03-tool-2 ×21, 01-plan ×12, 02-retrieve ×12, 04-llm ×11, 05-synthesize ×11, 03-tool-3 ×10
            tool_name: weather_api ×12, crm_lookup ×11, web_search ×9
            retrieval_batch: 16 ×4, 32 ×4, 4 ×4
            cache_hit: 0 ×16, 1 ×7
            tokens: 11 values, 10 different, sum 14325
            queue_depth: 0 ×47, 1 ×24, 2 ×9, 3 ×3
            breaker_state: closed ×17, open ×14, half_open ×1
            eval_id: 12 values, 12 different
            error_type: __main__.BreakerOpen ×22, TimeoutError ×11, __main__.ToolHTTPError ×1
            """
        ),
        (
            "handmade-logical",
            """
            workflow_name: support_triage ×128, trip_planner ×115, nightly_report ×109
            step_id: 03-tool-1 ×83, 03-tool-2 ×59, 01-plan ×40, 02-retrieve ×40, 04-llm ×39, 05-synthesize ×39, 03-tool-3 ×12
            tool_name: crm_lookup ×28, web_search ×28, weather_api ×26
            retrieval_batch: 8 ×18, 4 ×13, 16 ×6, 32 ×3
            cache_hit: 1 ×45, 0 ×34
            tokens: 39 values, 24 different, sum 29150
            queue_depth: 0 ×159, 1 ×32, 4 ×21, 5 ×20, 3 ×18, 2 ×11, 6 ×9
            breaker_state: closed ×64, open ×12, half_open ×6
            eval_id: 40 values, 40 different
            error_type: __main__.BreakerOpen ×24, TimeoutError ×15, __main__.ToolHTTPError ×2
            """
        ),
    ]

    @Test(arguments: expected)
    func columnsOfACapture(name: String, expected: String) throws {
        #expect(try Self.summary(name) == expected)
    }

    @Test func statesOfBreakersAreFoundNowhereElseAndFirstTokensInStreams() throws {
        var streams: [String: Int] = [:]
        for (name, _) in Self.expected where !name.hasPrefix("handmade") {
            for request in try Captures.traces(name) {
                let batch = try TraceDecoder().decode(try request.inflated())
                for columns in ReadColumns.all(batch) {
                    #expect(columns["breaker_state"] == nil && columns["queue_depth"] == nil)
                    #expect(columns["breaker_rejected"] == nil)
                    if columns["first_token_seconds"] != nil { streams[name, default: 0] += 1 }
                }
            }
        }
        // Where streams have an event for it.
        #expect(streams == ["openai-openinference": 10, "openai-openinference-content": 4])
    }

    @Test func compressedAndRepeatedRequestsGiveTheSameColumns() throws {
        // The same agent with another seed: the keys that are filled are the same whatever the encoding.
        let columns = { (name: String) in
            Set(try Self.summary(name).split(separator: "\n").map { $0.prefix { $0 != ":" } })
        }
        let plain = try columns("handmade")
        for name in ["handmade-gzip", "handmade-deflate", "handmade-retries", "handmade-logical"] {
            #expect(try columns(name) == plain)
        }
    }

    private static func summary(_ name: String) throws -> String {
        var counts: [String: [String: Int]] = [:]
        for request in try Captures.traces(name) {
            for columns in ReadColumns.all(try TraceDecoder().decode(try request.inflated())) {
                for (column, value) in columns { counts[column, default: [:]][value, default: 0] += 1 }
            }
        }
        return Column.shownNames.compactMap { column in
            counts[column].map { "\(column): \(text($0))" }
        }.joined(separator: "\n")
    }

    private static func text(_ counts: [String: Int]) -> String {
        guard counts.count > 8 else {
            return counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) ×\($0.value)" }
                .joined(separator: ", ")
        }
        let values = counts.values.reduce(0, +)
        let numbers = counts.compactMap { entry in Int(entry.key).map { $0 * entry.value } }
        let sum = numbers.count == counts.count ? ", sum \(numbers.reduce(0, +))" : ""
        return "\(values) values, \(counts.count) different\(sum)"
    }
}
