// One trace as a waterfall. Only the rows in view are in the document, so thousands of spans stay light.
import { address, ask, clock, count, counted, day, dollars, duration, go, h, milliseconds, nanoseconds, problem, replace, stageClass, stateOf, table, traceLink, when } from "./kit.js";

const rowsBeyondView = 8;

export async function trace({ place, signal, title }) {
  const data = await ask(`/api/traces/${encodeURIComponent(place.id || "")}`, {}, { signal });
  const tree = grow(data);
  const root = tree.roots[0];
  title(root.span.name || "Trace");
  const panel = h("section", { class: "card detail", "aria-label": "The chosen span", tabindex: "-1", "data-detail": "" });
  const fall = waterfall(tree, panel, data, signal);
  const chosen = place.parameters.get("span");
  fall.choose(tree.byID.get(chosen) || root, Boolean(chosen));
  const find = h("input", { type: "search", "data-search": "", placeholder: "Find in this trace", "aria-label": "Find in this trace", oninput: () => fall.find(find.value.trim().toLowerCase()) });
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") fall.nextFound(); });
  const said = h("div", { "data-logs": "" });
  logs(said, tree, data, fall, signal);
  const copy = h("button", { type: "button", class: "quiet", onclick: async () => { await navigator.clipboard?.writeText(data.trace_id); replace(copy, "Copied"); } }, "Copy id");
  return [
    h("div", { class: "head" }, h("div", {}, h("h1", {}, root.span.name || "no name"), facts(tree, data)), h("div", { class: "bar" }, find, copy)),
    data.truncated ? h("p", { class: "problem" }, `The trace has ${count(data.span_count)} spans; the first ${count(data.spans.length)} by start are shown. SQL reads all of them.`) : null,
    h("div", { class: "trace-page" }, fall.element, panel), said,
  ];
}

function grow(data) {
  const byID = new Map();
  for (const span of data.spans) byID.set(span.span_id, { span, children: [], depth: 0, isOpen: true, parent: null });
  const roots = [];
  for (const node of byID.values()) {
    const parent = byID.get(node.span.parent_span_id);
    if (parent && parent !== node) { node.parent = parent; parent.children.push(node); } else roots.push(node);
  }
  // Spans whose parents form a ring hang under nobody: they are shown as roots.
  const reached = new Set();
  const visit = (start) => {
    const stack = [[start, 0]];
    while (stack.length) {
      const [node, depth] = stack.pop();
      if (reached.has(node)) continue;
      reached.add(node);
      node.depth = depth;
      for (const child of node.children) stack.push([child, depth + 1]);
    }
  };
  roots.forEach(visit);
  for (const node of byID.values()) if (!reached.has(node)) { node.parent = null; roots.push(node); visit(node); }
  let start = null;
  let end = null;
  for (const span of data.spans) {
    span.start = nanoseconds(span.start_time_unix_nano);
    span.end = nanoseconds(span.end_time_unix_nano);
    if (start === null || span.start < start) start = span.start;
    if (end === null || span.end > end) end = span.end;
  }
  for (const node of byID.values()) {
    node.offset = Number(node.span.start - start);
    node.counts = node.span.counts_tokens && !node.children.some((child) => child.span.counts_tokens);
    node.evals = [];
  }
  for (const one of data.evals) (byID.get(one.span_id) || roots[0]).evals.push(one);
  return { byID, roots, start, length: Math.max(1, Number(end - start)) };
}

// Sums over a node and what hangs under it, each token once.
function below(node) {
  const sums = { tokens: 0, dollars: null, spans: 0 };
  const stack = [node];
  const seen = new Set();
  while (stack.length) {
    const one = stack.pop();
    if (seen.has(one)) continue;
    seen.add(one);
    sums.spans += 1;
    if (one.counts) {
      sums.tokens += one.span.tokens;
      if (one.span.dollars !== null) sums.dollars = (sums.dollars || 0) + one.span.dollars;
    }
    stack.push(...one.children);
  }
  return sums;
}

function facts(tree, data) {
  const all = [...tree.byID.values()];
  const errors = all.filter((node) => node.span.status_code === 2).length;
  const timeouts = all.filter((node) => node.span.outcome === "timeout").length;
  const sums = tree.roots.map(below);
  const tokens = sums.reduce((total, one) => total + one.tokens, 0);
  const priced = sums.some((one) => one.dollars !== null);
  const start = milliseconds(data.spans[0].start_time_unix_nano);
  const fact = (value, text) => h("span", {}, h("b", {}, value), ` ${text}`);
  const services = new Set(data.spans.map((span) => span.service_name));
  return h("div", { class: "facts" }, fact(duration(tree.length), ""), fact(count(data.span_count), data.span_count === 1 ? "span" : "spans"), timeouts ? fact(count(timeouts), timeouts === 1 ? "timeout" : "timeouts") : null, errors ? fact(count(errors), errors === 1 ? "error" : "errors") : null,
    tokens ? fact(count(tokens), "tokens") : null, priced ? fact(dollars(sums.reduce((total, one) => total + (one.dollars || 0), 0)), "") : null,
    h("span", {}, `${day(start)} ${clock(start)}`), h("span", {}, [...services].slice(0, 3).join(", ") + (services.size > 3 ? ` and ${services.size - 3} more` : "")),
    data.spans.find((span) => span.session_id) ? h("a", { href: address("session", { id: data.spans.find((span) => span.session_id).session_id }) }, "Session") : null, h("span", { class: "mono" }, data.trace_id));
}

function waterfall(tree, panel, data, signal) {
  const space = h("div", { class: "fall-space", role: "presentation" });
  const box = h("div", { class: "fall-rows", role: "tree", tabindex: "0", "aria-label": "Spans of the trace, as a tree" }, space);
  const ruler = h("div", { class: "ruler", "aria-hidden": "true" });
  const stages = [["llm", "model"], ["tool", "tool"], ["vector", "retrieval"], ["subprocess", "program"], ["other", "other"]];
  const element = h("section", { class: "card fall", "data-length-ns": tree.length },
    h("div", { class: "fall-head" }, h("div", { class: "keys" }, stages.map(([stage, name]) => h("span", { class: `key stage-${stage}` }, h("i"), name))), ruler), box);
  let rows = [];
  let chosen = null;
  let found = null;
  const rowHeight = () => 1.75 * parseFloat(getComputedStyle(document.documentElement).fontSize);

  function flatten() {
    rows = [];
    const stack = [...tree.roots].reverse();
    while (stack.length) {
      const node = stack.pop();
      node.row = rows.length;
      rows.push(node);
      if (node.isOpen) for (let index = node.children.length - 1; index >= 0; index -= 1) stack.push(node.children[index]);
    }
    space.style.setProperty("height", `${rows.length * rowHeight()}px`);
    draw();
  }

  let drawnRange = "";
  function draw(force = true) {
    const tall = rowHeight();
    const first = Math.max(0, Math.floor(box.scrollTop / tall) - rowsBeyondView);
    const last = Math.min(rows.length, Math.ceil((box.scrollTop + (box.clientHeight || 600)) / tall) + rowsBeyondView);
    const range = `${first}-${last}`;
    if (!force && range === drawnRange) return;
    drawnRange = range;
    space.replaceChildren(...rows.slice(first, last).map((node) => row(node, tall)));
    if (chosen) box.setAttribute("aria-activedescendant", `span-${chosen.span.span_id}`);
  }

  function row(node, tall) {
    const span = node.span;
    const state = stateOf(span);
    const left = (node.offset / tree.length) * 100;
    const wide = ((span.duration_ns || 0) / tree.length) * 100;
    const labels = [span.duration_ns === null ? "not ended" : duration(span.duration_ns)];
    if (node.counts && span.tokens) labels.push(`${count(span.tokens)} tok`);
    if (node.counts && span.dollars !== null) labels.push(dollars(span.dollars));
    if (state !== "ok") labels.push(state);
    for (const one of node.evals) labels.push(`${one.name} ${one.score ?? one.label ?? ""}`);
    // Beside the bar where there is room, else before it, else on it.
    const place = left + wide <= 62 ? { left: `${left + wide}%` } : left >= 40 ? { right: `${100 - left}%` } : { right: `${Math.max(0, 100 - left - wide)}%` };
    const after = h("span", { class: `after ${left + wide > 62 && left < 40 ? "inside" : ""}`, style: place }, labels[0], labels.length > 1 ? h("span", { class: "more" }, ` · ${labels.slice(1).join(" · ")}`) : null);
    const bar = h("div", { class: "span-bar", "data-span": span.span_id, "data-start-ns": node.offset, "data-duration-ns": span.duration_ns || 0, style: { left: `${left}%`, width: `${wide}%` } });
    return h("div", {
      class: `fall-row ${stageClass(span)} ${state === "error" || state === "timeout" ? "failed" : state} ${node === chosen ? "selected" : ""} ${found && !found.has(node) ? "faint" : ""}`,
      role: "treeitem", id: `span-${span.span_id}`, "aria-level": node.depth + 1, "aria-selected": String(node === chosen), "aria-expanded": node.children.length ? String(node.isOpen) : null,
      "aria-posinset": node.row + 1, "aria-setsize": rows.length,
      "aria-label": `${span.name}, ${labels.join(", ")}`, style: { top: `${node.row * tall}px`, "--depth": Math.min(node.depth, 24) },
      onclick: () => choose(node, true),
    },
    h("div", { class: "label" },
      h("span", { class: "twist", "aria-hidden": "true", onclick: (event) => { event.stopPropagation(); fold(node, !node.isOpen); } }, node.children.length ? (node.isOpen ? "▾" : "▸") : ""),
      h("i", { class: "mark" }), h("span", { class: "text" }, span.name || "no name", " ", h("small", {}, span.tool_name && span.tool_name !== span.name ? span.tool_name : span.model || ""))),
    h("div", { class: "lanebox" }, bar, after));
  }

  function fold(node, isOpen) {
    if (!node.children.length || node.isOpen === isOpen) return;
    node.isOpen = isOpen;
    flatten();
  }

  function choose(node, isAsked) {
    chosen = node;
    for (let parent = node.parent; parent; parent = parent.parent) parent.isOpen = true;
    if (node.row === undefined || rows[node.row] !== node) flatten();
    reveal();
    draw();
    detail(panel, node, tree, data, signal, choose);
    if (isAsked) go({ span: node.span.span_id }, true);
  }

  function reveal() {
    const tall = rowHeight();
    const top = chosen.row * tall;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + tall > box.scrollTop + box.clientHeight && box.clientHeight) box.scrollTop = top + tall - box.clientHeight;
  }

  const page = () => Math.max(1, Math.floor(box.clientHeight / rowHeight()) - 1);
  const keys = {
    ArrowDown: () => rows[chosen.row + 1], ArrowUp: () => rows[chosen.row - 1], j: () => rows[chosen.row + 1], k: () => rows[chosen.row - 1],
    Home: () => rows[0], End: () => rows.at(-1),
    PageDown: () => rows[Math.min(rows.length - 1, chosen.row + page())], PageUp: () => rows[Math.max(0, chosen.row - page())],
    ArrowRight: () => { if (chosen.children.length && !chosen.isOpen) { fold(chosen, true); return chosen; } return chosen.children[0]; },
    ArrowLeft: () => { if (chosen.children.length && chosen.isOpen) { fold(chosen, false); return chosen; } return chosen.parent; },
    n: () => rows.find((node, index) => index > chosen.row && stateOf(node.span) !== "ok") || rows.find((node) => stateOf(node.span) !== "ok"),
  };
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") { panel.focus(); event.preventDefault(); return; }
    const target = keys[event.key];
    if (!target) return;
    event.preventDefault();
    const node = target();
    if (node) choose(node, true);
  });
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape") box.focus(); });
  box.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)));
  new ResizeObserver(() => { space.style.setProperty("height", `${rows.length * rowHeight()}px`); draw(); marks(); }).observe(box);

  function marks() {
    const wanted = Math.max(2, Math.min(8, Math.floor(ruler.clientWidth / 90)));
    replace(ruler, Array.from({ length: wanted }, (_, index) => h("span", { style: { left: `${(index / wanted) * 100}%` } }, index ? duration(Math.round((tree.length * index) / wanted)) : "0")));
  }

  function find(text) {
    found = text ? new Set([...tree.byID.values()].filter((node) => [node.span.name, node.span.tool_name, node.span.model, node.span.service_name, node.span.status_message, node.span.error_type].some((one) => one && one.toLowerCase().includes(text)))) : null;
    draw();
  }
  function nextFound() {
    const next = rows.find((node, index) => found?.has(node) && index > chosen.row) || rows.find((node) => found?.has(node));
    if (next) choose(next, true);
  }
  flatten();
  return { element, choose, find, nextFound };
}

// Log records of the trace, oldest first. Whatever they hold is text.

const logsShown = 500;

async function logs(place, tree, data, fall, signal) {
  let answer;
  try {
    answer = await ask("/api/logs", { trace_id: data.trace_id, limit: logsShown }, { signal });
  } catch (error) {
    if (!signal.aborted) replace(place, problem(error));
    return;
  }
  if (!answer.logs.length) return;
  const rows = answer.logs.reverse();
  const after = (record) => { const offset = Number(nanoseconds(record.time_unix_nano) - tree.start); return offset < 0 ? `−${duration(-offset)}` : duration(offset); };
  const owner = (record) => tree.byID.get(record.span_id);
  replace(place, h("section", { class: "card", "aria-label": "Log records of the trace" },
    h("h2", {}, "Logs ", h("span", { class: "soft small" }, answer.next_cursor ? `the last ${count(rows.length)}` : counted(rows.length, "record", "records"))),
    table([
      { name: "After", number: true, show: after },
      { name: "Severity", show: (record) => h("span", { class: record.severity_number >= 17 ? "bad" : record.severity_number >= 13 ? "warn" : "" }, record.severity_text || (record.severity_number || "–")) },
      { name: "Span", show: (record) => owner(record) ? h("button", { type: "button", class: "quiet", onclick: () => fall.choose(owner(record), true) }, owner(record).span.name || "no name") : "–" },
      { name: "Record", show: (record) => h("div", {}, record.event_name ? h("strong", {}, record.event_name, " ") : null, record.body ?? "",
        Object.keys(record.attributes || {}).length ? h("details", {}, h("summary", { class: "soft small" }, "Attributes"), h("dl", { class: "pairs" }, Object.entries(record.attributes).map(([key, value]) => [h("dt", {}, key), h("dd", {}, readable(value))]))) : null) },
    ], rows, { label: "Log records of the trace" })));
}

// The chosen span

const shownAbove = new Set(["trace_id", "span_id", "name", "attributes", "resource_attributes", "events", "links", "start_time_unix_nano", "end_time_unix_nano", "duration_ns", "parent_span_id", "received_time_unix_nano"]);
const kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];

async function detail(panel, node, tree, data, signal, choose) {
  const span = node.span;
  const top = [h("div", {}, h("h2", {}, span.name || "no name"), h("div", { class: "soft small" }, `${span.service_name} · ${kinds[span.kind] || span.kind}${span.scope_name ? ` · ${span.scope_name}` : ""}`)), badges(span), brief(node, tree), judged(node)];
  replace(panel, top, h("p", { class: "soft", role: "status" }, "Loading attributes…"));
  panel.dataset.span = span.span_id;
  let full;
  try {
    full = await ask(`/api/traces/${data.trace_id}/spans/${span.span_id}`, {}, { signal });
  } catch (error) {
    if (!signal.aborted && panel.dataset.span === span.span_id) replace(panel, top, problem(error));
    return;
  }
  if (panel.dataset.span !== span.span_id) return;
  const columns = Object.entries(full).filter(([name, value]) => value !== null && !shownAbove.has(name) && !(name.startsWith("dropped_") && value === 0) && name !== "flags");
  replace(panel, top, section("Attributes", Object.entries(full.attributes || {}), true), events(full.events || [], tree), links(full.links || []),
    section("Columns", columns, false), section("Resource", Object.entries(full.resource_attributes || {}), false));
}

function badges(span) {
  const state = stateOf(span);
  const all = [state === "ok" ? null : h("span", { class: `badge ${state === "rejected" ? "warn" : "bad"}` }, state + (span.timeout_reason ? ` by ${span.timeout_reason}` : "")), span.stage ? h("span", { class: "badge" }, span.stage) : null, span.breaker_state ? h("span", { class: `badge ${span.breaker_state === "open" ? "bad" : span.breaker_state === "closed" ? "good" : "warn"}` }, `breaker ${span.breaker_state.replace("_", "-")}`) : null, span.cache_hit === 1 ? h("span", { class: "badge good" }, "cache hit") : null].filter(Boolean);
  return all.length || span.status_message ? h("div", {}, all.flatMap((one) => [one, " "]), span.status_message ? h("p", { class: state === "ok" ? "soft" : "bad" }, span.status_message) : null) : null;
}

function brief(node, tree) {
  const span = node.span;
  const sums = below(node);
  const pairs = [["Took", duration(span.duration_ns)], ["Began", when(span.start_time_unix_nano, true) + (node.offset > 0 ? `, after ${duration(node.offset)}` : "")], span.model && ["Model", span.model],
    span.tokens !== null && ["Tokens", `${count(span.tokens)}${span.input_tokens !== null ? ` (${count(span.input_tokens)} in, ${count(span.output_tokens)} out${span.cached_tokens ? `, ${count(span.cached_tokens)} cached` : ""})` : ""}`],
    node.children.length && sums.tokens && ["Tokens below", count(sums.tokens)], sums.dollars !== null && ["Cost", dollars(sums.dollars)], span.retrieval_batch !== null && ["Retrieved", count(span.retrieval_batch)], span.queue_depth !== null && ["Queue depth", count(span.queue_depth)], ["Span id", span.span_id]].filter(Boolean);
  return h("dl", { class: "pairs brief" }, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function judged(node) {
  if (!node.evals.length) return null;
  return h("div", {}, h("h3", {}, "Evals"), h("dl", { class: "pairs" }, node.evals.map((one) => [h("dt", {}, one.name), h("dd", {}, [one.score, one.label, one.explanation].filter((part) => part !== null && part !== undefined).join(" · "))])));
}

function readable(value) {
  if (typeof value !== "string") return value === null ? "null" : typeof value === "object" ? JSON.stringify(value, null, 2) : String(value);
  if (/^\s*[[{]/.test(value)) { try { return JSON.stringify(JSON.parse(value), null, 2); } catch { return value; } }
  return value;
}

function section(name, pairs, isOpen) {
  if (!pairs.length) return null;
  return h("details", { open: isOpen }, h("summary", {}, `${name} `, h("span", { class: "soft" }, pairs.length)), h("dl", { class: "pairs" }, pairs.map(([key, value]) => [h("dt", {}, key), h("dd", {}, readable(value))])));
}

function events(list, tree) {
  if (!list.length) return null;
  return h("details", { open: true }, h("summary", {}, "Events ", h("span", { class: "soft" }, list.length)), list.map((event) => {
    const offset = Number(BigInt(event.time_unix_nano) - tree.start);
    return h("div", { class: "event" }, h("strong", {}, event.name), h("span", { class: "soft small" }, ` after ${duration(Math.max(0, offset))}`), h("dl", { class: "pairs" }, Object.entries(event.attributes || {}).map(([key, value]) => [h("dt", {}, key), h("dd", {}, readable(value))])));
  }));
}

function links(list) {
  if (!list.length) return null;
  return h("details", { open: true }, h("summary", {}, "Links ", h("span", { class: "soft" }, list.length)), h("ul", {}, list.map((link) => h("li", {}, h("a", { class: "mono", href: traceLink(link.trace_id, link.span_id) }, `${link.trace_id.slice(0, 8)}…/${link.span_id}`)))));
}
