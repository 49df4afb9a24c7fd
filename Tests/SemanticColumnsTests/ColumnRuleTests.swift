import SemanticColumns
import TelemetryModel
import Testing

/// Sources that are more than an attribute, conditions, and resources.
struct ColumnRuleTests {
    @Test func membersOfJSONTextAreRead() {
        let metadata = { (text: String) in ReadColumns.of(["metadata": .string(text)]) }
        #expect(metadata(#"{"session_id":"s","x":[1,{"session_id":"no"}]}"#)["session_id"] == "s")
        #expect(metadata(#"{"a":{"session_id":"inner"},"conversation_id":"c"}"#)["session_id"] == "c")
        #expect(metadata(#"{"thread_id":12}"#)["session_id"] == "12")
        #expect(metadata(#"{"session_id":null,"thread_id":"t"}"#)["session_id"] == "t")
        #expect(metadata(#"{"session_id":{"a":1}}"#)["session_id"] == nil)
        #expect(metadata("not JSON")["session_id"] == nil)
        #expect(ReadColumns.of(["metadata": ["session_id": "s"]])["session_id"] == nil)
        #expect(ReadColumns.of(["mlflow.chat.tokenUsage": #"{"input_tokens":5,"output_tokens":"6"}"#])["tokens"] == "11")
        #expect(ReadColumns.of(["mlflow.chat.tokenUsage": #"{"total_tokens":-5}"#])["tokens"] == nil)
    }

    @Test func usersAreReadByTheNamesOfTheField() {
        let keys = [
            "user_id", "user.id", "enduser.id", "enduser.pseudo.id", "langfuse.user.id", "traceloop.association.properties.user_id",
            "langsmith.metadata.user_id", "ai.telemetry.metadata.userId", "confident.trace.user_id",
        ]
        for key in keys {
            var list = AttributeList()
            list.append(key, "u-1")
            #expect(ReadColumns.of(list)["user_id"] == "u-1", "\(key)")
        }
        #expect(ReadColumns.of(["mlflow.trace.user": #""u-1""#])["user_id"] == "u-1")
        #expect(ReadColumns.of(["metadata": #"{"user_id":7}"#])["user_id"] == "7")
        #expect(ReadColumns.of(["user.id": "a", "enduser.id": "b"], resource: ["user.id": "c"])["user_id"] == "a")
        #expect(ReadColumns.of([:], resource: ["user.id": "c"])["user_id"] == "c")
        #expect(ReadColumns.of(["user.id": " ", "user.name": "x"])["user_id"] == nil)
    }

    @Test func reasoningIsAPartOfTheOutput() {
        #expect(ReadColumns.of(["gen_ai.usage.reasoning.output_tokens": 5])["reasoning_tokens"] == "5")
        #expect(ReadColumns.of(["gen_ai.usage.details.reasoning_tokens": 5])["reasoning_tokens"] == "5")
        #expect(ReadColumns.of(["llm.token_count.completion_details.reasoning": 5])["reasoning_tokens"] == "5")
        #expect(ReadColumns.of(["gen_ai.usage.reasoning.output_tokens": -5])["reasoning_tokens"] == nil)
        let details = { (json: String) in ReadColumns.of(["langfuse.observation.usage_details": .string(json)]) }
        let apart = details(#"{"input": 5, "output": 2, "output_reasoning": 7}"#)
        #expect(apart["output_tokens"] == "9" && apart["reasoning_tokens"] == "7" && apart["tokens"] == "14")
        let whole = details(#"{"prompt_tokens": 5, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 7}}"#)
        #expect(whole["output_tokens"] == "9" && whole["reasoning_tokens"] == "7")
    }

    @Test func nodesAndStepsOfAGraphAreJoined() {
        let node = "traceloop.association.properties.langgraph_node"
        let step = "traceloop.association.properties.langgraph_step"
        var both = AttributeList()
        both.append(step, 2)
        both.append(node, "agent")
        #expect(ReadColumns.of(both)["step_id"] == "agent#2")
        var nodeAlone = AttributeList()
        nodeAlone.append(node, "agent")
        #expect(ReadColumns.of(nodeAlone)["step_id"] == "agent")
        var stepAlone = AttributeList()
        stepAlone.append(step, 2)
        #expect(ReadColumns.of(stepAlone)["step_id"] == nil)
        #expect(ReadColumns.of(["metadata": #"{"langgraph_step": 3, "langgraph_node": "tools"}"#])["step_id"] == "tools#3")
        #expect(ReadColumns.of(["metadata": #"{"langgraph_node": "tools"}"#])["step_id"] == "tools")
    }

    @Test func pathsAreJoinedByADotUnlessEmpty() {
        #expect(ReadColumns.of(["traceloop.entity.path": "a.b", "traceloop.entity.name": "c"])["step_id"] == "a.b.c")
        #expect(ReadColumns.of(["traceloop.entity.path": "", "traceloop.entity.name": "c"])["step_id"] == "c")
        #expect(ReadColumns.of(["traceloop.entity.name": "c"])["step_id"] == "c")
        #expect(ReadColumns.of(["traceloop.entity.path": "a"])["step_id"] == nil)
    }

    @Test func prefixedAndMappedTextsAreMade() {
        #expect(ReadColumns.of(["haystack.agent.step": 4])["step_id"] == "step-4")
        #expect(ReadColumns.of(["openinference.span.kind": "RETRIEVER"])["operation"] == "retrieval")
        #expect(ReadColumns.of(["openinference.span.kind": "UNKNOWN"])["operation"] == nil)
        #expect(ReadColumns.of(["gen_ai.system": "az.ai.openai"])["provider"] == "azure.ai.openai")
        #expect(ReadColumns.of(["gen_ai.system": "openai"])["provider"] == "openai")
    }

    @Test func documentsAreCounted() {
        let numbered: AttributeList = ["retrieval.documents.0.document.id": "a", "retrieval.documents.11.document.id": "b"]
        #expect(ReadColumns.of(numbered)["retrieval_batch"] == "12")
        #expect(ReadColumns.of(["retrieval.documents.x.document.id": "a"])["retrieval_batch"] == nil)
        #expect(ReadColumns.of(["retrieval.documents.99999999999999999999.id": "a"])["retrieval_batch"] == nil)
        #expect(ReadColumns.of(["gen_ai.retrieval.documents": ["a", "b", "c"]])["retrieval_batch"] == "3")
        #expect(ReadColumns.of(["gen_ai.retrieval.documents": #"[{"id":1},{"id":2}]"#])["retrieval_batch"] == "2")
        #expect(ReadColumns.of(["gen_ai.retrieval.documents": []])["retrieval_batch"] == "0")
        // Rows that a database returned are a batch of retrieval only when the span says that it retrieves.
        #expect(ReadColumns.of(["db.response.returned_rows": 5])["retrieval_batch"] == nil)
        #expect(ReadColumns.of(["db.response.returned_rows": 5, "gen_ai.operation.name": "retrieval"])["retrieval_batch"] == "5")
        // Texts that are embedded are no retrieval, though they come in batches.
        #expect(ReadColumns.of(["embedding.embeddings.2.embedding.text": "t"])["retrieval_batch"] == nil)
    }

    @Test func partsOfSpanNamesAreReadOnlyInTheirScopes() {
        let llama = "llamaindex.opentelemetry.tracer"
        #expect(ReadColumns.of([:], scope: llama, name: "Research.run", isRoot: true)["workflow_name"] == "Research")
        #expect(ReadColumns.of([:], scope: llama, name: "Research.run")["workflow_name"] == nil)
        #expect(ReadColumns.of([:], scope: llama, name: "Research.ask.twice")["step_id"] == "ask.twice")
        #expect(ReadColumns.of([:], scope: llama, name: "Research.")["step_id"] == nil)
        #expect(ReadColumns.of([:], scope: "other", name: "Research.run", isRoot: true)["workflow_name"] == nil)
        #expect(ReadColumns.of([:], name: "invoke_workflow trip")["workflow_name"] == "trip")
        #expect(ReadColumns.of([:], name: "invoke_workflow ")["workflow_name"] == nil)
        #expect(ReadColumns.of([:], name: "trip.workflow")["workflow_name"] == "trip")
        #expect(ReadColumns.of([:], name: ".workflow")["workflow_name"] == nil)
        #expect(
            ReadColumns.of([:], scope: "openinference.instrumentation.langchain", name: "graph", isRoot: true)["workflow_name"]
                == "graph")
    }

    @Test func toolNamesComeOnlyFromToolSpans() {
        #expect(ReadColumns.of(["gen_ai.operation.name": "execute_tool"], name: "execute_tool search")["tool_name"] == "search")
        #expect(ReadColumns.of([:], name: "execute_tool search")["tool_name"] == nil)
        #expect(ReadColumns.of(["traceloop.entity.name": "t", "traceloop.span.kind": "tool"])["tool_name"] == "t")
        #expect(ReadColumns.of(["traceloop.entity.name": "t", "traceloop.span.kind": "task"])["tool_name"] == nil)
        #expect(
            ReadColumns.of(["haystack.component.name": "w", "haystack.component.type": "WeatherTool"])["tool_name"] == "w")
        #expect(ReadColumns.of(["haystack.component.name": "w", "haystack.component.type": "ToolBox"])["tool_name"] == nil)
        #expect(ReadColumns.of(["openinference.span.kind": "TOOL"], name: "whole name")["tool_name"] == "whole name")
    }

    @Test func agentsNameAWorkflowWhenTheyAreTheRootOrAreInvoked() {
        #expect(ReadColumns.of(["gen_ai.agent.name": "a"], isRoot: true)["workflow_name"] == "a")
        #expect(ReadColumns.of(["gen_ai.agent.name": "a"])["workflow_name"] == nil)
        #expect(ReadColumns.of(["gen_ai.agent.name": "a", "gen_ai.operation.name": "invoke_agent"])["workflow_name"] == "a")
        #expect(ReadColumns.of(["agent.name": "a", "openinference.span.kind": "AGENT"])["workflow_name"] == "a")
    }

    @Test func attributesOfEventsAreRead() {
        let end = { (attributes: AttributeList) in
            SpanDescription.Event("LLMChatEndEvent", timeUnixNano: 2_000_000_000, attributes: attributes)
        }
        let columns = ReadColumns.of(
            [:],
            events: [
                .init("LLMChatStartEvent", timeUnixNano: 1, attributes: ["model_dict.model_name": "m"]),
                end(["response.raw.usage.total_tokens": 5]), end(["response.raw.usage.total_tokens": 8]), end([:]),
                .init("RetrievalEndEvent", timeUnixNano: 2, attributes: ["nodes": "[1,2]"]),
            ])
        #expect(columns["tokens"] == "8" && columns["model"] == "m" && columns["operation"] == "chat")
        #expect(columns["retrieval_batch"] == "2")
    }

    @Test func firstTokenIsMeasuredFromTheStartOfTheSpan() {
        let event = { (time: Int64) in SpanDescription.Event("gen_ai.first_token", timeUnixNano: time) }
        #expect(ReadColumns.of([:], events: [event(1_250_000_000), event(9)])["first_token_seconds"] == "250000000")
        #expect(ReadColumns.of([:], events: [event(999_999_999)])["first_token_seconds"] == nil)
        #expect(ReadColumns.of(["ttft_s": 1.5], events: [event(1_250_000_000)])["first_token_seconds"] == "1500000000")
    }

    @Test func errorTypesFallBackStepByStep() {
        let exception = { (type: String) in
            SpanDescription.Event("exception", timeUnixNano: 2, attributes: ["exception.type": .string(type)])
        }
        #expect(ReadColumns.of(["error.type": "a"], events: [exception("b")])["error_type"] == "a")
        #expect(ReadColumns.of([:], events: [exception("first"), exception("last")])["error_type"] == "last")
        #expect(ReadColumns.of(["http.response.status_code": 503])["error_type"] == "503")
        #expect(ReadColumns.of(["http.response.status_code": 399])["error_type"] == nil)
        #expect(ReadColumns.of(["http.status_code": "404"])["error_type"] == "404")
        #expect(ReadColumns.of(["rpc.grpc.status_code": 4])["error_type"] == "4")
        #expect(ReadColumns.of(["rpc.grpc.status_code": 0])["error_type"] == nil)
        #expect(ReadColumns.of([:], status: .error(""))["error_type"] == "_OTHER")
        #expect(ReadColumns.of([:], status: .ok)["error_type"] == nil)
    }

    @Test func resourcesFillOnlyColumnsThatTheyMayAndOnlyWhenTheSpanDoesNot() {
        let resource: AttributeList = [
            "workflow_name": "of resource", "model": "of resource", "session.id": "of resource", "eval.id": "of resource",
            "tool_name": "of resource", "step_id": "of resource", "tokens": 5,
        ]
        let columns = ReadColumns.of(["gen_ai.request.model": "of span"], resource: resource)
        #expect(columns["workflow_name"] == "of resource" && columns["session_id"] == "of resource")
        #expect(columns["eval_id"] == "of resource" && columns["model"] == "of span")
        #expect(columns["tool_name"] == nil && columns["step_id"] == nil && columns["tokens"] == nil)
        // Blank is none, on either.
        #expect(ReadColumns.of(["workflow_name": " "], resource: resource)["workflow_name"] == "of resource")
        #expect(ReadColumns.of([:], resource: ["workflow_name": ""])["workflow_name"] == nil)
        #expect(ReadColumns.of([:], resource: ["workflow_name": "a", "workflow_name": "b"])["workflow_name"] == "b")
    }

    @Test func spansDoNotInheritFromTheSpanBefore() {
        var builder = SpanBatchBuilder()
        builder.beginResource(["workflow_name": "w"])
        for (id, attributes) in [(1, ["tool_name": "t", "metadata": #"{"eval_id":"e"}"#]), (2, [:])] as [(UInt64, AttributeList)]
        {
            var span = SpanDescription(traceID: TraceID(high: 1, low: 1), spanID: SpanID(id), name: "n")
            span.attributes = attributes
            builder.append(span)
        }
        builder.beginResource([:])
        builder.append(SpanDescription(traceID: TraceID(high: 1, low: 1), spanID: SpanID(3), name: "n"))
        #expect(
            ReadColumns.all(builder.batch) == [
                ["tool_name": "t", "eval_id": "e", "workflow_name": "w"], ["workflow_name": "w"], [:],
            ])
    }

    @Test func factsAreFilledToo() {
        let columns = ReadColumns.of([
            "url.full": "u", "http.request.method": "GET", "db.system.name": "d", "process.command": "c", "stage": "vector",
            "timeout": "true", "breaker.rejected": true, "breaker.id": 7, "retry.attempt": 2, "watchdog": 1,
        ])
        let expected = [
            "has_url": "1", "has_http_method": "1", "has_database": "1", "has_process": "1", "stage_attribute": "vector",
            "timeout_flag": "1", "breaker_rejected": "1", "breaker_id": "7", "retry_attempt": "2", "watchdog": "1",
        ]
        #expect(columns == expected)
    }
}

/// Rules that hold for what frameworks send in words of their own.
struct FrameworkRuleTests {
    @Test func operationsHaveOneNameEach() {
        let operation = { (attributes: AttributeList) in ReadColumns.of(attributes)["operation"] }
        for name in ["acompletion", "completion", "aresponses", "anthropic_messages", "chat.streaming_completions"] {
            #expect(operation(["gen_ai.operation.name": .string(name)]) == "chat", "\(name)")
        }
        #expect(operation(["gen_ai.operation.name": "aembedding"]) == "embeddings")
        #expect(operation(["gen_ai.operation.name": "something.else"]) == "something.else")
        #expect(operation(["langsmith.span.kind": "prompt", "gen_ai.operation.name": "chat"]) == "prompt")
        #expect(operation(["langfuse.observation.type": "generation"]) == "chat")
        #expect(operation(["mlflow.spanType": "\"CHAT_MODEL\""]) == "chat")
        #expect(operation(["mlflow.spanType": "TOOL"]) == "execute_tool")
        #expect(operation(["ai.operationId": "ai.toolCall"]) == "execute_tool")
        #expect(operation(["span.type": "llm_request"]) == "chat")
        #expect(operation(["llm.request.type": "chat"]) == "chat")
        #expect(operation(["logfire.msg_template": "Function: {name}", "name": "t"]) == "execute_tool")
    }

    @Test func theUnknownIsAModelCallWhenItHasTokensAndAModelOrFailedToAskOne() {
        let usage: AttributeList = ["model": "m", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 1]
        let with = { (key: String) in
            var attributes = usage
            attributes.append(key, "x")
            return ReadColumns.of(attributes)["operation"]
        }
        #expect(ReadColumns.of(usage)["operation"] == "chat")
        #expect(with("tool_name") == nil && with("gen_ai.agent.name") == nil && with("agent.name") == nil)
        #expect(ReadColumns.of(["gen_ai.usage.input_tokens": 5])["operation"] == nil)
        #expect(ReadColumns.of(["model": "m"])["operation"] == nil)
        #expect(ReadColumns.of(["gen_ai.request.model": "m"])["operation"] == nil)
        #expect(ReadColumns.of(["gen_ai.request.model": "m"], status: .error(""))["operation"] == "chat")
        #expect(ReadColumns.of(["gen_ai.request.model": "m", "tool.name": "t"], status: .error(""))["operation"] == nil)
    }

    @Test func aToolIsNamedOnlyByWhatCallsIt() {
        let tool = { (attributes: AttributeList, scope: String, name: String) in
            ReadColumns.of(attributes, scope: scope, name: name)["tool_name"]
        }
        #expect(tool(["gen_ai.operation.name": "chat", "gen_ai.tool.name": "t"], "", "chat") == nil)
        #expect(tool(["gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"], "", "") == "t")
        #expect(tool(["gen_ai.tool.name": "t"], "", "") == "t")
        #expect(
            tool(["gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "(merged tools)"], "", "execute_tool (merged)")
                == nil)
        #expect(tool(["openinference.span.kind": "TOOL"], "", "get_weather.__call__") == "get_weather")
        #expect(tool(["openinference.span.kind": "TOOL"], "openinference.instrumentation.openai_agents", "handoff to b") == nil)
        #expect(tool(["mlflow.spanType": "\"TOOL\"", "mlflow.spanFunctionName": "\"t\""], "", "t_1") == "t")
        #expect(tool(["langfuse.observation.type": "tool"], "", "t") == "t")
    }

    @Test func stepsAreNodesAndIdsOfCallsAreOnlyShown() {
        let step = { (attributes: AttributeList) in ReadColumns.of(attributes)["step_id"] }
        #expect(step(["graph.node.id": "5f3a", "graph.node.name": "plan"]) == "plan")
        #expect(step(["executor.id": "writer"]) == "writer")
        #expect(step(["langsmith.metadata.langgraph_node": "n", "langsmith.metadata.langgraph_step": 2]) == "n#2")
        #expect(step(["gen_ai.tool.call.id": "call_1", "executor.id": "writer"]) == "writer")
        #expect(step(["gen_ai.tool.call.id": "call_1"]) == "call_1")
        #expect(step(["gen_ai.tool.call.id": "<not specified>"]) == nil)
        #expect(step(["gen_ai.tool.call.id": "call_1", "gen_ai.operation.name": "chat"]) == nil)
    }

    @Test func workflowsAreNamedByTheirRoots() {
        let workflow = { (attributes: AttributeList, name: String) in
            ReadColumns.of(attributes, name: name, isRoot: true)["workflow_name"]
        }
        #expect(workflow(["openinference.span.kind": "CHAIN"], "weather_crew.kickoff") == "weather_crew")
        #expect(workflow(["openinference.span.kind": "CHAIN"], "ReAct.forward") == "ReAct")
        #expect(workflow(["openinference.span.kind": "AGENT"], "researcher.run") == "researcher")
        #expect(workflow(["openinference.span.kind": "AGENT"], "weather workflow") == "weather workflow")
        #expect(workflow(["gen_ai.operation.name": "invoke_graph"], "invoke_graph") == "invoke_graph")
        #expect(workflow(["gen_ai.operation.name": "create_agent", "gen_ai.agent.name": "a"], "create_agent a") == nil)
        #expect(workflow(["gen_ai.operation.name": "chat"], "chat m") == nil)
        #expect(ReadColumns.of(["openinference.span.kind": "CHAIN"], name: "Step 1")["workflow_name"] == nil)
    }

    @Test func inputIsWithTheCacheHoweverTheClientTellsIt() {
        let claude = ReadColumns.of([
            "span.type": "llm_request", "input_tokens": 2, "cache_read_tokens": 80, "cache_creation_tokens": 7,
            "output_tokens": 5,
        ])
        #expect(claude["input_tokens"] == "89" && claude["cached_tokens"] == "80" && claude["cache_write_tokens"] == "7")
        #expect(claude["tokens"] == "94" && claude["cache_hit"] == "1")
        #expect(ReadColumns.of(["input_tokens": 2, "cache_read_tokens": 80])["input_tokens"] == "2")
        let details = { (json: String) in ReadColumns.of(["langfuse.observation.usage_details": .string(json)]) }
        let openAI = details(#"{"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}"#)
        #expect(openAI["input_tokens"] == "9" && openAI["cached_tokens"] == "4" && openAI["output_tokens"] == "2")
        let apart = details(#"{"input": 5, "output": 2, "input_cache_read": 4, "input_cache_creation": 1}"#)
        #expect(apart["input_tokens"] == "10" && apart["cached_tokens"] == "4" && apart["cache_write_tokens"] == "1")
        #expect(details(#"{"input_cache_read": 4}"#)["input_tokens"] == nil)
        let huge = #"{"input": 9223372036854775807, "input_cache_read": 9223372036854775807}"#
        #expect(details(huge)["input_tokens"] == nil)
    }

    @Test func modelsAndProvidersAreThoseOfTheModel() {
        let model = { (attributes: AttributeList) in ReadColumns.of(attributes)["model"] }
        #expect(model(["mlflow.spanType": "\"LLM\"", "model": "\"m\""]) == "m")
        #expect(model(["model": "\"m\"", "gen_ai.response.model": "r"]) == "r")
        #expect(model(["mlflow.llm.model": #""a\"b""#]) == "a\"b")
        #expect(model(["mlflow.llm.model": "null", "model": "m"]) == "m")
        let provider = { (attributes: AttributeList) in ReadColumns.of(attributes)["provider"] }
        #expect(provider(["gen_ai.system": "langchain"]) == nil)
        #expect(provider(["gen_ai.system": "langchain", "langsmith.metadata.ls_provider": "openai"]) == "openai")
        #expect(provider(["gen_ai.provider.name": "OpenAI"]) == "openai")
        #expect(provider(["gen_ai.provider.name": "strands-agents", "gen_ai.system": "aws.bedrock"]) == "aws.bedrock")
    }

    @Test func firstTokensComeInSecondsMillisecondsAndTimes() {
        let first = { (attributes: AttributeList, scope: String) in
            ReadColumns.of(attributes, scope: scope)["first_token_seconds"]
        }
        #expect(first(["gen_ai.client.operation.time_to_first_chunk": 0.5], "") == "500000000")
        #expect(first(["gen_ai.server.time_to_first_token": 0.5], "openlit") == "500000000")
        #expect(first(["gen_ai.server.time_to_first_token": 500], "strands.telemetry.tracer") == "500000000")
        #expect(first(["ai.response.msToFirstChunk": 120.5], "") == "120500000")
        #expect(first(["ttft_ms": 400], "") == "400000000")
        #expect(first(["langfuse.observation.completion_start_time": "\"1970-01-01T00:00:01.25Z\""], "") == "250000000")
        #expect(first(["langfuse.observation.completion_start_time": "\"1970-01-01T00:00:00Z\""], "") == nil)
        #expect(first(["ttft_ms": -1], "") == nil && first(["ttft_ms": "soon"], "") == nil)
    }

    @Test func documentsAreCountedInWhatARetrievalGave() {
        let batch = { (attributes: AttributeList) in ReadColumns.of(attributes)["retrieval_batch"] }
        #expect(batch(["langfuse.observation.type": "retriever", "langfuse.observation.output": "[1, 2, 3]"]) == "3")
        #expect(batch(["langfuse.observation.type": "tool", "langfuse.observation.output": "[1, 2, 3]"]) == nil)
        #expect(batch(["mlflow.spanType": "\"RETRIEVER\"", "mlflow.spanOutputs": "[{}, {}]"]) == "2")
        #expect(batch(["langsmith.span.kind": "retriever", "gen_ai.completion": #"{"documents": [{}]}"#]) == "1")
    }

    @Test func answersHaveIdsAndMCPTimeoutsATypeAndLangSmithFailsByExceptions() {
        let chat: AttributeList = ["openinference.span.kind": "LLM", "output.value": #"{"id": "msg_1", "content": []}"#]
        #expect(ReadColumns.of(chat)["response_id"] == "msg_1")
        var late = "{\"text\": \"" + String(repeating: "x", count: 600)
        late += "\", \"id\": \"msg_1\"}"
        #expect(ReadColumns.of(["openinference.span.kind": "LLM", "output.value": .string(late)])["response_id"] == nil)
        #expect(
            ReadColumns.of(["error.type": "-32001", "mcp.method.name": "tools/call"])["raw_error_type"] == "mcp_request_timeout")
        #expect(ReadColumns.of(["error.type": "-32001", "mcp.method.name": "tools/call"])["error_type"] == "-32001")
        #expect(ReadColumns.of(["error.type": "-32001"])["raw_error_type"] == "-32001")
        let exception = SpanDescription.Event("exception", timeUnixNano: 2)
        #expect(ReadColumns.of([:], scope: "langsmith", events: [exception])["exception_fails"] == "1")
        #expect(ReadColumns.of([:], scope: "other", events: [exception])["exception_fails"] == nil)
    }
}
