// Values at full length without filling the page: long ones fold, JSON is a tree, and each can be copied and seen as it was sent.
import { h, replace } from "./kit.js";
import { brief, parseContainer, pretty } from "./json.js";
import { markdown } from "./markdown.js";

const foldedCharacters = 1200;
const foldedLines = 14;
const drawnCharacters = 400000;
const childrenMax = 100;

// "200 KB", of what a text takes on the wire.
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} KB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
const bytesOf = (text) => new Blob([text]).size;

export function copyButton(text, label = "Copy") {
  const button = h("button", { type: "button", class: "tiny", onclick: async () => {
    try { await navigator.clipboard.writeText(typeof text === "function" ? text() : text); replace(button, "Copied"); } catch { replace(button, "Not allowed"); }
    setTimeout(() => replace(button, label), 1500);
  } }, label);
  return button;
}

// A text, folded when it is long. `draw` makes the element of the part that is shown.
function folded(text, draw) {
  const lines = text.split("\n", foldedLines + 1);
  if (text.length <= foldedCharacters && lines.length <= foldedLines) return draw(text);
  const start = lines.slice(0, foldedLines).join("\n").slice(0, foldedCharacters);
  const box = h("div", { class: "fold" });
  const show = (isOpen) => {
    const more = h("button", { type: "button", class: "tiny", "aria-expanded": String(isOpen), onclick: () => { show(!isOpen); box.querySelector("button.tiny")?.focus({ preventScroll: true }); } }, isOpen ? "Fold" : `Show all, ${size(bytesOf(text))}`);
    const tooLong = isOpen && text.length > drawnCharacters;
    replace(box, h("div", isOpen ? { class: "opened", tabindex: "0", role: "group", "aria-label": "The whole text" } : { class: "start" }, draw(isOpen ? text.slice(0, drawnCharacters) : `${start}…`)),
      h("p", { class: "small" }, more, tooLong ? h("span", { class: "soft" }, ` The first ${size(drawnCharacters)}; Copy has all.`) : null));
  };
  show(false);
  return box;
}

export const plain = (text) => folded(text, (shown) => h("div", { class: "plain", dir: "auto" }, shown));
export const formatted = (text) => folded(text, (shown) => markdown(shown));

// A tree of JSON. Children are made when they are opened.
export function tree(node, depth = 0) {
  const entries = node.object || node.array?.map((one, index) => [index, one]);
  if (!entries) return node.literal !== undefined ? h("span", { class: "literal" }, node.literal) : h("span", { class: "string", dir: "auto" }, node.text.length > 300 ? plain(node.text) : node.text);
  if (!entries.length) return h("span", { class: "soft" }, node.object ? "{}" : "[]");
  const list = h("ul", { class: "json" });
  const add = (from) => {
    for (const [name, one] of entries.slice(from, from + childrenMax)) list.append(h("li", {}, branch(name, one, depth)));
    const left = entries.length - from - childrenMax;
    if (left > 0) list.append(h("li", {}, h("button", { type: "button", class: "tiny", onclick: (event) => { event.target.closest("li").remove(); add(from + childrenMax); } }, `${left} more`)));
  };
  add(0);
  return list;
}

function branch(name, node, depth) {
  const key = h("span", { class: "name" }, String(name));
  const inner = node.text !== undefined && depth < 20 ? parseContainer(node.text) : null;
  const shown = inner || node;
  const entries = shown.object || shown.array;
  if (!entries?.length) return [key, " ", tree(shown, depth + 1)];
  const body = h("div", {});
  const isOpen = depth < 2 && entries.length <= 20;
  const details = h("details", { open: isOpen, ontoggle: () => { if (details.open && !body.firstChild) body.append(tree(shown, depth + 1)); } }, h("summary", {}, key, " ", h("span", { class: "soft" }, brief(shown, 60))), body);
  if (isOpen) body.append(tree(shown, depth + 1));
  return details;
}

// A value with its buttons: as a tree or as sent, and to be copied. `value` is a text, or what JSON holds.
export function value(given, { copy = true, markdown: isMarkdown = false } = {}) {
  if (given === null || given === undefined) return h("span", { class: "soft" }, "null");
  if (typeof given !== "string" && typeof given !== "object") return h("span", { class: "literal" }, String(given));
  const text = typeof given === "string" ? given : JSON.stringify(given);
  const node = parseContainer(text);
  if (!node && !isMarkdown) return h("div", { class: "value" }, plain(text), copy && text.length > 80 ? h("div", { class: "tools" }, copyButton(text)) : null);
  const box = h("div", { class: "value" });
  let isRaw = false;
  const show = () => {
    const other = h("button", { type: "button", class: "tiny", "aria-pressed": String(isRaw), onclick: () => { isRaw = !isRaw; show(); box.querySelector(".tools button")?.focus({ preventScroll: true }); } }, "Raw");
    replace(box, isRaw ? plain(text) : node ? tree(node) : formatted(text), h("div", { class: "tools" }, other, copyButton(() => (node && !isRaw ? pretty(node) : text))));
  };
  show();
  return box;
}
