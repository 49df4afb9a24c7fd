// Runs of evals by data set, and two of them side by side: what got worse first.
import { ask, choice, count, counted, duration, field, go, h, head, nothing, percent, table, traceLink } from "./kit.js";
import { plain } from "./values.js";

const changes = { broke: ["bad", "broke"], worse: ["bad", "worse"], mended: ["good", "mended"], better: ["good", "better"], same: ["", "same"] };
const shownAtOnce = 200;
const score = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(4))));

export async function runs({ place, signal, window, controls }) {
  const rows = (await ask("/api/evals/runs", window, { signal })).sections.runs.rows;
  const top = head("Evals", "Experiment runs, and what changed between two of them, case by case.", ...controls);
  if (!rows.length) return [top, nothing("No runs", "Evals belong to a run when their file names one, or with --run-id.", h("pre", { tabindex: "0", role: "group", "aria-label": "What to type" }, "fusebox eval import --run-id nightly-42 --dataset qa results.jsonl"))];
  const all = grouped(rows);
  const datasets = [...new Set(all.map((run) => run.dataset || ""))];
  const dataset = place.parameters.get("dataset");
  const known = dataset === null ? all : all.filter((run) => (run.dataset || "") === dataset);
  const list = known.length ? known : all;
  const b = place.parameters.get("b") || list[0].run_id;
  // Beside the newest run stands the one before it of the same data set.
  const newest = all.find((run) => run.run_id === b);
  const a = place.parameters.get("a") || list.find((run) => run.run_id !== b && run.dataset === newest?.dataset)?.run_id || list.find((run) => run.run_id !== b)?.run_id;
  const options = list.map((run) => ({ value: run.run_id, label: run.run_id }));
  const pickers = h("div", { class: "filters" }, datasets.length > 1 ? field("Data set", choice(datasets.filter(Boolean), dataset, (value) => go({ dataset: value, a: null, b: null }))) : null,
    field("A, before", choice(options, a, (value) => go({ a: value }), null), "wide"), field("B, after", choice(options, b, (value) => go({ b: value }), null), "wide"));
  return [top, pickers, a ? await compared(a, b, place, signal) : h("p", { class: "soft" }, "A single run has nothing to be compared with."), runTable(list, a, b)];
}

// A run with all its evals.
function grouped(rows) {
  const found = new Map();
  for (const row of rows) {
    if (!found.has(row.run_id)) found.set(row.run_id, { run_id: row.run_id, dataset: row.dataset, git_revision: row.git_revision, last: row.last, evals: [] });
    found.get(row.run_id).evals.push(row);
  }
  return [...found.values()];
}

function runTable(list, a, b) {
  return h("section", { class: "card" }, h("h2", {}, "Runs"), h("p", { class: "soft" }, "the newest first"), table([
    { name: "Run", className: "long", show: (run) => [h("strong", {}, run.run_id), run.git_revision ? h("div", { class: "soft mono small" }, run.git_revision.slice(0, 12)) : null] },
    { name: "Data set", show: (run) => run.dataset || "" },
    { name: "Last", className: "whole", show: (run) => run.last.slice(0, 16).replace("T", " ") },
    { name: "Cases", number: true, show: (run) => count(Math.max(...run.evals.map((one) => one.cases))) },
    { name: "Mean scores", className: "long", show: (run) => run.evals.map((one) => h("div", {}, h("span", { class: "soft" }, `${one.name} `), score(one.mean_score), one.failed ? h("span", { class: "bad" }, ` ${counted(one.failed, "failed", "failed")}`) : null, one.errors ? h("span", { class: "warn" }, ` ${counted(one.errors, "error", "errors")}`) : null)) },
    { name: "Side by side", show: (run) => h("span", { class: "segments" }, [["a", a], ["b", b]].map(([side, chosen]) => h("button", { type: "button", "aria-pressed": String(run.run_id === chosen), "aria-label": `${run.run_id} as ${side.toUpperCase()}`, onclick: () => go({ [side]: run.run_id }) }, side.toUpperCase()))) },
  ], list, { label: "Runs of evals, the newest first" }));
}

async function compared(a, b, place, signal) {
  const lower = place.parameters.getAll("lower");
  const name = place.parameters.get("name") || "";
  const only = place.parameters.get("only") || "changed";
  const document = await ask("/api/evals/compare", { a, b, lower_is_better: lower, limit: 2000 }, { signal });
  const { names, cases } = document.sections;
  if (!cases.rows.length) return nothing("No case in common", `Neither an eval id nor an example id is in both ${a} and ${b}.`);
  const sum = (key) => names.rows.reduce((total, row) => total + row[key], 0);
  const kept = cases.rows.filter((row) => (!name || row.name === name) && (only === "all" || (only === "changed" ? row.change !== "same" : changes[row.change][0] === (only === "worse" ? "bad" : "good"))));
  const toggle = (one) => go({ lower: lower.includes(one) ? lower.filter((other) => other !== one) : [...lower, one] });
  return [
    h("section", { class: "card", style: { "margin-bottom": "var(--s4)" }, "data-summary": "" }, h("h2", {}, `${a} → ${b}`),
      h("p", { class: "soft" }, h("b", { class: sum("worse") ? "bad" : "" }, `${count(sum("worse"))} got worse`), ", ", h("b", { class: sum("better") ? "good" : "" }, `${count(sum("better"))} better`), `, ${count(sum("same"))} the same`, sum("only_a") + sum("only_b") ? `; ${count(sum("only_a"))} in A alone, ${count(sum("only_b"))} in B alone` : ""),
      table([
        { name: "Eval", show: (row) => h("strong", {}, row.name) },
        { name: "Cases", number: true, show: (row) => count(row.cases) },
        { name: "Worse", number: true, show: (row) => h("span", { class: row.worse ? "bad" : "soft" }, count(row.worse)) },
        { name: "Better", number: true, show: (row) => h("span", { class: row.better ? "good" : "soft" }, count(row.better)) },
        { name: "Same", number: true, show: (row) => count(row.same) },
        { name: "Mean A → B", number: true, show: (row) => `${score(row.mean_a)} → ${score(row.mean_b)}` },
        { name: "Failed A → B", number: true, show: (row) => `${percent(row.failed_a, row.cases)} → ${percent(row.failed_b, row.cases)}` },
        { name: "Better is", show: (row) => h("button", { type: "button", class: "tiny", "aria-label": `For ${row.name}, ${lower.includes(row.name) ? "lower" : "higher"} is better`, onclick: () => toggle(row.name) }, lower.includes(row.name) ? "lower ↓" : "higher ↑") },
      ], names.rows, { label: "Evals by name, A beside B" })),
    h("section", { class: "card", style: { "margin-bottom": "var(--s4)" }, "data-cases": "" }, h("div", { class: "bar spread" }, h("h2", {}, "Cases"),
      field("Show", choice([{ value: "changed", label: "what changed" }, { value: "worse", label: "what got worse" }, { value: "better", label: "what got better" }, { value: "all", label: "all" }], only, (value) => go({ only: value === "changed" ? null : value }), null)),
      names.rows.length > 1 ? field("Eval", choice(names.rows.map((row) => row.name), name, (value) => go({ name: value }))) : null),
      table([
        { name: "Case", className: "long", show: (row) => h("strong", {}, row.case) },
        { name: "Eval", show: (row) => row.name },
        { name: "", show: (row) => h("span", { class: `badge ${changes[row.change][0]}` }, changes[row.change][1]) },
        { name: "Score A → B", number: true, show: (row) => h("span", { class: changes[row.change][0] }, `${score(row.score_a)} → ${score(row.score_b)}`) },
        { name: "Label A → B", show: (row) => (row.label_a === row.label_b ? row.label_a || "" : `${row.label_a || "–"} → ${row.label_b || "–"}`) },
        { name: "Latency A → B", number: true, show: (row) => (row.ms_a === null && row.ms_b === null ? "" : `${row.ms_a === null ? "–" : duration(row.ms_a * 1e6)} → ${row.ms_b === null ? "–" : duration(row.ms_b * 1e6)}`) },
        { name: "Explanation", className: "long", show: (row) => (row.explanation_a === row.explanation_b ? row.explanation_a && plain(row.explanation_a) : ["a", "b"].filter((side) => row[`explanation_${side}`]).map((side) => h("div", { class: "side-text" }, h("span", { class: "soft" }, side.toUpperCase()), plain(row[`explanation_${side}`])))) },
        { name: "Traces", show: (row) => ["a", "b"].filter((side) => row[`trace_${side}`]).map((side) => [h("a", { href: traceLink(row[`trace_${side}`], row[`span_${side}`]), "aria-label": `Trace of ${row.case} in ${side.toUpperCase()}` }, side.toUpperCase()), " "]) },
      ], kept.slice(0, shownAtOnce), { label: "Cases, what got worse first", empty: only === "worse" ? "Nothing got worse." : "Nothing changed." }),
      kept.length > shownAtOnce ? h("p", { class: "soft small" }, `The first ${shownAtOnce} of ${count(kept.length)}; fusebox eval compare has all.`) : null, (cases.notes || []).map((note) => h("p", { class: "soft small" }, note))),
  ];
}
