// What happened: timeouts, openings, cooldown, money and latency over time, and the tools to look at first.
import { address, ask, count, dollars, duration, firstSpans, go, h, head, milliseconds, minutes, nothingInRange, percent, rangePicker, stat, table, times, withRange, choice, field, problem, replace } from "./kit.js";
import { legend, timeChart } from "./charts.js";

export async function overview({ place, signal }) {
  const service = place.parameters.get("service") || undefined;
  const [status, services] = await Promise.all([ask("/api/status", {}, { signal }), ask("/api/services", times(), { signal })]);
  const body = h("div");
  const picker = services.length > 1 || service ? field("Service", choice(services.map((one) => one.service_name), service, (value) => go({ service: value })), "") : null;
  const page = [head("Overview", null, picker, rangePicker()), body];
  if (!status.span_count) { replace(body, firstSpans()); return page; }
  await fill(body, status, service, signal);
  const timer = setInterval(() => { if (!document.hidden) fill(body, status, service, signal).catch((error) => { if (!signal.aborted) replace(body, problem(error)); }); }, 10000);
  signal.addEventListener("abort", () => clearInterval(timer));
  return page;
}

async function fill(body, status, service, signal) {
  const [data, tools] = await Promise.all([ask("/api/overview", { ...times(), service }, { signal }), ask("/api/tools", { ...times(), service }, { signal })]);
  const totals = data.totals;
  if (!totals || !totals.spans) { replace(body, nothingInRange("spans")); return; }
  const gate = status.fuses.p95_gate_ns;
  const cost = totals.dollars === null ? "–" : dollars(totals.dollars);
  const link = (parameters) => address("traces", withRange({ service, ...parameters }));
  const timeouts = totals.timeouts;
  const stats = h("div", { class: "stats" },
    stat("Timeouts", count(timeouts), `${percent(timeouts, totals.calls)} of ${count(totals.calls)} calls`, { tone: timeouts ? "bad" : "", href: link({ outcome: "timeout" }) }),
    stat("Breaker opens", count(totals.reported_opens), `reported; derived ${count(totals.derived_opens)}`, { tone: totals.reported_opens ? "bad" : "", href: address("fuses", withRange({ service })) }),
    stat("Cooldown", [String(minutes(totals.reported_cooldown_ns)), h("small", {}, " min")], `reported; derived ${minutes(totals.derived_cooldown_ns)} min`, { href: address("fuses", withRange({ service })) }),
    stat("Workflow p95", duration(totals.run_p95_ns), gate ? `gate ${duration(gate)}, ${count(totals.runs)} runs` : `${count(totals.runs)} runs, no gate set`, { tone: gate && totals.run_p95_ns > gate ? "bad" : "" }),
    stat("Cost", cost, totals.dollars === null ? `${count(totals.tokens)} tokens, no prices` : totals.unpriced_tokens ? `${count(totals.unpriced_tokens)} tokens unpriced` : `${count(totals.tokens)} tokens`),
    stat("Failed runs", count(totals.failed_runs), `${percent(totals.failed_runs, totals.runs)} of ${count(totals.runs)}`, { tone: totals.failed_runs ? "warn" : "", href: link({ status: "error" }) }));
  replace(body, stats, charts(data, gate), toolTable(tools, status, link));
}

function charts(data, gate) {
  const step = data.step_ns / 1e6;
  const from = Math.floor(milliseconds(data.from_unix_nano) / step) * step;
  const to = Math.ceil(milliseconds(data.to_unix_nano) / step) * step;
  const values = (pick) => data.buckets.map((bucket) => [milliseconds(bucket.time_unix_nano), pick(bucket)]);
  const totals = data.totals;
  const card = (title, text, chart) => {
    const series = chart.series;
    return h("section", { class: "card" }, h("h2", {}, title), text && h("p", { class: "soft" }, text), series.length > 1 ? legend(series) : null, timeChart({ from, to, width: step, ...chart }));
  };
  return h("div", { class: "grid" },
    card("Timeouts", `per ${duration(data.step_ns)}`, { series: [{ name: "Timeouts", color: "cbad", kind: "bars", values: values((one) => one.timeouts) }], show: count, label: `Timeouts over time, ${totals.timeouts} in all` }),
    card("Workflow latency", "p95 and median of the runs that began in each bucket", { series: [{ name: "p95", color: "c1", values: values((one) => one.run_p95_ns) }, { name: "p50", color: "c2", values: values((one) => one.run_p50_ns) }], show: duration, gate, gateName: gate ? `gate ${duration(gate)}` : "", label: `Workflow latency over time, p95 ${duration(totals.run_p95_ns)}${gate ? `, gate ${duration(gate)}` : ""}` }),
    card("Breaker opens", "what agents reported beside what the fuse table derives", { series: [{ name: "Reported", color: "cbad", kind: "bars", values: values((one) => one.reported_opens) }, { name: "Derived", color: "c3", kind: "bars", values: values((one) => one.derived_opens) }], show: count, label: `Breaker opens over time: ${totals.reported_opens} reported, ${totals.derived_opens} derived` }),
    card("Cooldown", "minutes that breakers spent open, summed over tools", { series: [{ name: "Reported", color: "cbad", kind: "bars", values: values((one) => one.reported_cooldown_ns / 60e9) }, { name: "Derived", color: "c3", kind: "bars", values: values((one) => one.derived_cooldown_ns / 60e9) }], show: (value) => `${Number(value.toPrecision(3))} min`, label: `Cooldown over time: ${minutes(totals.reported_cooldown_ns)} minutes reported, ${minutes(totals.derived_cooldown_ns)} derived` }),
    totals.dollars === null ? card("Tokens", "each counted once; prices would turn them into dollars", { series: [{ name: "Tokens", color: "c1", kind: "bars", values: values((one) => one.tokens) }], show: count, label: `Tokens over time, ${totals.tokens} in all` })
      : card("Cost", "of the tokens, by the price table", { series: [{ name: "Dollars", color: "c1", kind: "bars", values: values((one) => one.dollars) }], show: dollars, label: `Cost over time, ${dollars(totals.dollars)} in all` }),
    card("Spans", "stored, and those with an error", { series: [{ name: "Spans", color: "c1", values: values((one) => one.spans) }, { name: "Errors", color: "cbad", values: values((one) => one.errors) }], show: count, label: `Spans over time: ${totals.spans} in all, ${totals.errors} with an error` }));
}

function toolTable(tools, status, link) {
  const fuse = (tool) => status.fuses[`${tool.stage}_ns`];
  return h("section", { class: "card" }, h("h2", {}, "Tools"), h("p", { class: "soft" }, "those with timeouts first"),
    table([
      { name: "Tool", show: (tool) => [h("a", { href: link({ tool: tool.tool_name, service: tool.service_name }) }, tool.tool_name), h("div", { class: "soft" }, `${tool.service_name} · ${tool.stage}`)] },
      { name: "Calls", number: true, show: (tool) => count(tool.calls) },
      { name: "Timeouts", number: true, show: (tool) => (tool.timeouts ? h("a", { class: "bad", href: link({ tool: tool.tool_name, service: tool.service_name, outcome: "timeout" }) }, count(tool.timeouts)) : "0") },
      { name: "Errors", number: true, show: (tool) => count(tool.errors) },
      { name: "Rejected", number: true, show: (tool) => count(tool.rejected) },
      { name: "p50", number: true, show: (tool) => duration(tool.p50_ns) },
      { name: "p95", number: true, show: (tool) => h("span", { class: fuse(tool) && tool.p95_ns >= fuse(tool) ? "bad" : null }, duration(tool.p95_ns)) },
      { name: "Fuse", number: true, show: (tool) => (fuse(tool) ? duration(fuse(tool)) : h("span", { class: "soft" }, "none")) },
    ], tools, { label: "Tools with their calls, timeouts and latency", empty: "No tool was called." }));
}
