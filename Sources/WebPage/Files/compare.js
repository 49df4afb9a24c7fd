// Two time ranges, or two services, side by side.
import { ask, choice, cost, count, duration, field, go, h, head, nothing, percent, place as placeNow, table, wrappable } from "./kit.js";

const spans = [{ value: "-1h/now", label: "Last hour" }, { value: "-2h/-1h", label: "The hour before" }, { value: "-24h/now", label: "Last day" }, { value: "-48h/-24h", label: "The day before" }, { value: "-7d/now", label: "Last week" }, { value: "-14d/-7d", label: "The week before" }, { value: "", label: "All time" }];

export async function compare({ place, signal }) {
  const services = (await ask("/api/values", { column: "service_name" }, { signal })).map((row) => row.value);
  const isNew = !place.parameters.get("a.span") && !place.parameters.get("b.span");
  const chosen = {};
  for (const side of ["a", "b"]) chosen[side] = { span: place.parameters.get(`${side}.span`) ?? (side === "a" ? "-48h/-24h" : "-24h/now"), service: place.parameters.get(`${side}.service`) || "" };
  if (chosen.a.span === "all") chosen.a.span = "";
  if (chosen.b.span === "all") chosen.b.span = "";
  const query = {};
  for (const side of ["a", "b"]) {
    const [from, to] = chosen[side].span.split("/");
    Object.assign(query, { [`${side}.from`]: from, [`${side}.to`]: to === "now" ? undefined : to, [`${side}.service`]: chosen[side].service });
  }
  const data = await ask("/api/compare", query, { signal });
  // A store that is younger than two days has nothing before yesterday to compare with: the last two hours, then.
  if (isNew && !data.a.tools.length && !data.a.workflows.length && data.b.tools.length + data.b.workflows.length) { go({ "a.span": "-2h/-1h", "b.span": "-1h/now" }, true); return compare({ place: placeNow(), signal }); }
  const side = (name, title) => h("section", { class: "card" }, h("h2", {}, title), h("div", { class: "bar" }, field("Time range", choice(spans.filter((one) => one.value), chosen[name].span, (value) => go({ [`${name}.span`]: value || "all" }), "All time")), field("Service", choice(services, chosen[name].service, (value) => go({ [`${name}.service`]: value })))));
  const top = [head("Compare", "A against B: the same tools and workflows in two time ranges, or in two services."), h("div", { class: "versus" }, side("a", "A"), side("b", "B"))];
  const sameService = chosen.a.service === chosen.b.service;
  const tools = pair(data.a.tools, data.b.tools, (one) => (sameService ? `${one.service_name}\n${one.tool_name}\n${one.stage}` : `${one.tool_name}\n${one.stage}`));
  const workflows = pair(data.a.workflows, data.b.workflows, (one) => (sameService ? `${one.service_name}\n${one.workflow_name}` : one.workflow_name));
  if (!tools.length && !workflows.length) return [...top, nothing("Nothing on either side", "Choose other time ranges or services.")];
  const both = (name, pick, show, options = {}) => ({ name, number: true, show: (row) => sides(row, pick, show, options) });
  return [...top,
    h("section", { class: "card", style: { "margin-bottom": "var(--s4)" } }, h("h2", {}, "Tools"), table([
      { name: "Tool", show: (row) => [h("strong", {}, wrappable(row.any.tool_name)), h("div", { class: "soft" }, `${row.any.service_name} · ${row.any.stage}`)] },
      both("Calls A → B", (one) => one.calls, count), both("Timeouts A → B", (one) => (one.calls ? one.timeouts / one.calls : 0), (value) => percent(value, 1), { worse: "up" }), both("p50 A → B", (one) => one.p50_ns, duration, { worse: "up" }), both("p95 A → B", (one) => one.p95_ns, duration, { worse: "up" }),
    ], tools, { label: "Tools on both sides", empty: "No tool was called on either side." })),
    h("section", { class: "card" }, h("h2", {}, "Workflows"), table([
      { name: "Workflow", show: (row) => [row.any.workflow_name === null ? h("span", { class: "soft" }, "no workflow") : h("strong", {}, wrappable(row.any.workflow_name)), h("div", { class: "soft" }, row.any.service_name)] },
      both("Runs A → B", (one) => one.runs, count), both("Failed A → B", (one) => (one.runs ? one.failed_runs / one.runs : 0), (value) => percent(value, 1), { worse: "up" }), both("p50 A → B", (one) => one.p50_ns, duration, { worse: "up" }), both("p95 A → B", (one) => one.p95_ns, duration, { worse: "up" }),
      both("Tokens A → B", (one) => one.tokens, count), { name: "Cost A → B", number: true, show: (row) => `${row.a ? cost(row.a) : "–"} → ${row.b ? cost(row.b) : "–"}` },
    ], workflows, { label: "Workflows on both sides", empty: "No workflow ran on either side." }),
    h("p", { class: "soft small" }, "A difference of less than a tenth is not coloured; with few runs, even a large one may be chance. fusebox compare gives intervals."))];
}

function pair(a, b, key) {
  const rows = new Map();
  for (const [name, list] of [["a", a], ["b", b]]) for (const one of list) {
    const id = key(one);
    if (!rows.has(id)) rows.set(id, { any: one });
    rows.get(id)[name] ??= one;
  }
  // Those on one side only have nothing to be compared with.
  return [...rows.values()].sort((one, other) => Boolean(other.a && other.b) - Boolean(one.a && one.b));
}

function sides(row, pick, show, { worse }) {
  const [a, b] = [row.a && pick(row.a), row.b && pick(row.b)];
  const text = `${a === undefined || a === null ? "–" : show(a)} → ${b === undefined || b === null ? "–" : show(b)}`;
  let tone = null;
  if (worse && typeof a === "number" && typeof b === "number" && Math.abs(b - a) > 0.1 * Math.max(a, b)) tone = b > a ? "bad" : "good";
  return h("span", { class: tone }, text, tone ? h("span", { class: "hidden-text" }, tone === "bad" ? ", worse" : ", better") : null);
}
