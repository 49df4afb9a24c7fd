#!/usr/bin/env python3
"""Writes dashboards/fusebox.json, the Grafana dashboard, from the panels below.

    scripts/make-dashboard.py            writes it
    scripts/make-dashboard.py --check    exit 1 when the file is not what would be written
"""

import json
import pathlib
import sys
import urllib.parse

PATH = pathlib.Path(__file__).resolve().parent.parent / "dashboards/fusebox.json"
SERVICE = 'service_name=~"$service"'
TOOL = SERVICE + ',tool=~"$tool"'
RATE = "[$__rate_interval]"



def delta(metric, matchers, window):
    """By how much counters rose, births included, without a recording rule: right only because these never fall (deploy/prometheus)."""
    own = f"{metric}{{{matchers}}}"
    birth = f"{own} * 0 and count_over_time({own}[{window}]) < on (job, instance) group_left () sum_over_time(up[{window}])"
    return f"sum(clamp_min({own} - ({own} offset {window} or ({birth})), 0) or increase({own}[{window}]))"


def known(query, witness):
    """The query; 0 where only its witness is there, which says that there was something to count; nothing where nothing is known."""
    return f"{query} or sum({witness}) * 0"


HOUR = "1h"
CALLS = f"agent_tool_calls_total{{{SERVICE}}}"
BREAKERS = f"agent_breaker_instances{{{SERVICE}}}"

# Rows of panels: (type, title, what it tells, unit, queries with their legends).
ROWS = {
    "Overview": [
        ("stat", "Timeouts, last hour", "Attempts that timed out. Empty when no tool was ever called.", "short", [(known(delta("agent_tool_timeouts_total", SERVICE, HOUR), CALLS), "")]),
        ("stat", "Breaker opens, last hour", "Reported by agents. Empty when none reports a breaker.", "short", [(known(delta("agent_breaker_opens_total", SERVICE, HOUR), BREAKERS), "")]),
        ("stat", "Cooldown minutes, last hour", "Reported by agents. Empty when none reports a breaker.", "short", [(known(delta("agent_breaker_cooldown_seconds_total", SERVICE, HOUR) + " / 60", BREAKERS), "")]),
        ("stat", "Workflow p95 / gate", "Above 1, the gate is missed. Empty without a gate, or without runs in 15 minutes.", "percentunit", [(f"max(histogram_quantile(0.95, sum by (service_name, workflow, le) (rate(agent_workflow_duration_seconds_bucket{{{SERVICE}}}[15m])))) / max(agent_gate_p95_limit_seconds)", "")]),
        ("stat", "Oldest open breaker", "How long it has been open. Empty when none is.", "s", [(f"max(agent_breaker_open_age_seconds{{{SERVICE}}})", "")]),
        ("stat", "Spans stored", "In the store now.", "short", [("sum(fusebox_stored_spans)", "")]),
    ],
    "Tools": [
        ("timeseries", "Calls by tool and outcome", "", "reqps", [(f"sum by (tool, outcome) (agent:tool_calls:rate5m{{{TOOL}}})", "{{tool}} {{outcome}}")]),
        ("timeseries", "Timeouts by tool", "", "reqps", [(f'sum by (tool) (rate(agent_tool_calls_total{{outcome="timeout",{TOOL}}}{RATE}))', "{{tool}}")]),
        ("bargauge", "Timeouts by reason", "Over the time shown.", "short", [(f"sum by (tool, reason, phase) (increase(agent_tool_timeouts_total{{{TOOL}}}[$__range]))", "{{tool}} {{reason}} {{phase}}")]),
        ("timeseries", "Timeout ratio", "Of the attempts that were let through.", "percentunit", [(f"agent:tool_timeout_ratio:rate5m{{{TOOL}}}", "{{tool}}")]),
        ("timeseries", "p95 against the fuse", "The dashed line is the fuse of the stage.", "s", [(f"agent:tool_call_duration_seconds:p95_5m{{{TOOL}}}", "{{tool}}"), ("agent_fuse_limit_seconds", "fuse {{stage}}")]),
        ("timeseries", "Fuse overruns", "Finished past the fuse without timing out: the client does not enforce it.", "short", [(f"sum by (tool) (increase(agent_fuse_overruns_total{{{TOOL}}}{RATE}))", "{{tool}}")]),
        ("timeseries", "Silent retries", "Retried without saying so.", "short", [(f"sum by (tool) (increase(agent_silent_retries_total{{{TOOL}}}{RATE}))", "{{tool}}")]),
        ("heatmap", "Duration", "Exemplars lead to the trace.", "s", [(f"sum by (le) (rate(agent_tool_call_duration_seconds_bucket{{{TOOL}}}{RATE}))", "{{le}}")]),
    ],
    "Breakers": [
        ("state-timeline", "Open instances by tool", "0 is closed.", "short", [(f'max by (tool) (agent_breaker_instances{{state="open",{TOOL}}})', "{{tool}}")]),
        ("timeseries", "Opens: reported and derived", "In the last hour.", "short", [(f"sum by (tool, source) (agent:breaker_opens:delta1h{{{TOOL}}})", "{{tool}} {{source}}")]),
        ("timeseries", "Cooldown minutes: reported and derived", "In the last hour.", "short", [(f"sum by (tool, source) (agent:breaker_cooldown_minutes:delta1h{{{TOOL}}})", "{{tool}} {{source}}")]),
        ("timeseries", "Rejections while open", "", "reqps", [(f"sum by (tool) (rate(agent_breaker_rejections_total{{{TOOL}}}{RATE}))", "{{tool}}")]),
    ],
    "Models": [
        ("timeseries", "Time to first token, p95", "", "s", [(f"agent:llm_time_to_first_token_seconds:p95_5m{{{SERVICE}}}", "{{model}}")]),
        ("timeseries", "Prefill over budget", "Infrastructure, not prompts.", "short", [(f"sum by (model) (increase(agent_llm_prefill_breaches_total{{{SERVICE}}}{RATE}))", "{{model}}")]),
        ("timeseries", "Tokens per second by type", "Each token counted once.", "short", [(f"sum by (model, type) (agent:tokens:rate5m{{{SERVICE}}})", "{{model}} {{type}}")]),
    ],
    "Retrieval": [
        ("timeseries", "Cache hit ratio", "", "percentunit", [(f"agent:cache_hit_ratio:rate15m{{{SERVICE}}}", "{{tool}}")]),
        ("timeseries", "Batch size", "", "short", [(f"histogram_quantile(0.95, sum by (le) (rate(agent_retrieval_batch_size_bucket{{{SERVICE}}}{RATE})))", "p95"), (f"histogram_quantile(0.5, sum by (le) (rate(agent_retrieval_batch_size_bucket{{{SERVICE}}}{RATE})))", "p50")]),
        ("timeseries", "Vector tools past their gate", "", "short", [(f'agent_breaker_derived_instances{{stage="vector",state="half_open",{SERVICE}}}', "{{tool}}")]),
    ],
    "Workflows": [
        ("timeseries", "p95 end to end and gate", "", "s", [(f"agent:workflow_duration_seconds:p95_15m{{{SERVICE}}}", "{{workflow}}"), ("max(agent_gate_p95_limit_seconds)", "gate")]),
        ("timeseries", "Runs by outcome", "", "reqps", [(f"sum by (workflow, outcome) (rate(agent_workflow_runs_total{{{SERVICE}}}{RATE}))", "{{workflow}} {{outcome}}")]),
        ("timeseries", "Queue depth", "The newest value of each service.", "short", [(f"max by (service_name) (agent_queue_depth{{{SERVICE}}})", "{{service_name}}")]),
    ],
    "Money": [
        ("timeseries", "Dollars an hour by model", "Tokens at their prices; a model without a price is not in it.", "currencyUSD", [(f"sum by (model) (rate(agent_api_cost_dollars_total{{{SERVICE}}}{RATE})) * 3600", "{{model}}")]),
        ("timeseries", "Tokens without a price", "What dollars leave out: prices go into prices.yaml.", "short", [(f"sum by (model) (increase(agent_unpriced_tokens_total{RATE}))", "{{model}}")]),
        ("timeseries", "Rent an hour", "Of hosts, as configured.", "currencyUSD", [("agent_rent_rate_dollars_per_hour", "{{host}}")]),
    ],
    "Loops and evals": [
        ("timeseries", "Stalls by kind", "Gaps, repeats, cycles, blocked event loops.", "short", [(f"sum by (workflow, kind) (increase(agent_loop_stalls_total{{{SERVICE}}}{RATE}))", "{{workflow}} {{kind}}")]),
        ("timeseries", "Eval scores", "The mean of the examples seen lately.", "short", [("avg by (metric) (agent_eval_score)", "{{metric}}")]),
        ("timeseries", "Eval calls by outcome", "", "short", [(f"sum by (outcome) (increase(agent_eval_calls_total{{{SERVICE}}}{RATE}))", "{{outcome}}")]),
    ],
    "Loop contract (where agents declare limits)": [
        ("timeseries", "Workflows at once", "In one process of a service, and on a host. The dashed line is the limit of the configuration.", "short", [(f"max by (service_name) (agent_workflow_concurrency{{{SERVICE}}})", "{{service_name}}"), ("max by (host) (agent_host_workflow_concurrency)", "host {{host}}"), ("max(agent_workflow_concurrency_limit)", "limit")]),
        ("timeseries", "Past the limits", "Runs, retrievals and embedding calls above what is allowed.", "short", [(f"sum by (service_name, scope) (increase(agent_workflow_concurrency_breaches_total{{{SERVICE}}}{RATE}))", "{{service_name}} workflows, {{scope}}"), (f"sum by (service_name) (increase(agent_retrieval_batch_breaches_total{{{SERVICE}}}{RATE}))", "{{service_name}} retrievals"), (f"sum by (service_name) (increase(agent_embed_batch_breaches_total{{{SERVICE}}}{RATE}))", "{{service_name}} embeddings")]),
        ("timeseries", "Memory left at the peak", "Of a host's memory. Fifteen percent is usual.", "percentunit", [("min by (host) (agent_host_memory_headroom_ratio)", "{{host}}")]),
        ("timeseries", "Embeddings beside model calls", "Seconds a second in which both ran on a host.", "percentunit", [(f"sum by (host) (rate(agent_embedding_overlap_seconds_total{RATE}))", "{{host}}")]),
    ],
    "Store": [
        ("timeseries", "Spans", "Received ones that were not accepted are in the other lines.", "short", [(f"sum(rate(fusebox_spans_accepted_total{RATE}))", "accepted"), (f"sum(rate(fusebox_spans_rejected_total{RATE}))", "rejected"), (f"sum(rate(fusebox_spans_dropped_total{RATE}))", "dropped"), (f"sum(rate(fusebox_spans_duplicate_total{RATE}))", "sent again")]),
        ("timeseries", "Log records", "", "short", [(f"sum(rate(fusebox_log_records_accepted_total{RATE}))", "accepted"), (f"sum(rate(fusebox_log_records_rejected_total{RATE}))", "rejected"), (f"sum(rate(fusebox_log_records_dropped_total{RATE}))", "dropped")]),
        ("timeseries", "Refused for", "1 while spans are refused.", "short", [("max by (reason) (fusebox_refusing_spans)", "{{reason}}")]),
        ("timeseries", "Queue fill", "", "percentunit", [("fusebox_queue_spans / fusebox_queue_capacity_spans", "{{instance}}")]),
        ("timeseries", "Commit p95", "", "s", [("fusebox:commit_duration_seconds:p95_5m", "{{instance}}")]),
        ("timeseries", "Files", "", "bytes", [("fusebox_db_size_bytes", "data"), ("fusebox_wal_size_bytes", "write-ahead log"), ("fusebox_disk_free_bytes", "disk free")]),
        ("timeseries", "Memory and processor", "", "short", [('process_resident_memory_bytes{job="fusebox"}', "resident bytes"), (f'rate(process_cpu_seconds_total{{job="fusebox"}}{RATE})', "cores")]),
        ("timeseries", "Overflow, late, clocks", "Labels past their caps, breaker events past the settle time, clients' clocks.", "short", [(f"sum by (label) (increase(fusebox_label_overflow_total{RATE}))", "label {{label}}"), (f"sum by (reason) (increase(agent_breaker_events_discarded_total{RATE}))", "event {{reason}}"), (f"sum by (kind) (increase(fusebox_clock_anomalies_total{RATE}))", "clock {{kind}}")]),
    ],
    "Forwarding (where targets are configured)": [
        ("timeseries", "Behind", "Spans and log records that a target was not given yet.", "short", [("max by (instance, target, signal) (fusebox_forward_lag_spans)", "{{instance}} {{target}} {{signal}}")]),
        ("timeseries", "Age of the oldest", "", "s", [("max by (instance, target, signal) (fusebox_forward_lag_seconds)", "{{instance}} {{target}} {{signal}}")]),
        ("timeseries", "What became of them", "Sent, refused by the target, or gone before it was given them.", "short", [(f"sum by (target, result) (rate(fusebox_forward_spans_total{RATE}))", "{{target}} {{result}}")]),
        ("timeseries", "Answers", "By HTTP's code; 0 without an answer.", "reqps", [(f"sum by (target, code) (rate(fusebox_forward_requests_total{RATE}))", "{{target}} {{code}}")]),
    ],
    "Gateway (where one is configured)": [
        ("timeseries", "Calls and who waits", "Calls upstream by backend, and lines by model.", "short", [("sum by (backend) (fusebox_gateway_inflight_requests)", "{{backend}} runs"), ("sum by (model) (fusebox_gateway_queue_depth)", "{{model}} waits")]),
        ("timeseries", "First token, p95", "From the slot on.", "s", [(f"histogram_quantile(0.95, sum by (model, le) (rate(fusebox_gateway_first_token_seconds_bucket{RATE})))", "{{model}}")]),
        ("timeseries", "Requests by outcome", "", "reqps", [(f"sum by (model, outcome) (rate(fusebox_gateway_requests_total{RATE}))", "{{model}} {{outcome}}")]),
        ("timeseries", "Refusals by reason", "Answered by the gateway itself.", "reqps", [(f"sum by (model, reason) (rate(fusebox_gateway_rejections_total{RATE}))", "{{model}} {{reason}}")]),
        ("timeseries", "What saturates", "1 while it does.", "short", [("max by (model, cause) (fusebox_gateway_saturated)", "{{model}} {{cause}}")]),
        ("timeseries", "Ends of processes", "Those that were asked for included.", "short", [(f"sum by (backend, reason) (increase(fusebox_gateway_backend_ends_total{RATE}))", "{{backend}} {{reason}}")]),
        ("timeseries", "Memory of processes", "", "bytes", [("sum by (backend) (fusebox_gateway_process_resident_bytes)", "{{backend}}")]),
        ("timeseries", "GPU use", "As the driver tells it.", "percentunit", [("max by (gpu) (fusebox_gateway_gpu_utilization_ratio)", "{{gpu}}")]),
        ("timeseries", "GPU memory", "Taken in all, and by the processes that the gateway started.", "bytes", [("max by (gpu) (fusebox_gateway_gpu_memory_used_bytes)", "{{gpu}}"), ("max by (gpu) (fusebox_gateway_gpu_memory_bytes)", "{{gpu}} has"), ("sum by (backend) (fusebox_gateway_process_gpu_memory_bytes)", "{{backend}}")]),
        ("state-timeline", "Open breakers", "0 is closed.", "short", [('max by (backend) (fusebox_gateway_breaker_state{state="open"})', "{{backend}}")]),
    ],
    "GPU and model server (optional)": [
        ("timeseries", "GPU use (DCGM)", "From NVIDIA's DCGM exporter.", "percent", [("avg by (gpu) (DCGM_FI_DEV_GPU_UTIL)", "GPU {{gpu}}")]),
        ("timeseries", "llama.cpp requests", "From its /metrics.", "short", [("llamacpp:requests_processing", "in work"), ("llamacpp:requests_deferred", "deferred")]),
    ],
}
WIDTHS = {"stat": (4, 4), "timeseries": (8, 8), "bargauge": (8, 8), "heatmap": (8, 8), "state-timeline": (24, 6)}


def traces_link(query):
    """A link from a panel into Explore, with the traces of what is pointed at. Grafana fills in what stands in ${…}."""
    pane = {"datasource": "${traces}", "range": {"from": "${__from}", "to": "${__to}"}, "queries": [
        {"refId": "A", "datasource": {"type": "tempo", "uid": "${traces}"}, "queryType": "traceql", "query": query}]}
    panes = urllib.parse.quote(json.dumps({"traces": pane}), safe="${}:_.")
    return [{"title": "Traces", "url": f"/explore?schemaVersion=1&panes={panes}", "targetBlank": True}]


LINKS = {
    "{{tool}}": '{ span.tool_name = "${__field.labels.tool}" || span.gen_ai.tool.name = "${__field.labels.tool}" }',
    "{{model}}": '{ span.gen_ai.request.model = "${__field.labels.model}" || span.gen_ai.response.model = "${__field.labels.model}" }',
}


def links(queries):
    return next((traces_link(LINKS[key]) for key in LINKS for _, legend in queries if key in legend), [])


def panel(identity, kind, title, text, unit, queries, x, y):
    width, height = WIDTHS[kind]
    defaults = {"unit": unit, "min": 0, "noValue": "no data"}
    if links(queries):
        defaults["links"] = links(queries)
    if kind == "stat" and unit == "percentunit":
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"color": "green", "value": None}, {"color": "red", "value": 1}]}
    options = {"timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}}.get(kind, {})
    return {
        "id": identity, "type": kind, "title": title, "description": text, "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": x, "y": y, "w": width, "h": height}, "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
        "targets": [
            {"refId": chr(65 + index), "expr": expression, "legendFormat": legend, "exemplar": kind == "heatmap",
             "format": "heatmap" if kind == "heatmap" else "time_series"}
            for index, (expression, legend) in enumerate(queries)],
    }


def variable(name, label, query):
    return {"name": name, "label": label, "type": "query", "datasource": {"type": "prometheus", "uid": "${datasource}"}, "query": query,
            "refresh": 2, "multi": True, "includeAll": True, "current": {"text": ["All"], "value": ["$__all"]}}


def dashboard():
    panels, identity, y = [], 0, 0
    for row, contents in ROWS.items():
        identity += 1
        panels.append({"id": identity, "type": "row", "title": row, "collapsed": False, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": []})
        x, y, tallest = 0, y + 1, 0
        for kind, title, text, unit, queries in contents:
            width, height = WIDTHS[kind]
            if x + width > 24:
                x, y, tallest = 0, y + tallest, 0
            identity += 1
            panels.append(panel(identity, kind, title, text, unit, queries, x, y))
            x, tallest = x + width, max(tallest, height)
        y += tallest
    return {
        "title": "Fusebox", "uid": "fusebox", "schemaVersion": 39, "version": 1, "editable": True, "refresh": "30s", "tags": ["fusebox"],
        "time": {"from": "now-6h", "to": "now"}, "timezone": "browser",
        "templating": {"list": [
            {"name": "datasource", "label": "Metrics", "type": "datasource", "query": "prometheus"},
            {"name": "traces", "label": "Traces", "type": "datasource", "query": "tempo"},
            variable("service", "Service", "label_values(agent_tool_calls_total, service_name)"),
            variable("tool", "Tool", 'label_values(agent_tool_calls_total{service_name=~"$service"}, tool)')]},
        "panels": panels,
    }


text = json.dumps(dashboard(), indent=1) + "\n"
if "--check" in sys.argv[1:]:
    if PATH.read_text() != text:
        sys.exit(f"{PATH} is not what scripts/make-dashboard.py writes")
else:
    PATH.write_text(text)
