// The gates as the server would judge them now, and the stalls: what `fusebox gate` and `fusebox stalls` print.
import { ask, count, h, head, nothing, problem, project, rangePicker, table, times, traceLink, when, wrappable } from "./kit.js";

const titles = { gates: "Gates", stalls: "Stalls by kind", list: "Latest stalls" };
const tones = { pass: "good", "pass, marginal": "good", fail: "bad", "fail, marginal": "bad", "no data": "warn", integrity: "bad" };

export async function gates({ signal }) {
  const parts = await Promise.all(["gates", "stalls"].map((name) => ask(`/api/${name}`, times(), { signal }).catch((error) => { if (signal.aborted) throw error; return { error }; })));
  const top = head("Gates", "How a build would be judged by the limits in the server's configuration: the last 24 hours, unless a time range is chosen.", rangePicker());
  return [top, project() ? h("p", { class: "notice" }, "Gates and stalls are of all projects.") : null, parts.map((document, index) => (document.error ? problem(document.error) : sections(document, index === 0)))];
}

function sections(document, isGate) {
  const found = Object.entries(document.sections || {});
  if (!found.length) return nothing("Nothing to judge", "No limit is set and nothing ran.");
  return found.map(([key, section], index) => h("section", { class: "card report" },
    h("h2", {}, section.title || titles[key] || key, isGate && index === 0 && document.verdict ? [" ", h("span", { class: `badge ${document.exit_code === 0 ? "good" : document.exit_code === 3 ? "warn" : "bad"}` }, document.verdict)] : null),
    section.rows?.length ? table(columns(section), section.rows, { label: section.title || key }) : h("p", { class: "soft" }, "nothing"),
    (section.notes || []).map((note) => h("p", { class: "soft small" }, note))));
}

function columns(section) {
  const names = section.columns || Object.keys(section.rows[0]);
  const used = names.filter((name) => section.rows.some((row) => row[name] !== null && row[name] !== undefined && row[name] !== ""));
  return used.map((name) => ({ name: name.replace(/_unix_nano$/, "").replaceAll("_", " "), number: section.rows.every((row) => row[name] === null || row[name] === undefined || typeof row[name] === "number"), show: (row) => cell(name, row) }));
}

function cell(name, row) {
  const value = row[name];
  if (value === null || value === undefined) return "–";
  if (name === "result") return h("span", { class: `badge ${tones[value] || ""}` }, value);
  if (name.endsWith("_unix_nano")) return when(String(value), true);
  if (name === "trace_id") return h("a", { class: "mono", href: traceLink(value, row.span_id) }, String(value).slice(0, 12));
  return typeof value === "number" ? (Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(6)))) : wrappable(value);
}
