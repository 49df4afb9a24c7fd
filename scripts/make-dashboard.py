#!/usr/bin/env python3
"""Writes dashboards/fusebox.json, the Grafana dashboard, from the panels below.

    scripts/make-dashboard.py            writes it
    scripts/make-dashboard.py --check    exit 1 when the file is not what would be written
"""

import json
import pathlib
import sys

PATH = pathlib.Path(__file__).resolve().parent.parent / "dashboards/fusebox.json"
SERVICE = 'service_name=~"$service"'
TOOL = SERVICE + ',tool=~"$tool"'
RATE = "[$__rate_interval]"

# Rows of panels: (type, title, what it tells, unit, queries with their legends).
ROWS = {
    "Overview": [
        ("stat", "Timeouts, last hour", "Attempts that timed out.", "short", [(f"sum(agent:tool_timeouts:delta1h{{{SERVICE}}}) or vector(0)", "")]),
        ("stat", "Breaker opens, last hour", "Reported by agents.", "short", [(f'sum(agent:breaker_opens:delta1h{{source="reported",{SERVICE}}}) or vector(0)', "")]),
        ("stat", "Cooldown minutes, last hour", "Reported by agents.", "short", [(f'sum(agent:breaker_cooldown_minutes:delta1h{{source="reported",{SERVICE}}}) or vector(0)', "")]),
        ("stat", "Workflow p95 / gate", "Above 1, the gate is missed.", "percentunit", [(f"max(agent:workflow_duration_seconds:p95_15m{{{SERVICE}}}) / max(agent_gate_p95_limit_seconds)", "")]),
        ("stat", "Oldest open breaker", "How long it has been open.", "s", [(f"max(agent_breaker_open_age_seconds{{{SERVICE}}})", "")]),
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
    "Store": [
        ("timeseries", "Spans", "Received ones that were not accepted are in the other lines.", "short", [(f"sum(rate(fusebox_spans_accepted_total{RATE}))", "accepted"), (f"sum(rate(fusebox_spans_rejected_total{RATE}))", "rejected"), (f"sum(rate(fusebox_spans_dropped_total{RATE}))", "dropped"), (f"sum(rate(fusebox_spans_duplicate_total{RATE}))", "sent again")]),
        ("timeseries", "Queue fill", "", "percentunit", [("fusebox_queue_spans / fusebox_queue_capacity_spans", "{{instance}}")]),
        ("timeseries", "Commit p95", "", "s", [("fusebox:commit_duration_seconds:p95_5m", "{{instance}}")]),
        ("timeseries", "Files", "", "bytes", [("fusebox_db_size_bytes", "data"), ("fusebox_wal_size_bytes", "write-ahead log"), ("fusebox_disk_free_bytes", "disk free")]),
        ("timeseries", "Memory and processor", "", "short", [('process_resident_memory_bytes{job="fusebox"}', "resident bytes"), (f'rate(process_cpu_seconds_total{{job="fusebox"}}{RATE})', "cores")]),
        ("timeseries", "Overflow, late, clocks", "Labels past their caps, breaker events past the settle time, clients' clocks.", "short", [(f"sum by (label) (increase(fusebox_label_overflow_total{RATE}))", "label {{label}}"), (f"sum by (reason) (increase(agent_breaker_events_discarded_total{RATE}))", "event {{reason}}"), (f"sum by (kind) (increase(fusebox_clock_anomalies_total{RATE}))", "clock {{kind}}")]),
    ],
    "GPU and model server (optional)": [
        ("timeseries", "GPU use", "From NVIDIA's DCGM exporter.", "percent", [("avg by (gpu) (DCGM_FI_DEV_GPU_UTIL)", "GPU {{gpu}}")]),
        ("timeseries", "llama.cpp requests", "From its /metrics.", "short", [("llamacpp:requests_processing", "in work"), ("llamacpp:requests_deferred", "deferred")]),
    ],
}
WIDTHS = {"stat": (4, 4), "timeseries": (8, 8), "bargauge": (8, 8), "heatmap": (8, 8), "state-timeline": (24, 6)}


def panel(identity, kind, title, text, unit, queries, x, y):
    width, height = WIDTHS[kind]
    defaults = {"unit": unit, "min": 0}
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
