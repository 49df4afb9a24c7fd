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
