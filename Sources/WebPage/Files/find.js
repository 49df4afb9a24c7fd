// Find in a trace: over names, ids, attributes, events and messages of all its spans. The server looks, since it has them all.
import { ask, count, h, replace } from "./kit.js";

const pause = 200;

export function finder(data, tree, fall, signal) {
  const said = h("span", { class: "soft small", role: "status", "data-found": "" });
  const hide = h("button", { type: "button", class: "quiet", "aria-pressed": "false", hidden: true, onclick: () => { const on = hide.getAttribute("aria-pressed") !== "true"; hide.setAttribute("aria-pressed", String(on)); fall.hideOthers(on); } }, "Only these");
  const input = h("input", { type: "search", "data-search": "", placeholder: "Find in this trace", "aria-label": "Find in this trace: names, ids, attributes, messages" });
  let timer = null;
  let asked = 0;
  const clear = () => { fall.found(null); hide.hidden = true; hide.setAttribute("aria-pressed", "false"); replace(said); };
  const look = async () => {
    const text = input.value.trim();
    const turn = (asked += 1);
    if (!text) return clear();
    try {
      const answer = await ask(`/api/traces/${data.trace_id}/find`, { q: text }, { signal });
      if (turn !== asked) return;
      fall.found(new Set(answer.span_ids));
      hide.hidden = !answer.span_ids.length;
      replace(said, answer.span_ids.length ? `${count(answer.span_ids.length)}${answer.truncated ? "+" : ""} of ${count(data.span_count)} spans` : "Nothing found");
    } catch (error) {
      if (!signal.aborted && turn === asked) replace(said, error.message);
    }
  };
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, pause); });
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); fall.nextFound(event.shiftKey ? -1 : 1); } });
  return h("div", { class: "finder" }, input, said, hide);
}
