// What models were told and said, as messages. The server reads what frameworks sent; here it is only shown.
import { ask, duration, h, problem, replace, traceLink, when } from "./kit.js";
import { parseContainer, brief } from "./json.js";
import { plain, size, value } from "./values.js";

const stateTone = { timeout: "bad", error: "bad", rejected: "warn" };
const pictures = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif"]);

// One message. Buttons stand at its end, so that its words come first.
export function message(one, link) {
  const role = ["user", "system", "tool", "assistant"].includes(one.role) ? one.role : "other";
  const body = h("div", { class: "body" }, one.parts.map((part) => draw(part)));
  const head = h("header", {}, h("span", { class: "who" }, one.role), one.name ? h("span", { class: "soft" }, one.name) : null, one.finish_reason && one.finish_reason !== "stop" ? h("span", { class: "soft" }, one.finish_reason) : null, link || null);
  const element = h("article", { class: `message ${role}`, "data-role": one.role, "aria-label": `Message of ${one.role}` }, head, body);
  if (role !== "system") return element;
  // Instructions are long, the same every time, and rarely what one came for.
  const text = one.parts.map((part) => part.text || "").join(" ");
  if (text.length < 400) return element;
  return h("details", { class: "message system", "data-role": "system" }, h("summary", {}, h("span", { class: "who" }, "system"), " ", h("span", { class: "soft" }, text.slice(0, 100), "…")), body);
}

function draw(part) {
  switch (part.type) {
    case "text": return h("div", { class: "part text" }, value(part.text, { markdown: !parseContainer(part.text), copy: true }), omitted(part));
    case "reasoning": return h("details", { class: "part reasoning" }, h("summary", {}, "Reasoning ", h("span", { class: "soft" }, part.text.slice(0, 80).replaceAll("\n", " "), part.text.length > 80 ? "…" : "")), plain(part.text), omitted(part));
    case "tool_call": return toolCall(part);
    case "tool_result": return h("div", { class: "part result" }, h("div", { class: "tool-line" }, h("span", { class: "soft" }, "Result"), part.name ? h("strong", {}, part.name) : null, part.is_error ? h("span", { class: "badge bad" }, "error") : null, part.call_id ? h("span", { class: "mono soft small" }, part.call_id) : null), part.content.length ? part.content.map((one) => (one.type === "text" ? h("div", {}, value(one.text), omitted(one)) : draw(one))) : h("span", { class: "soft" }, "empty"));
    case "media": return media(part);
    default: return h("div", { class: "part" }, value(part.value));
  }
}

const omitted = (part) => (part.omitted_bytes ? h("p", { class: "soft small" }, `${size(part.omitted_bytes)} more are stored; the span's attributes have all.`) : null);

function toolCall(part) {
  const run = part.run;
  return h("div", { class: "part tool-call", "data-call": part.id || "" },
    h("div", { class: "tool-line" }, h("span", { class: "soft" }, "Calls"), run ? h("a", { href: traceLink(run.trace_id, run.span_id) }, part.name || "a tool") : h("strong", {}, part.name || "a tool"), run ? ran(run) : null, part.id ? h("span", { class: "mono soft small" }, part.id) : null),
    part.arguments === null || part.arguments === "" ? null : value(part.arguments),
    run?.error?.message ? h("p", { class: "bad" }, run.error.message) : null,
    run?.result?.length ? h("details", {}, h("summary", {}, "Result"), run.result.map(draw)) : null);
}

const ran = (run) => [h("span", { class: "soft" }, duration(run.duration_ns)), run.outcome && run.outcome !== "ok" ? h("span", { class: `badge ${stateTone[run.outcome] || ""}` }, run.outcome) : null];

function media(part) {
  const type = part.media_type || part.media;
  const label = part.name || type;
  if (part.data) {
    const about = `${label}, ${size(Math.round((part.data.length * 3) / 4))}`;
    if (pictures.has(type)) return h("figure", { class: "part media" }, h("img", { src: `data:${type};base64,${part.data}`, alt: label, loading: "lazy" }), h("figcaption", { class: "soft small" }, about));
    return h("p", { class: "part soft" }, about);
  }
  if (part.uri) {
    const isWeb = /^https?:\/\//i.test(part.uri);
    // Somebody else's server learns of it only when it is asked for.
    return h("p", { class: "part" }, h("span", { class: "soft" }, `${label}: `), isWeb ? h("a", { href: part.uri, target: "_blank", rel: "noopener noreferrer nofollow" }, part.uri.length > 100 ? `${part.uri.slice(0, 100)}…` : part.uri) : h("span", { class: "mono" }, part.uri));
  }
  return h("p", { class: "part soft" }, part.omitted_bytes ? `${label}, ${size(part.omitted_bytes)}: too large to be shown here` : `${label}: ${part.file_id || ""}`);
}

export function toolsOffered(tools) {
  if (!tools.length) return null;
  return h("details", { class: "offers" }, h("summary", {}, "Tools offered ", h("span", { class: "soft" }, tools.length)),
    tools.map((tool) => h("details", { class: "offer" }, h("summary", {}, h("strong", {}, tool.name), " ", h("span", { class: "soft" }, (tool.description || "").slice(0, 120))), tool.description && tool.description.length > 120 ? plain(tool.description) : null, tool.parameters ? value(tool.parameters) : null)));
}

const failure = (error, model, link) => h("div", { class: "message failure", role: "note", "data-failure": "" }, h("header", {}, h("span", { class: "who bad" }, "failed"), model ? h("span", { class: "soft" }, model) : null, link || null), h("div", { class: "body" }, error.type ? h("strong", {}, error.type, " ") : null, error.message ? plain(error.message) : null));

// The messages of one call, in the panel of its span. Nothing when it has none.
export async function callMessages(traceID, spanID, signal) {
  const data = await ask(`/api/traces/${traceID}/messages`, { span_id: spanID }, { signal });
  if (!data.input.length && !data.output.length && !data.tools.length) return null;
  // What came before the last question was said before; it is a click away.
  const question = data.input.findLastIndex((one) => one.role === "user");
  const before = question > 2 ? data.input.slice(0, question) : [];
  const now = data.input.slice(before.length);
  const box = h("section", { class: "talk inside", "aria-label": "Messages" });
  const show = (all) => replace(box,
    before.length && !all ? h("p", {}, h("button", { type: "button", class: "tiny", onclick: () => show(true) }, `${before.length} earlier messages`)) : before.map((one) => message(one)),
    now.map((one) => message(one)), data.output.map((one) => message(one)), data.error ? failure(data.error) : null, toolsOffered(data.tools),
    data.truncated ? h("p", { class: "soft small" }, "Something was too large to show; SQL returns all of it.") : null);
  show(false);
  return box;
}

// A conversation, trace by trace. `mark` draws what stands between traces.
export function conversation(data, mark) {
  const talk = h("div", { class: "talk" });
  let last = null;
  for (const item of data.items) {
    if (mark && item.trace_id !== last) { talk.append(mark(item)); last = item.trace_id; }
    const link = h("a", { class: "small", href: traceLink(item.trace_id, item.span_id), "aria-label": `The span of ${when(item.start_time_unix_nano, true)}` }, when(item.start_time_unix_nano, true));
    if (item.kind === "message") talk.append(message(item, link));
    else if (item.kind === "failure") talk.append(failure(item.error, item.model, link));
    else talk.append(h("div", { class: "call stage-tool" }, h("a", { href: traceLink(item.trace_id, item.span_id) }, item.name), ran(item), item.arguments ? h("span", { class: "soft mono small" }, brief(parseContainer(item.arguments) || { text: item.arguments }, 100)) : null, item.error?.message ? h("span", { class: "bad" }, item.error.message) : null, item.result.length ? h("details", {}, h("summary", {}, "Result"), item.result.map(draw)) : null));
  }
  const offers = toolsOffered(data.tools);
  if (offers) talk.append(offers);
  if (data.truncated) talk.append(h("p", { class: "soft small" }, "The conversation is longer than is shown here."));
  if (!data.items.some((item) => item.kind === "message")) talk.prepend(h("p", { class: "soft" }, "The agent sent no message content: instrumentations leave it out unless told to send it."));
  return talk;
}

// A trace's conversation, filled in when it is there.
export async function traceConversation(place, traceID, signal) {
  try {
    const data = await ask(`/api/traces/${traceID}/messages`, {}, { signal });
    if (!signal.aborted) replace(place, conversation(data));
  } catch (error) {
    if (!signal.aborted) replace(place, problem(error));
  }
}
