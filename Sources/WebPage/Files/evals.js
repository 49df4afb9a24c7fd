// Offline evals against what the judged spans took and cost.
import { address, ask, choice, count, dollars, duration, field, go, h, head, nothing, nothingInRange, rangePicker, ranges, stat, table, times, traceLink } from "./kit.js";
import { scatter } from "./charts.js";
import { runs } from "./runs.js";
import { plain } from "./values.js";

const axes = {
  latency: { name: "Latency of the judged span", pick: (one) => one.duration_ns, show: duration },
  tokens: { name: "Tokens of its trace", pick: (one) => one.tokens, show: count },
  cost: { name: "Cost of its trace", pick: (one) => one.dollars, show: dollars },
};

const views = { scores: "Scores", runs: "Runs" };

// Evals are looked at over all time until a range is chosen: offline ones come long after their spans.
const window = (place) => (place.parameters.get("from") || ranges[place.parameters.get("range")] ? times() : {});

// The evals themselves, of the chosen name, as an import takes them again.
function downloads(place) {
  const link = (format, label) => { const query = new URLSearchParams({ format }); if (place.parameters.get("name")) query.set("name", place.parameters.get("name")); return h("a", { href: `/api/evals?${query}`, download: `evals.${format}` }, label); };
  return h("span", { class: "downloads" }, h("span", { class: "soft" }, "Export"), link("jsonl", "JSONL"), link("csv", "CSV"));
}

export async function evals({ place, signal }) {
  const view = views[place.parameters.get("view")] ? place.parameters.get("view") : "scores";
  const switches = h("div", { class: "segments", role: "group", "aria-label": "View" }, Object.entries(views).map(([name, label]) => h("button", { type: "button", "aria-pressed": String(name === view), onclick: () => go({ view: name === "scores" ? null : name, name: null }) }, label)));
  if (view === "runs") return runs({ place, signal, window: window(place), controls: [switches, h("a", { href: address("judge", {}) }, "Judge")] });
  const all = await ask("/api/evals", window(place), { signal });
  const top = (...controls) => head("Evals", "Scores beside the spans that they judge.", switches, ...controls, downloads(place), rangePicker("all"));
  if (!all.length && window(place).from) return [top(), nothingInRange("evals")];
  if (!all.length) return [top(), nothing("No evals joined yet", "Import the results of an offline evaluation; each is joined to a span, a trace, a session or an eval id.", h("pre", { tabindex: "0", role: "group", "aria-label": "What to type" }, "fusebox eval import results.jsonl"))];
  const names = [...new Set(all.map((one) => one.name))].sort();
  const chosen = place.parameters.get("name") || names[0];
  const axis = axes[place.parameters.get("against")] ? place.parameters.get("against") : "latency";
  // The worst first: they are what one looks for. Those without a score are last.
  const rows = all.filter((one) => one.name === chosen).sort((a, b) => (a.score ?? Infinity) - (b.score ?? Infinity) || 0);
  const scored = rows.filter((one) => one.score !== null);
  const mean = scored.length ? scored.reduce((total, one) => total + one.score, 0) / scored.length : null;
  const points = scored.filter((one) => axes[axis].pick(one) !== null && axes[axis].pick(one) !== undefined).map((one) => ({ x: axes[axis].pick(one), y: one.score, href: traceLink(one.trace_id, one.span_id), label: `${one.eval_id || one.span_name}: ${one.score}, ${axes[axis].show(axes[axis].pick(one))}` }));
  return [top(field("Eval", choice(names, chosen, (name) => go({ name }), null)), field("Against", choice(Object.keys(axes), axis, (against) => go({ against }), null))),
    h("div", { class: "stats" }, stat("Joined", count(rows.length), `${names.length} ${names.length === 1 ? "metric" : "metrics"} in all`), stat("Mean score", mean === null ? "–" : String(Number(mean.toPrecision(3))), `${count(scored.length)} with a score`), stat("Traces", count(new Set(rows.map((one) => one.trace_id)).size), "judged")),
    h("section", { class: "card", style: { "margin-bottom": "var(--s4)" } }, h("h2", {}, `${chosen} against ${axis}`), points.length ? scatter({ points, xName: axes[axis].name, yName: chosen, showX: axes[axis].show, showY: (value) => String(value), label: `${points.length} scores of ${chosen} against ${axis}` }) : h("p", { class: "soft" }, axis === "cost" ? "No cost is known: the models have no prices." : "No score to plot.")),
    h("section", { class: "card" }, h("h2", {}, "Judged spans"), h("p", { class: "soft" }, "lowest scores first"), table([
      { name: "Eval", className: "long", show: (one) => [h("a", { href: traceLink(one.trace_id, one.span_id) }, one.eval_id || one.trace_id.slice(0, 12)), h("div", { class: "soft" }, `${one.span_name} · ${one.service_name}`)] },
      { name: "Score", number: true, show: (one) => (one.score === null ? "–" : String(Number(one.score.toPrecision(4)))) },
      { name: "Label", show: (one) => one.label || "" },
      { name: "Latency", number: true, show: (one) => duration(one.duration_ns) },
      { name: "Tokens", number: true, show: (one) => (one.tokens === null ? "–" : count(one.tokens)) },
      { name: "Cost", number: true, show: (one) => dollars(one.dollars) },
      { name: "Run", show: (one) => one.run_id || "" },
      { name: "Explanation", className: "long", show: (one) => (one.explanation ? plain(one.explanation) : "") },
    ], rows.slice(0, 500), { label: "Evals with what they judge" }), rows.length > 500 ? h("p", { class: "soft" }, `The first 500 of ${count(rows.length)}; SQL has all of them.`) : null)];
}
