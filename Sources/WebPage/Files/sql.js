// SQL over the store, read only: the result as a table and, where it has numbers, as a chart.
import { ask, count, go, h, head, problem, replace, s } from "./kit.js";
import { drawn, niceTicks, timeChart } from "./charts.js";
import { copyButton } from "./values.js";

const examples = [
  ["Tools and their timeouts", "SELECT tool_name, calls, timeouts, round(p95_ms) AS p95_ms\nFROM tools\nORDER BY timeouts DESC"],
  ["Slowest spans", "SELECT name, service_name, duration_ns / 1e6 AS ms, trace_id\nFROM spans\nORDER BY duration_ns DESC\nLIMIT 20"],
  ["Spans per minute", "SELECT iso(start_time_unix_nano / 60000000000 * 60000000000) AS minute, count(*) AS spans, sum(status_code = 2) AS errors\nFROM spans\nGROUP BY 1\nORDER BY 1"],
  ["Tokens by model", "SELECT model, sum(tokens) AS tokens\nFROM token_spans\nGROUP BY model\nORDER BY tokens DESC"],
  ["Breaker transitions", "SELECT iso(time_unix_nano) AS time, service_name, tool_name, machine, from_state, to_state\nFROM breaker_transitions\nLIMIT 100"],
];

export async function sql({ place, signal }) {
  const schema = await ask("/api/schema", {}, { signal });
  const result = h("div", { "aria-live": "polite" });
  const text = h("textarea", { "aria-label": "Query", spellcheck: "false", autocapitalize: "off", "data-search": "", value: place.parameters.get("q") || examples[0][1] });
  const run = async () => {
    go({ q: text.value }, true);
    replace(result, h("p", { class: "soft" }, "Running…"));
    const started = performance.now();
    try {
      const data = await ask("/api/sql", { limit: 10000 }, { method: "POST", body: text.value, headers: { "Content-Type": "application/sql" }, signal });
      show(result, data, performance.now() - started);
      remember(text.value);
    } catch (error) {
      if (!signal.aborted) replace(result, problem(error));
    }
  };
  text.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); } });
  if (place.parameters.get("q")) run();
  const insert = (word) => { text.setRangeText(word, text.selectionStart, text.selectionEnd, "end"); text.focus(); };
  return [head("SQL", "Query the store with SQL; nothing can be changed. Ctrl+Enter runs the query."),
    h("div", { class: "sql-page" },
      h("div", {}, text, completion(text, schema), h("div", { class: "bar", style: { margin: "var(--s3) 0 var(--s4)", "justify-content": "space-between" } }, h("button", { type: "button", class: "main", onclick: run }, "Run"),
        h("label", { class: "field" }, h("span", { class: "hidden-text" }, "Examples and history"), exampleChoice(text, run))), result),
      h("section", { class: "card schema" }, h("h2", {}, "Tables"), schema.map((one) => h("details", {}, h("summary", {}, one.name), h("ul", {}, one.columns.map((column) => h("li", {}, h("button", { type: "button", class: "quiet mono", style: { border: "0", padding: "0", "min-height": "0" }, onclick: () => insert(column) }, column)))))),
        h("p", { class: "soft small", style: { "margin-top": "var(--s3)" } }, "attr(attributes, 'key'), percentile(value, p), iso(nanoseconds)")))];
}

function exampleChoice(text, run) {
  const select = h("select", { onchange: () => { if (select.value) { text.value = select.value; select.value = ""; run(); } } }, h("option", { value: "" }, "Examples, history…"), h("optgroup", { label: "Examples" }, examples.map(([name, query]) => h("option", { value: query }, name))), history().length ? h("optgroup", { label: "History" }, history().map((query) => h("option", { value: query }, query.replace(/\s+/g, " ").slice(0, 80)))) : null);
  return select;
}

function show(result, data, took) {
  const note = h("p", { class: "soft" }, `${count(data.row_count)} ${data.row_count === 1 ? "row" : "rows"} in ${Math.round(took)} ms${data.truncated ? `; the first ${count(data.row_count)}, ask for the rest with LIMIT and OFFSET` : ""}`, data.row_count ? h("span", { class: "downloads" }, download(data, "CSV"), download(data, "JSON"), copyButton(() => csv(data), "Copy as CSV")) : null);
  const cell = (value) => (value === null ? h("span", { class: "soft" }, "NULL") : String(value));
  const isNumber = data.columns.map((_, index) => data.rows.some((row) => typeof row[index] === "number") && data.rows.every((row) => row[index] === null || typeof row[index] === "number"));
  const link = (column, value) => (column === "trace_id" && typeof value === "string" && /^[0-9a-f]{32}$/.test(value) ? h("a", { href: `#/trace/${value}` }, value) : cell(value));
  replace(result, note, chart(data, isNumber),
    data.row_count ? h("section", { class: "card" }, h("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Result" }, h("table", { class: "result-table" }, h("thead", {}, h("tr", {}, data.columns.map((column, index) => h("th", { scope: "col", class: isNumber[index] ? "num" : null }, column)))), h("tbody", {}, data.rows.slice(0, rowsDrawn).map((row) => h("tr", {}, row.map((value, index) => h("td", { class: isNumber[index] ? "num" : null, title: typeof value === "string" && value.length > 40 ? value : null }, link(data.columns[index], value))))))), data.rows.length > rowsDrawn ? h("p", { class: "soft small" }, `The first ${count(rowsDrawn)} are shown; the download has all ${count(data.rows.length)}.`) : null)) : null);
}

const rowsDrawn = 2000;

const csvCell = (value) => (value === null ? "" : /[",\n\r]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
const csv = (data) => [data.columns, ...data.rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
function download(data, kind) {
  return h("button", { type: "button", class: "tiny", onclick: () => {
    const text = kind === "CSV" ? csv(data) : JSON.stringify(data.rows.map((row) => Object.fromEntries(data.columns.map((name, index) => [name, row[index]]))), null, 1);
    const url = URL.createObjectURL(new Blob([text], { type: kind === "CSV" ? "text/csv" : "application/json" }));
    const anchor = h("a", { href: url, download: `fusebox.${kind.toLowerCase()}` });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  } }, kind);
}

// Queries that ran, newest first, in this browser alone.
const historyMax = 30;
const history = () => { try { return JSON.parse(localStorage.getItem("queries")) || []; } catch { return []; } };
function remember(query) { localStorage.setItem("queries", JSON.stringify([query, ...history().filter((one) => one !== query)].slice(0, historyMax))); }

// Words of the schema that go on what is being typed: Tab takes the first.
const keywords = ["SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "count(*)", "sum(", "percentile(", "attr(attributes, '", "iso(", "JOIN", "DESC"];
function completion(text, schema) {
  const words = [...new Set([...schema.map((one) => one.name), ...schema.flatMap((one) => one.columns), ...keywords])];
  const box = h("div", { class: "completion", "aria-live": "polite" });
  const current = () => /[A-Za-z_][\w]*$/.exec(text.value.slice(0, text.selectionStart))?.[0] || "";
  const fitting = () => { const word = current().toLowerCase(); return word.length < 2 ? [] : words.filter((one) => one.toLowerCase().startsWith(word) && one.toLowerCase() !== word).slice(0, 8); };
  const take = (word) => { const at = text.selectionStart; text.setRangeText(word, at - current().length, at, "end"); replace(box); text.focus(); };
  text.addEventListener("input", () => replace(box, fitting().map((word, index) => h("button", { type: "button", class: "tiny mono", tabindex: "-1", onclick: () => take(word) }, word, index ? null : h("small", { class: "soft" }, " Tab")))));
  text.addEventListener("keydown", (event) => { const first = box.firstChild && fitting()[0]; if (event.key === "Tab" && !event.shiftKey && first) { event.preventDefault(); take(first); } else if (event.key === "Escape") replace(box); });
  return box;
}

const colors = ["c1", "c2", "c3", "c4"];
function chart(data, isNumber) {
  const numbers = data.columns.map((_, index) => index).filter((index) => isNumber[index]).slice(0, 4);
  // A chart of everything says nothing: one name and a few figures do.
  if (!numbers.length || data.rows.length < 2 || isNumber[0] || data.columns.length > 6 || /(^|_)id$/.test(data.columns[0])) return null;
  const shown = (value) => count(value);
  const at = data.rows.map((row) => Date.parse(row[0]));
  if (at.every((time) => Number.isFinite(time)) && /^\d{4}-\d\d-\d\dT/.test(data.rows[0][0])) {
    const step = Math.min(...at.slice(1).map((time, index) => Math.abs(time - at[index])).filter(Boolean)) || 60000;
    const order = data.rows.map((row, index) => [at[index], row]).sort((a, b) => a[0] - b[0]);
    const series = numbers.map((column, index) => ({ name: data.columns[column], color: colors[index], values: order.map(([time, row]) => [time, row[column]]) }));
    return h("section", { class: "card", style: { "margin-bottom": "var(--s4)" } }, h("div", { class: "legend" }, series.map((one) => h("span", {}, h("i", { class: one.color }), one.name))), timeChart({ series, from: order[0][0], to: order.at(-1)[0] + step, width: step, show: shown, label: `Chart of ${series.map((one) => one.name).join(", ")}` }));
  }
  const rows = data.rows.slice(0, 16);
  const column = numbers[0];
  const box = h("div", { class: "chart", role: "img", "aria-label": `Chart of ${data.columns[column]} by ${data.columns[0]}` });
  drawn(box, (width) => {
    const unit = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const left = Math.min(14 * unit, width * 0.4);
    const highest = niceTicks(Math.max(...rows.map((row) => row[column] || 0)), 4).at(-1) || 1;
    const tall = rows.length * 1.5 * unit;
    const cut = Math.floor(left / (0.5 * unit));
    replace(box, s("svg", { height: tall, viewBox: `0 0 ${width} ${tall}`, "aria-hidden": "true" }, rows.map((row, index) => {
      const text = String(row[0] ?? "NULL");
      const wide = Math.max(1, ((row[column] || 0) / highest) * (width - left - 5 * unit));
      return [s("text", { x: left - 0.5 * unit, y: index * 1.5 * unit + unit, "text-anchor": "end" }, text.length > cut ? `${text.slice(0, cut - 1)}…` : text), s("rect", { class: "barmark c1", x: left, y: index * 1.5 * unit + 0.25 * unit, width: wide, height: unit, rx: 3 }), s("text", { x: left + wide + 0.4 * unit, y: index * 1.5 * unit + unit }, row[column] === null ? "" : count(row[column]))];
    })));
  });
  return h("section", { class: "card", style: { "margin-bottom": "var(--s4)" } }, h("h2", {}, `${data.columns[column]} by ${data.columns[0]}`), rows.length < data.rows.length ? h("p", { class: "soft" }, `the first ${rows.length} of ${data.rows.length} rows`) : null, box);
}
