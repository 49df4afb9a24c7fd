#!/usr/bin/env python3
"""Writes Tests/Fixtures/evals with the record classes of the packages themselves, about spans of Tests/Fixtures/otlp/handmade.

    pip install arize-phoenix-client==3.5.0 langfuse==5.0.4 mlflow-skinny==3.17.2 langsmith==0.15.0 deepeval
    scripts/make-eval-fixtures.py

A package that is not installed is left out.
"""

import datetime
import json
import pathlib
import uuid

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Tests/Fixtures/evals"
ROOTS = [
    ("ev-22-0000", "bfbbe32a0fe74d1d5427d70cd1e61a51", "b3fd36c4dcc4d57a"),
    ("ev-22-0001", "5727dbfba462369bb40c045b3bc97dbd", "4a5944ed5cfc0fbf"),
    ("ev-22-0002", "6e776e85d409385a302bacbbf7af5c7f", "bc1d9609c16316b5"),
]
TIME = datetime.datetime(2026, 11, 21, 6, 0, tzinfo=datetime.timezone.utc)


def phoenix():
    from phoenix.client.__generated__ import v1

    rows = [
        v1.SpanAnnotation(
            id=f"U3BhbkFubm90YXRpb246{number}", name="correctness", annotator_kind="LLM", span_id=span, identifier="gpt-4o",
            result=v1.AnnotationResult(label="correct" if number else "incorrect", score=float(number > 0), explanation="compared"),
            metadata={"dataset": "triage"}, created_at=TIME.isoformat(), updated_at=TIME.isoformat(), source="API", user_id=None)
        for number, (_, _, span) in enumerate(ROOTS)
    ]
    return "phoenix.json", json.dumps(v1.SpanAnnotationsResponseBody(data=rows, next_cursor=None))


def langfuse():
    from langfuse.api.commons.types import score

    common = dict(timestamp=TIME, created_at=TIME, updated_at=TIME, environment="default")
    (_, trace, span), (_, second, _), (_, third, _) = ROOTS
    rows = [
        score.Score_Numeric(id="s-1", trace_id=trace, observation_id=span, name="helpfulness", value=0.75, source="API", comment="fine", **common),
        score.Score_Categorical(id="s-2", trace_id=second, name="tone", value=1, string_value="polite", source="ANNOTATION", **common),
        score.Score_Boolean(id="s-3", trace_id=third, name="resolved", value=1, string_value="True", source="EVAL", **common),
    ]
    page = {"data": [json.loads(row.model_dump_json(by_alias=True)) for row in rows], "meta": {"page": 1, "limit": 50, "totalItems": 3}}
    return "langfuse.json", json.dumps(page)


def mlflow():
    from mlflow.entities import AssessmentError, AssessmentSource, Feedback

    traces = []
    for number, (_, trace, span) in enumerate(ROOTS):
        feedback = [
            Feedback(
                name="relevance", value=0.5 + number / 10, rationale="on topic", trace_id=f"tr-{trace}",
                source=AssessmentSource(source_type="LLM_JUDGE", source_id="openai:/gpt-4o")),
            Feedback(name="safe", value=True, trace_id=f"tr-{trace}", span_id=span, source=AssessmentSource(source_type="HUMAN", source_id="ada")),
            Feedback(name="broken", trace_id=f"tr-{trace}", error=AssessmentError(error_code="RATE_LIMIT", error_message="too many")),
        ]
        for index, assessment in enumerate(feedback):
            assessment.assessment_id = f"a-{number}-{index}"
        traces.append({"info": {"trace_id": f"tr-{trace}", "assessments": [assessment.to_dictionary() for assessment in feedback]}, "data": {"spans": []}})
    return "mlflow.json", json.dumps(traces)


def langsmith():
    from langsmith.schemas import Feedback

    lines = []
    for number, (_, trace, span) in enumerate(ROOTS):
        feedback = Feedback(
            id=uuid.UUID(int=number + 1), created_at=TIME, modified_at=TIME, run_id=uuid.UUID(hex=span + "8000000000000001"),
            trace_id=uuid.UUID(hex=trace), key="correctness", score=number / 2, comment="compared", session_id=uuid.UUID(int=77))
        lines.append(feedback.model_dump_json() if hasattr(feedback, "model_dump_json") else feedback.json())
    return "langsmith.jsonl", "\n".join(lines) + "\n"


def deepeval():
    from deepeval.test_run.api import LLMApiTestCase
    from deepeval.tracing.api import MetricData

    cases = []
    for number, (example, _, _) in enumerate(ROOTS):
        metrics = [MetricData(name="Answer Relevancy", threshold=0.5, success=number > 0, score=number / 2, reason="compared", evaluationModel="gpt-4o")]
        case = LLMApiTestCase(name=example, input="question", actualOutput="answer", success=number > 0, metricsData=metrics, runDuration=1.0, evaluationCost=0.0)
        cases.append(json.loads(case.model_dump_json(by_alias=True, exclude_none=True)))
    return "deepeval.json", json.dumps({"testCases": cases})


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for make in [phoenix, langfuse, mlflow, langsmith, deepeval]:
        try:
            name, text = make()
        except ImportError as error:
            print(f"left out: {make.__name__}: {error}")
            continue
        (FOLDER / name).write_text(text)
        print(name)


main()
