// What happened: timeouts, openings, cooldown, money and latency over time, and the tools to look at first.
import { address, ask, cost, count, dollars, duration, firstSpans, go, h, head, milliseconds, minutes, nothingInRange, patch, percent, rangePicker, repeat, spendingColumns, stat, table, times, windowOf, withRange, choice, field, problem, replace } from "./kit.js";
import { legend, timeChart } from "./charts.js";
import { contract } from "./contract.js";

export async function overview({ place, signal }) {
  const service = place.parameters.get("service") || undefined;
  const [status, services] = await Promise.all([ask("/api/status", {}, { signal }), ask("/api/services", times(), { signal })]);
  const body = h("div");
  const picker = services.length > 1 || service ? field("Service", choice(services.map((one) => one.service_name), service, (value) => go({ service: value })), "") : null;
  const notice = h("div", { "aria-live": "polite" });
  const loop = h("div", { "aria-live": "off" });
  const page = [head("Overview", null, picker, rangePicker()), notice, body, loop];
  if (status.span_count === 0) { replace(body, firstSpans()); return page; }
  await fill(body, status, service, signal);
  contract(loop, service, signal);
  repeat(10, signal, async () => { await fill(body, status, service, signal); replace(notice); }, (error) => replace(notice, problem(error)));
  return page;
}

// Over an engine nobody knows when breakers were open: each node keeps that.
const knowsBreakers = (totals) => totals.reported_opens !== null;

async function fill(body, status, service, signal) {
  const asked = { ...times(), service };
  const [data, tools, workflows] = await Promise.all([ask("/api/overview", asked, { signal }), ask("/api/tools", asked, { signal }), ask("/api/workflows", asked, { signal })]);
  const totals = data.totals;
  if (!totals || !totals.spans) { patch(body, nothingInRange("spans")); return; }
  const gate = status.fuses.p95_gate_ns;
  const link = (parameters) => address("traces", withRange({ service, ...parameters }));
  const timeouts = totals.timeouts;
  const stats = h("div", { class: "stats" },
    stat("Timeouts", count(timeouts), `${percent(timeouts, totals.calls)} of ${count(totals.calls)} calls`, { tone: timeouts ? "bad" : "", href: link({ outcome: "timeout" }) }),
    ...(knowsBreakers(totals) ? [stat("Breaker opens", count(totals.reported_opens), `${count(totals.derived_opens)} derived`, { tone: totals.reported_opens ? "bad" : "", href: address("fuses", withRange({ service })) }),
    stat("Cooldown", [String(minutes(totals.reported_cooldown_ns)), h("small", {}, " min")], `${minutes(totals.derived_cooldown_ns)} min derived`, { href: address("fuses", withRange({ service })) })] : []),
    stat("Workflow p95", duration(totals.run_p95_ns), gate ? `gate ${duration(gate)}, ${count(totals.runs)} runs` : `${count(totals.runs)} runs, no gate set`, { tone: gate && totals.run_p95_ns > gate ? "bad" : "" }),
    stat("Cost", totals.dollars === null ? "–" : cost(totals), totals.dollars === null ? `${count(totals.tokens)} tokens, no prices` : totals.unpriced_tokens ? `${count(totals.unpriced_tokens)} tokens unpriced` : `${count(totals.tokens)} tokens`),
    stat("Failed runs", count(totals.failed_runs), `${percent(totals.failed_runs, totals.runs)} of ${count(totals.runs)}`, { tone: totals.failed_runs ? "warn" : "", href: link({ root: "error" }) }));
  patch(body, stats, charts(data, gate), toolTable(tools, status, link), workflowTable(workflows, gate));
}

function charts(data, gate) {
  const step = data.step_ns / 1e6;
  // The chosen time, not that of the data: silence is seen as silence.
  const chosen = windowOf(Date.now()) || { from: milliseconds(data.from_unix_nano), to: milliseconds(data.to_unix_nano) };
  const from = Math.floor(chosen.from / step) * step;
  const to = Math.ceil(chosen.to / step) * step;
  // What JavaScript's numbers cannot hold exactly comes as digits in quotes.
  const height = (value) => (typeof value === "string" ? Number(value) : value);
  const values = (pick) => data.buckets.map((bucket) => [milliseconds(bucket.time_unix_nano), height(pick(bucket))]);
  const totals = data.totals;
  const card = (title, text, chart) => {
    const series = chart.series;
    return h("section", { class: "card" }, h("h2", {}, title), text && h("p", { class: "soft" }, text), series.length > 1 ? legend(series) : null, timeChart({ from, to, width: step, ...chart }));
  };
  return h("div", { class: "grid" },
    card("Timeouts", `per ${duration(data.step_ns)}`, { series: [{ name: "Timeouts", color: "cbad", kind: "bars", values: values((one) => one.timeouts) }], show: count, label: `Timeouts over time, ${totals.timeouts} in all` }),
    card("Workflow latency", "p95 and median of the runs that started in each bucket", { series: [{ name: "p95", color: "c1", values: values((one) => one.run_p95_ns) }, { name: "p50", color: "c2", values: values((one) => one.run_p50_ns) }], show: duration, gate, gateName: gate ? `gate ${duration(gate)}` : "", label: `Workflow latency over time, p95 ${duration(totals.run_p95_ns)}${gate ? `, gate ${duration(gate)}` : ""}` }),
    ...(knowsBreakers(totals) ? [card("Breaker opens", "reported by agents, and derived by the fuse table", { series: [{ name: "Reported", color: "cbad", kind: "bars", values: values((one) => one.reported_opens) }, { name: "Derived", color: "c3", kind: "bars", values: values((one) => one.derived_opens) }], show: count, label: `Breaker opens over time: ${totals.reported_opens} reported, ${totals.derived_opens} derived` }),
    card("Cooldown", "minutes breakers spent open, all tools", { series: [{ name: "Reported", color: "cbad", kind: "bars", values: values((one) => one.reported_cooldown_ns / 60e9) }, { name: "Derived", color: "c3", kind: "bars", values: values((one) => one.derived_cooldown_ns / 60e9) }], show: (value) => `${Number(value.toPrecision(3))} min`, label: `Cooldown over time: ${minutes(totals.reported_cooldown_ns)} minutes reported, ${minutes(totals.derived_cooldown_ns)} derived` })] : []),
    totals.dollars === null ? card("Tokens", "each counted once; no model has a price", { series: [{ name: "Tokens", color: "c1", kind: "bars", values: values((one) => one.tokens) }], show: count, label: `Tokens over time, ${totals.tokens} in all` })
      : card("Cost", "tokens at the models' prices", { series: [{ name: "Dollars", color: "c1", kind: "bars", values: values((one) => one.dollars) }], show: dollars, label: `Cost over time, ${dollars(totals.dollars)} in all` }),
    card("Spans", "all, and those with an error", { series: [{ name: "Spans", color: "c1", values: values((one) => one.spans) }, { name: "Errors", color: "cbad", values: values((one) => one.errors) }], show: count, label: `Spans over time: ${totals.spans} in all, ${totals.errors} with an error` }));
}

// Runs by their roots; what a service spent for another's workflow, or for none, has a row without runs.
function workflowTable(workflows, gate) {
  if (!workflows.length) return null;
  return h("section", { class: "card below" }, h("h2", {}, "Workflows"), h("p", { class: "soft" }, "runs that began in this time, and what calls to models took"),
    table([
      { name: "Workflow", show: (one) => [one.workflow_name === null ? h("span", { class: "soft" }, "no workflow") : h("a", { href: address("traces", withRange({ workflow: one.workflow_name, service: one.service_name })) }, one.workflow_name), h("div", { class: "soft" }, one.service_name)] },
      { name: "Runs", number: true, show: (one) => count(one.runs) },
      { name: "Failed", number: true, show: (one) => (one.failed_runs ? h("a", { class: "bad", href: address("traces", withRange({ workflow: one.workflow_name, service: one.service_name, root: "error" })) }, count(one.failed_runs)) : "0") },
      { name: "p50", number: true, show: (one) => duration(one.p50_ns) },
      { name: "p95", number: true, show: (one) => h("span", { class: gate && one.p95_ns > gate ? "bad" : null }, duration(one.p95_ns)) },
      ...spendingColumns,
    ], workflows, { label: "Workflows with their runs, latency and cost" }));
}

function toolTable(tools, status, link) {
  const fuse = (tool) => (status.engine ? null : status.fuses[`${tool.stage}_ns`]);
  return h("section", { class: "card" }, h("h2", {}, "Tools"), h("p", { class: "soft" }, "most timeouts first"),
    table([
      { name: "Tool", show: (tool) => [h("a", { href: link({ tool: tool.tool_name, service: tool.service_name }) }, tool.tool_name), h("div", { class: "soft" }, `${tool.service_name} · ${tool.stage}`)] },
      { name: "Calls", number: true, show: (tool) => count(tool.calls) },
      { name: "Timeouts", number: true, show: (tool) => (tool.timeouts ? h("a", { class: "bad", href: link({ tool: tool.tool_name, service: tool.service_name, outcome: "timeout" }) }, count(tool.timeouts)) : "0") },
      { name: "Errors", number: true, show: (tool) => count(tool.errors) },
      { name: "Rejected", number: true, show: (tool) => count(tool.rejected) },
      { name: "p50", number: true, show: (tool) => duration(tool.p50_ns) },
      { name: "p95", number: true, show: (tool) => h("span", { class: fuse(tool) && tool.p95_ns >= fuse(tool) ? "bad" : null }, duration(tool.p95_ns)) },
      // Each node has fuses of its own, and those of a server over an engine are nobody's.
      ...(status.engine ? [] : [{ name: "Fuse", number: true, show: (tool) => (fuse(tool) ? duration(fuse(tool)) : h("span", { class: "soft" }, "none")) }]),
    ], tools, { label: "Tools with their calls, timeouts and latency", empty: "No tool was called." }));
}
