// Which traces: the filters of the address, the field for attributes, and what removes each.
import { ask, field, go, h, place, replace, times } from "./kit.js";

export const names = ["service", "workflow", "tool", "model", "status", "root", "running", "outcome", "min_ms", "max_ms", "q", "attribute", "session", "user", "eval", "name", "stage", "breaker"];
const inForm = new Set(["service", "workflow", "tool", "model", "status", "root", "running", "outcome", "min_ms", "q"]);

export function filters(parameters) {
  const found = {};
  for (const name of names) {
    const values = parameters.getAll(name).filter(Boolean);
    if (values.length) found[name] = values.length > 1 ? values : values[0];
  }
  return found;
}

export const clearAll = () => Object.fromEntries(names.map((name) => [name, null]));

// Filters that have no control of their own, each with what removes it.
export function chips(asked, controls = inForm) {
  const extra = Object.entries(asked).filter(([name]) => !controls.has(name)).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  if (!Object.keys(asked).length) return null;
  return h("div", { class: "chips" }, extra.map(([name, value]) => h("button", { type: "button", onclick: () => remove(name, value), "aria-label": `Remove the filter ${name} ${value}` }, name === "attribute" ? value : `${name}: ${value}`, " ✕")),
    h("button", { type: "button", class: "quiet", onclick: () => go(clearAll()) }, "Clear filters"));
}

function remove(name, value) {
  const left = place().parameters.getAll(name).filter((one) => one !== value);
  go({ [name]: left.length > 1 ? left : left[0] ?? null });
}

// key=value or key!=value, with keys and values that were seen lately.
export function attributeField(asked, signal) {
  const list = h("datalist", { id: "attributes" });
  const input = h("input", { type: "text", list: "attributes", placeholder: "key=value", spellcheck: "false", autocomplete: "off", "data-attribute": "" });
  let keys = null;
  const complete = async () => {
    const [key, rest] = input.value.split(/!?=(.*)/s);
    try {
      if (rest === undefined) {
        keys ??= await ask("/api/attributes", times(), { signal });
        replace(list, keys.map((one) => h("option", { value: `${one}=` })));
      } else {
        const sign = input.value.slice(key.length).startsWith("!") ? "!=" : "=";
        const values = await ask("/api/attributes", { ...times(), key }, { signal });
        replace(list, values.slice(0, 50).map((one) => h("option", { value: `${key}${sign}${one}` })));
      }
    } catch { /* Without completion, the field still takes what is typed. */ }
  };
  const submit = () => {
    const text = input.value.trim();
    if (!/^[^=]+=./s.test(text)) return;
    const all = [...[asked.attribute || []].flat(), text];
    go({ attribute: [...new Set(all)] });
  };
  input.addEventListener("focus", complete);
  input.addEventListener("input", (event) => { if (/=$/.test(input.value) || input.value.length < 2) complete(); if (event.inputType === "insertReplacementText" && !input.value.endsWith("=")) submit(); });
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") submit(); });
  return [field("Attribute", input), list];
}
