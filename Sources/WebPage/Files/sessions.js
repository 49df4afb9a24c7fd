// Conversations: who said what, with the tools that were called in between.
import { address, ask, count, duration, firstSpans, h, head, nothing, nothingInRange, rangePicker, stageClass, stateOf, table, times, traceLink, when } from "./kit.js";

export async function sessions({ signal }) {
  const [status, list] = await Promise.all([ask("/api/status", {}, { signal }), ask("/api/sessions", { ...times(), limit: 200 }, { signal })]);
  const top = head("Sessions", "Traces that carry the same session id, as one conversation.", rangePicker());
  if (!status.span_count) return [top, firstSpans()];
  if (!list.length) return [top, times().from ? nothingInRange("sessions") : nothing("No sessions", "Agents name a conversation by the attribute session.id (or gen_ai.conversation.id) on their spans.")];
  return [top, h("section", { class: "card" }, table([
    { name: "Session", className: "long", show: (one) => [h("a", { href: address("session", { id: one.session_id }) }, one.session_id), h("div", { class: "soft" }, one.service_name)] },
    { name: "Last", show: (one) => when(one.end_time_unix_nano) },
    { name: "Lasted", number: true, show: (one) => duration(Number(BigInt(one.end_time_unix_nano) - BigInt(one.start_time_unix_nano))) },
    { name: "Traces", number: true, show: (one) => count(one.trace_count) },
    { name: "Spans", number: true, show: (one) => count(one.span_count) },
    { name: "Timeouts", number: true, show: (one) => (one.timeout_count ? h("span", { class: "bad" }, count(one.timeout_count)) : "0") },
    { name: "Errors", number: true, show: (one) => (one.error_count ? h("span", { class: "warn" }, count(one.error_count)) : "0") },
  ], list, { label: "Sessions, newest first" }))];
}

export async function session({ place, signal, title }) {
  const id = place.parameters.get("id") || "";
  const data = await ask("/api/session", { id }, { signal });
  title(`Session ${id}`);
  const turns = new Map();
  for (const span of data.spans) {
    if (!turns.has(span.trace_id)) turns.set(span.trace_id, []);
    turns.get(span.trace_id).push(span);
  }
  const talk = h("div", { class: "talk" });
  const said = new Set();
  let isSpoken = false;
  for (const [trace, spans] of turns) {
    const root = spans.find((span) => span.parent_span_id === null) || spans[0];
    talk.append(h("div", { class: "turn-mark" }, h("span", {}, when(root.start_time_unix_nano, true)), h("a", { href: traceLink(trace) }, root.name || "trace"), h("span", {}, duration(root.duration_ns))));
    isSpoken = turn(spans, root, talk, said) || isSpoken;
  }
  if (!isSpoken) talk.prepend(h("p", { class: "soft" }, "The agent sent no message content; instrumentations keep it out unless told otherwise."));
  return [head(`Session ${id}`, `${count(turns.size)} ${turns.size === 1 ? "trace" : "traces"}`, h("a", { href: address("traces", { session: id, range: "all" }) }, "As traces")), talk];
}

// What was said in one trace; whether anything was. A model call repeats the conversation so far: what was shown already is left out.
function turn(spans, root, talk, said) {
  let isSpoken = false;
  const here = new Set();
  // `isHistory`: from before the last question, which earlier traces may have shown.
  const say = (role, text, isHistory = false) => {
    const key = JSON.stringify([role, text]);
    if (!text || here.has(key) || (isHistory && said.has(key))) return;
    here.add(key);
    said.add(key);
    isSpoken = true;
    talk.append(h("div", { class: `message ${role === "user" || role === "human" ? "user" : role === "system" ? "system" : ""}` }, h("span", { class: "who" }, role), h("div", { class: "body" }, text)));
  };
  const hear = (span) => {
    const list = messages(span).filter((one) => one.role !== "tool");
    const question = list.findLastIndex((one) => one.role === "user" || one.role === "human");
    list.forEach((one, index) => say(one.role, one.text, index < question));
  };
  for (const span of spans) {
    if (span.stage === "llm" || span.operation === "chat") hear(span);
    else if (span.tool_name) {
      const state = stateOf(span);
      talk.append(h("div", { class: `call ${stageClass(span)}` }, h("a", { href: traceLink(span.trace_id, span.span_id) }, span.tool_name), h("span", { class: "soft" }, duration(span.duration_ns)), state === "ok" ? null : h("span", { class: `badge ${state === "rejected" ? "warn" : "bad"}` }, state)));
    }
  }
  if (!isSpoken) {
    const { "input.value": input, "output.value": output } = root.attributes || {};
    say("user", plain(input));
    say("assistant", plain(output));
  }
  return isSpoken;
}

// Messages of a model call in the shapes that instrumentations use.
export function messages(span) {
  const attributes = span.attributes || {};
  const found = [];
  const push = (role, content) => { const text = plain(content); if (text) found.push({ role: role || "assistant", text }); };
  const list = (text) => { try { const value = JSON.parse(text); return Array.isArray(value) ? value : []; } catch { return []; } };
  for (const name of ["gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages"]) {
    const value = attributes[name];
    for (const one of typeof value === "string" ? list(value) : Array.isArray(value) ? value : []) push(one.role || (name.includes("system") ? "system" : undefined), one.parts || one.content);
  }
  for (const [prefix, infix] of [["llm.input_messages.", "message."], ["llm.output_messages.", "message."], ["gen_ai.prompt.", ""], ["gen_ai.completion.", ""]]) {
    for (let index = 0; index < 500; index += 1) {
      const at = `${prefix}${index}.${infix}`;
      const role = attributes[`${at}role`];
      const content = attributes[`${at}content`] ?? attributes[`${at}contents.0.message_content.text`];
      if (role === undefined && content === undefined) break;
      push(role, content);
    }
  }
  for (const event of span.events || []) {
    const own = event.attributes || {};
    if (event.name === "gen_ai.choice") push("assistant", own.content ?? own.message);
    else if (/^gen_ai\.(user|system|assistant)\.message$/.test(event.name)) push(event.name.split(".")[1], own.content);
  }
  return found;
}

function plain(value) {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map((part) => plain(part?.content ?? part?.text ?? part)).filter(Boolean).join("\n");
  if (value.type === "tool_call" || value.type === "tool_call_response") return "";
  if (typeof value === "object") return plain(value.content ?? value.text ?? "") || JSON.stringify(value);
  const text = String(value);
  if (/^\s*[[{]/.test(text)) { try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; } }
  return text;
}
