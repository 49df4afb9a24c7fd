// People judge what they look at: a score, a label, a comment, into the same table as offline evals.
import { ask, field, h, problem, replace } from "./kit.js";

// Stores an eval of a person; rejects with what the server says.
export async function storeEval(one) {
  await ask("/api/evals", {}, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify([{ annotator_kind: "HUMAN", ...one }]) });
}

// A form for a span; `done` is called with the eval that was stored.
export function judge(traceID, spanID, done) {
  const kept = (name) => localStorage.getItem(`judge-${name}`) || "";
  const name = h("input", { type: "text", required: true, maxlength: "100", value: kept("name") || "quality" });
  const score = h("input", { type: "number", step: "any", placeholder: "0 to 1" });
  const label = h("input", { type: "text", maxlength: "100", placeholder: "good, wrong, …" });
  const who = h("input", { type: "text", maxlength: "100", value: kept("annotator"), placeholder: "your name" });
  const comment = h("textarea", { class: "comment", rows: "2", maxlength: "4000" });
  const said = h("div", { "aria-live": "polite" });
  const button = h("button", { type: "submit", class: "main" }, "Save");
  const form = h("form", { class: "judge", onsubmit: async (event) => {
    event.preventDefault();
    if (!score.value && !label.value.trim() && !comment.value.trim()) { replace(said, h("p", { class: "warn small" }, "A score, a label or a comment is needed.")); return; }
    button.disabled = true;
    const one = { name: name.value.trim(), trace_id: traceID, span_id: spanID, score: score.value ? Number(score.value) : null, label: label.value.trim() || null, explanation: comment.value.trim() || null, annotator: who.value.trim() || null, annotator_kind: "HUMAN" };
    try {
      await storeEval(one);
      localStorage.setItem("judge-name", one.name);
      localStorage.setItem("judge-annotator", one.annotator || "");
      replace(said, h("p", { class: "good small" }, "Saved."));
      [score, label, comment].forEach((input) => { input.value = ""; });
      done(one);
    } catch (error) {
      replace(said, problem(error));
    }
    button.disabled = false;
  } }, h("div", { class: "judge-fields" }, field("What", name), field("Score", score), field("Label", label), field("By", who)), field("Comment", comment), h("div", { class: "bar" }, button, said));
  return h("details", { class: "judging" }, h("summary", {}, "Judge this"), form);
}
