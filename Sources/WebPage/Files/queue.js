// Judging one thing after another, by keys: traces, spans or sessions that have no eval of a name yet. What has none is asked of the server.
import { address, ask, choice, cost, count, counted, duration, field, go, h, head, nothing, problem, rangePicker, replace, stateOf, times, traceLink, when } from "./kit.js";
import { chips, filters } from "./filters.js";
import { storeEval } from "./judge.js";
import { callMessages, conversation, traceConversation } from "./messages.js";
import { pair } from "./detail.js";

const targets = { trace: "traces", span: "spans", session: "sessions" };
const scale = [0, 0.25, 0.5, 0.75, 1];
const atOnce = 200;
const kept = (name) => localStorage.getItem(`judge-${name}`) || "";

export async function judging({ place, signal }) {
  const asked = filters(place.parameters);
  const of = targets[place.parameters.get("of")] ? place.parameters.get("of") : "trace";
  const what = place.parameters.get("what") || kept("name") || "quality";
  const who = kept("annotator");
  const isMine = place.parameters.get("by") === "me" && Boolean(who);
  const { name: span, ...conditions } = asked;
  const query = { ...times(), ...conditions, of, name: what, span, annotator: isMine ? who : undefined, limit: atOnce };
  const [data, services] = await Promise.all([ask("/api/judging", query, { signal }), ask("/api/values", { ...times(), column: "service_name" }, { signal })]);
  const name = h("input", { type: "text", value: what, maxlength: "100", onchange: () => { localStorage.setItem("judge-name", name.value.trim() || "quality"); go({ what: name.value.trim() }); } });
  const judge = h("input", { type: "text", value: who, maxlength: "100", placeholder: "your name", onchange: () => { localStorage.setItem("judge-annotator", judge.value.trim()); dispatchEvent(new Event("hashchange")); } });
  const top = head("Judge", "What has no such eval yet, one after another. Everything works from the keyboard.", rangePicker());
  const form = h("div", { class: "filters", role: "search", "aria-label": "What to judge" },
    field("Eval name", name), field("Judge what", choice(Object.entries(targets).map(([value, label]) => ({ value, label })), of, (value) => go({ of: value }), null)), field("Your name", judge),
    field("Skip if judged by", choice([{ value: "anyone", label: "anyone" }, { value: "me", label: who ? `me (${who})` : "me: needs a name" }], isMine ? "me" : "anyone", (value) => go({ by: value === "me" ? "me" : null }), null)),
    field("Service", choice(services.map((one) => one.value), asked.service, (service) => go({ service }))),
    of === "session" ? null : field("Run", choice([{ value: "error", label: "failed" }, { value: "ok", label: "did not fail" }], of === "trace" ? asked.root : asked.status, (value) => go(of === "trace" ? { root: value } : { status: value }), "Any")));
  return [top, form, chips(asked, new Set(["service", of === "trace" ? "root" : of === "span" ? "status" : ""])), queue(data, { of, what, isMine }, signal)];
}

const identity = (of, one) => (of === "trace" ? { trace_id: one.trace_id } : of === "span" ? { trace_id: one.trace_id, span_id: one.span_id } : { session_id: one.session_id });
const linkOf = (of, one) => (of === "session" ? address("session", { id: one.session_id }) : traceLink(one.trace_id, one.span_id));

function queue(data, { of, what }, signal) {
  if (!data.items.length) return nothing("Nothing left to judge", data.judged_count ? `All ${targets[of]} that match have an eval of "${what}".` : `No ${targets[of]} match.`, h("p", {}, h("a", { href: address("evals", { name: what }) }, "The evals")), h("button", { type: "button", class: "main", onclick: () => go({ range: "all", from: null, to: null }) }, "Look at all time"));
  const items = data.items.map((one) => ({ one, given: null }));
  let at = 0;
  let stored = 0;
  const said = h("p", { class: "progress", role: "status", "data-progress": "" });
  const bar = h("i", {});
  const shown = h("section", { class: "card judged-item", "aria-label": "What is judged" });
  const judgement = form(save, () => move(1), () => move(-1));
  const box = h("div", { class: "judging-page", tabindex: "0", role: "group", "aria-label": "Queue", "data-keys": "", "data-queue": "" }, h("div", { class: "judging-head" }, said, h("div", { class: "done-bar", "aria-hidden": "true" }, bar)), shown, judgement.element);
  const left = () => items.filter((item) => !item.given).length;

  function tell() {
    replace(said, h("b", {}, count(at + 1)), ` of ${count(items.length)}${data.truncated ? "+" : ""} · `, h("b", { "data-done": "" }, count(stored)), " judged now, ", h("b", {}, count(data.judged_count + stored)), " in all · ", h("b", {}, `${count(left())}${data.truncated ? "+" : ""}`), " left");
    bar.style.setProperty("width", `${(100 * (items.length - left())) / items.length}%`);
  }
  function show(index) {
    at = index;
    const item = items[at];
    tell();
    judgement.show(item.given);
    replace(shown, about(of, item.one), content(of, item.one, signal));
    shown.scrollTop = 0;
  }
  function move(step) {
    const next = at + step;
    if (next >= 0 && next < items.length) show(next);
  }
  async function save(given) {
    const item = items[at];
    await storeEval({ ...identity(of, item.one), name: what, annotator: kept("annotator").trim() || null, ...given });
    if (!item.given) stored += 1;
    item.given = given;
    // On to the next that is not judged, behind this one first.
    const next = items.findIndex((one, index) => index > at && !one.given);
    const other = next < 0 ? items.findIndex((one) => !one.given) : next;
    if (other >= 0) { show(other); box.focus({ preventScroll: true }); return; }
    tell();
    replace(shown, h("div", { class: "empty" }, h("h2", {}, "All judged"), h("p", {}, data.truncated ? "There are more." : `No ${targets[of]} are left.`), h("button", { type: "button", class: "main", onclick: () => dispatchEvent(new Event("hashchange")) }, "Look for more")));
    shown.querySelector("button").focus();
  }
  let goes = false;
  box.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey) return;
    const isTyping = event.target.closest("input, textarea, select");
    if (event.key === "Escape" && isTyping) { box.focus(); event.preventDefault(); return; }
    if (event.key === "Enter" && (event.ctrlKey || (isTyping && event.target.localName === "input"))) { judgement.submit(); event.preventDefault(); return; }
    if (isTyping || event.ctrlKey) return;
    // After g, a letter names a page.
    if (goes || event.key === "g") { goes = event.key === "g"; return; }
    const digit = "12345".indexOf(event.key);
    const keys = { p: judgement.pass, f: judgement.fail, c: judgement.comment, l: judgement.label, n: () => move(1), j: () => move(1), ArrowRight: () => move(1), b: () => move(-1), k: () => move(-1), ArrowLeft: () => move(-1), Backspace: judgement.clear };
    if (event.key === "Enter" && !event.target.closest("a, button, summary")) judgement.submit();
    else if (digit >= 0 && event.key.length === 1) judgement.score(scale[digit]);
    else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  show(0);
  return box;
}

// The form at the side: a scale, pass and fail, a label, a comment.
function form(save, skip, back) {
  const score = h("input", { type: "number", step: "any", placeholder: "0 to 1", oninput: () => mark() });
  const label = h("input", { type: "text", maxlength: "100", placeholder: "good, wrong, …", oninput: () => mark() });
  const comment = h("textarea", { class: "comment", rows: "3", maxlength: "4000" });
  const said = h("div", { "aria-live": "polite" });
  const steps = scale.map((value, index) => h("button", { type: "button", "aria-pressed": "false", "aria-keyshortcuts": String(index + 1), title: `Score ${value}`, onclick: () => set(value, label.value) }, h("b", {}, String(index + 1)), " ", h("small", {}, String(value))));
  const verdicts = [["pass", 1, "p"], ["fail", 0, "f"]].map(([word, value, key]) => h("button", { type: "button", "aria-pressed": "false", "aria-keyshortcuts": key, onclick: () => set(value, word) }, word));
  const button = h("button", { type: "submit", class: "main" }, "Save, next");
  function mark() {
    steps.forEach((one, index) => one.setAttribute("aria-pressed", String(score.value !== "" && Number(score.value) === scale[index])));
    verdicts.forEach((one) => one.setAttribute("aria-pressed", String(label.value === one.textContent)));
  }
  function set(value, word) {
    score.value = value === null ? "" : String(value);
    label.value = word;
    replace(said);
    mark();
  }
  async function submit() {
    if (!score.value && !label.value.trim() && !comment.value.trim()) { replace(said, h("p", { class: "warn small" }, "A score, a label or a comment is needed. → skips this one.")); return; }
    if (button.disabled) return;
    button.disabled = true;
    try {
      await save({ score: score.value ? Number(score.value) : null, label: label.value.trim() || null, explanation: comment.value.trim() || null });
      replace(said, h("p", { class: "good small" }, "Saved."));
    } catch (error) {
      replace(said, problem(error));
    }
    button.disabled = false;
  }
  const help = [["1 … 5", "score"], ["p, f", "pass, fail"], ["c", "comment"], ["l", "label"], ["Enter", "save, next"], ["→ ←", "skip, back"], ["Esc", "out of a field"], ["⌫", "clear"]];
  const element = h("form", { class: "card judge", onsubmit: (event) => { event.preventDefault(); submit(); } },
    h("div", { class: "scale segments", role: "group", "aria-label": "Score" }, steps), h("div", { class: "segments verdicts", role: "group", "aria-label": "Verdict" }, verdicts),
    h("div", { class: "judge-fields" }, field("Score", score), field("Label", label)), field("Comment", comment),
    h("div", { class: "bar" }, button, h("button", { type: "button", onclick: skip }, "Skip"), h("button", { type: "button", onclick: back }, "Back")), said,
    h("dl", { class: "keys-help" }, help.map(([key, does]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, does)])));
  return {
    element, submit,
    score: (value) => set(value, ["pass", "fail"].includes(label.value) ? "" : label.value),
    pass: () => set(1, "pass"), fail: () => set(0, "fail"), comment: () => comment.focus(), label: () => label.focus(),
    clear: () => { set(null, ""); comment.value = ""; },
    show(given) { set(given?.score ?? null, given?.label || ""); comment.value = given?.explanation || ""; },
  };
}

function about(of, one) {
  if (of === "session") {
    return h("div", {}, h("h2", {}, h("a", { href: linkOf(of, one) }, one.session_id)), h("p", { class: "soft small" }, [one.service_name, one.user_id, counted(one.trace_count, "trace", "traces"), when(one.start_time_unix_nano)].filter(Boolean).join(" · ")));
  }
  const state = of === "trace" ? (one.root_status_code === 2 ? "failed" : null) : stateOf(one) === "ok" ? null : stateOf(one);
  return h("div", {}, h("h2", {}, h("a", { href: linkOf(of, one) }, one.name || "no name"), state ? [" ", h("span", { class: "badge bad" }, state)] : null),
    h("p", { class: "soft small" }, [one.service_name, one.model, one.tool_name, duration(one.duration_ns), one.tokens ? `${count(one.tokens)} tokens` : null, one.dollars === undefined || one.dollars === null ? null : cost(one), when(one.start_time_unix_nano)].filter(Boolean).join(" · ")));
}

// What was said, or what the span came with where nothing was.
function content(of, one, signal) {
  const place = h("div", {}, h("p", { class: "soft", role: "status" }, "Loading…"));
  const fill = async () => {
    if (of === "trace") return traceConversation(place, one.trace_id, signal);
    if (of === "session") return replace(place, conversation(await ask("/api/session/messages", { id: one.session_id }, { signal })));
    const [said, full] = await Promise.all([callMessages(one.trace_id, one.span_id, signal), ask(`/api/traces/${one.trace_id}/spans/${one.span_id}`, { kind: one.kind }, { signal })]);
    return replace(place, said, full.status_message ? h("p", { class: "bad" }, full.status_message) : null, h("details", { open: !said }, h("summary", {}, "Attributes"), Object.entries(full.attributes || {}).map(([key, value]) => pair(key, value))));
  };
  fill().catch((error) => { if (!signal.aborted) replace(place, problem(error)); });
  return place;
}
