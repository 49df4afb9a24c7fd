// The chosen span: its messages, its figures, and everything that it came with.
import { address, ask, cost, count, duration, h, problem, replace, share, stateOf, tokenParts, traceLink, when } from "./kit.js";
import { below } from "./spans.js";
import { callMessages } from "./messages.js";
import { judge } from "./judge.js";
import { copyButton, value } from "./values.js";

const shownAbove = new Set(["trace_id", "span_id", "name", "attributes", "resource_attributes", "events", "links", "start_time_unix_nano", "end_time_unix_nano", "duration_ns", "parent_span_id", "received_time_unix_nano"]);
const speaks = (span) => span.stage === "llm" || span.parent_span_id === null || ["chat", "text_completion", "generate_content", "invoke_agent", "agent", "chain"].includes(span.operation);
const kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];

export async function detail(panel, node, tree, data, signal, choose) {
  const span = node.span;
  const evals = h("div", {}, judged(node));
  const top = [h("div", {}, h("h2", {}, span.name || "no name"), h("div", { class: "soft small" }, `${span.service_name} · ${kinds[span.kind] || span.kind}${span.scope_name ? ` · ${span.scope_name}` : ""}`)), badges(node), brief(node, tree), evals];
  replace(panel, top, h("p", { class: "soft", role: "status" }, "Loading attributes…"));
  panel.dataset.span = node.key;
  panel.scrollTop = 0;
  let full;
  let said = null;
  try {
    // Messages are asked for beside the attributes: most spans have none, and the rest does not wait for them.
    const asked = speaks(span) ? callMessages(data.trace_id, span.span_id, signal).catch((error) => (signal.aborted ? null : problem(error))) : null;
    full = await ask(`/api/traces/${data.trace_id}/spans/${span.span_id}`, { kind: span.kind }, { signal });
    said = await asked;
  } catch (error) {
    if (!signal.aborted && panel.dataset.span === node.key) replace(panel, top, problem(error));
    return;
  }
  if (panel.dataset.span !== node.key) return;
  const columns = Object.entries(full).filter(([name, one]) => one !== null && !shownAbove.has(name) && !(name.startsWith("dropped_") && one === 0) && name !== "flags");
  replace(panel, top, said, section("Attributes", Object.entries(full.attributes || {}), true), events(full.events || [], tree), links(full.links || []),
    section("Columns", columns, false), section("Resource", Object.entries(full.resource_attributes || {}), false),
    judge(data.trace_id, span.span_id, (one) => { node.evals.push(one); replace(evals, judged(node)); }));
}

function badges(node) {
  const span = node.span;
  const state = stateOf(span);
  const all = [node.runs ? h("span", { class: "badge run" }, "not ended") : null, state === "ok" ? null : h("span", { class: `badge ${state === "rejected" ? "warn" : "bad"}` }, state + (span.timeout_reason ? ` by ${span.timeout_reason}` : "")), span.stage ? h("span", { class: "badge" }, span.stage) : null, span.breaker_state ? h("span", { class: `badge ${span.breaker_state === "open" ? "bad" : span.breaker_state === "closed" ? "good" : "warn"}` }, `breaker ${span.breaker_state.replace("_", "-")}`) : null, span.cache_hit === 1 ? h("span", { class: "badge good" }, "cache hit") : null].filter(Boolean);
  return all.length || span.status_message ? h("div", {}, all.flatMap((one) => [one, " "]), span.status_message ? h("p", { class: state === "ok" ? "soft" : "bad" }, span.status_message) : null) : null;
}

function brief(node, tree) {
  const span = node.span;
  const sums = below(node);
  const pairs = [["Duration", node.runs ? "not ended" : duration(span.duration_ns)], ["Start", when(span.start_time_unix_nano, true) + (node.offset > 0 ? `, after ${duration(node.offset)}` : "")], node.onPath && ["Critical path", `${duration(node.onPath.duration)}, ${share(node.onPath.duration, tree.path.duration)} of the trace`], span.model && ["Model", span.model],
    span.tokens !== null && ["Tokens", `${count(span.tokens)}${span.input_tokens !== null ? ` (${count(span.input_tokens)} in, ${count(span.output_tokens)} out${tokenParts(span) ? `, ${tokenParts(span)}` : ""})` : ""}`],
    node.children.length && sums.tokens && ["Tokens below", `${count(sums.tokens)}${tokenParts(sums) ? ` (${tokenParts(sums)})` : ""}`], sums.tokens && ["Cost", cost(sums)], span.retrieval_batch !== null && ["Retrieved", count(span.retrieval_batch)], span.queue_depth !== null && ["Queue depth", count(span.queue_depth)], ["Span id", [h("span", { class: "mono" }, span.span_id), " ", copyButton(span.span_id)]]].filter(Boolean);
  return h("dl", { class: "pairs brief" }, pairs.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]));
}

function judged(node) {
  if (!node.evals.length) return null;
  return h("div", {}, h("h3", {}, "Evals"), node.evals.map((one) => h("div", { class: "pair" }, h("span", { class: "key-name" }, one.name, one.annotator ? h("small", { class: "soft" }, ` ${one.annotator}`) : null), h("div", {}, [one.score, one.label].filter((part) => part !== null && part !== undefined).join(" · "), one.explanation ? value(one.explanation) : null))));
}

// A name and its value; a long value stands under its name, at full width.
export function pair(key, given, actions) {
  const isLong = typeof given === "object" ? given !== null : String(given).length > 40 || String(given).includes("\n") || key.length > 34;
  return h("div", { class: `pair ${isLong ? "long" : ""}` }, h("span", { class: "key-name" }, key), h("div", { class: "given" }, value(given), actions || null));
}

// What leads from a value to the traces that have it, or have it not.
function filters(key, given) {
  if (typeof given === "object" || String(given).length > 200) return null;
  const link = (sign, text, label) => h("a", { class: "tiny", href: address("traces", { range: "all", attribute: `${key}${sign}${given}` }), "aria-label": label, title: label }, text);
  return h("span", { class: "filter-by" }, link("=", "＝", `Traces where ${key} is this`), link("!=", "≠", `Traces where ${key} is not this`));
}

function section(name, pairs, isOpen) {
  if (!pairs.length) return null;
  return h("details", { open: isOpen }, h("summary", {}, `${name} `, h("span", { class: "soft" }, pairs.length)), pairs.map(([key, one]) => pair(key, one, name === "Attributes" ? filters(key, one) : null)));
}

function events(list, tree) {
  if (!list.length) return null;
  return h("details", { open: true }, h("summary", {}, "Events ", h("span", { class: "soft" }, list.length)), list.map((event) => {
    const offset = Number(BigInt(event.time_unix_nano) - tree.start);
    return h("div", { class: "event" }, h("strong", {}, event.name), h("span", { class: "soft small" }, ` after ${duration(Math.max(0, offset))}`), Object.entries(event.attributes || {}).map(([key, one]) => pair(key, one)));
  }));
}

function links(list) {
  if (!list.length) return null;
  return h("details", { open: true }, h("summary", {}, "Links ", h("span", { class: "soft" }, list.length)), h("ul", { class: "plain-list" }, list.map((link) => h("li", {}, h("a", { class: "mono", href: traceLink(link.trace_id, link.span_id) }, `${link.trace_id.slice(0, 8)}…/${link.span_id}`)))));
}
