// Markdown as elements. Every piece of the source becomes a text node: markup in it stays text, pictures are not loaded, and only http,
// https and mailto become links.
import { h } from "./kit.js";

const depthMax = 6;
const linesMax = 4000;

export function markdown(source) {
  const lines = source.replace(/\r\n?/g, "\n").split("\n");
  if (lines.length > linesMax) return h("div", { class: "plain", dir: "auto" }, source);
  return h("div", { class: "markdown" }, blocks(lines, 0));
}

const fence = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)/;
const heading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const rule = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const item = /^( {0,3})([-*+]|\d{1,9}[.)])(\s+)(.*)$/;
const divider = /^\s*\|?\s*:?-{1,}:?\s*(?:\|\s*:?-{1,}:?\s*)*\|?\s*$/;

function blocks(lines, depth) {
  if (depth > depthMax) return [h("p", { dir: "auto" }, lines.join("\n"))];
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) { at += 1; continue; }
    let match;
    if ((match = fence.exec(line))) {
      const close = match[1];
      let end = at + 1;
      while (end < lines.length && !(lines[end].trim().startsWith(close) && !lines[end].trim().slice(close.length).replaceAll(close[0], "").trim())) end += 1;
      found.push(h("pre", { tabindex: "0", role: "group", "aria-label": match[2] ? `Code, ${match[2]}` : "Code" }, h("code", {}, lines.slice(at + 1, end).join("\n"))));
      at = end + 1;
    } else if ((match = heading.exec(line))) {
      found.push(h("p", { class: `heading h-${match[1].length}`, dir: "auto" }, inline(match[2])));
      at += 1;
    } else if (rule.test(line)) {
      found.push(h("hr"));
      at += 1;
    } else if (/^ {0,3}>/.test(line)) {
      let end = at;
      while (end < lines.length && /^ {0,3}>/.test(lines[end])) end += 1;
      found.push(h("blockquote", {}, blocks(lines.slice(at, end).map((one) => one.replace(/^ {0,3}> ?/, "")), depth + 1)));
      at = end;
    } else if (item.test(line)) {
      at = list(lines, at, depth, found);
    } else if (line.includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") && divider.test(lines[at + 1])) {
      at = grid(lines, at, found);
    } else {
      let end = at + 1;
      while (end < lines.length && lines[end].trim() && !fence.test(lines[end]) && !heading.test(lines[end]) && !item.test(lines[end]) && !/^ {0,3}>/.test(lines[end])) end += 1;
      found.push(h("p", { dir: "auto" }, inline(lines.slice(at, end).join("\n"))));
      at = end;
    }
  }
  return found;
}

function list(lines, at, depth, found) {
  const first = item.exec(lines[at]);
  const isOrdered = /\d/.test(first[2]);
  const items = [];
  while (at < lines.length) {
    const match = item.exec(lines[at]);
    if (!match || /\d/.test(match[2]) !== isOrdered) break;
    const inset = match[1].length + match[2].length + Math.min(match[3].length, 4);
    const own = [match[4]];
    at += 1;
    while (at < lines.length) {
      const isDeeper = lines[at].startsWith(" ".repeat(Math.min(inset, 2)));
      if (!lines[at].trim()) { if (at + 1 < lines.length && lines[at + 1].startsWith("  ")) { own.push(""); at += 1; continue; } break; }
      if (!isDeeper && (item.test(lines[at]) || fence.test(lines[at]) || heading.test(lines[at]))) break;
      own.push(isDeeper ? lines[at].replace(new RegExp(`^ {0,${inset}}`), "") : lines[at]);
      at += 1;
    }
    items.push(own);
    while (at < lines.length && !lines[at].trim() && at + 1 < lines.length && item.test(lines[at + 1])) at += 1;
  }
  const start = isOrdered ? Number.parseInt(first[2], 10) : null;
  found.push(h(isOrdered ? "ol" : "ul", { start: start > 1 ? start : null }, items.map((own) => h("li", { dir: "auto" }, own.length === 1 ? inline(own[0]) : blocks(own, depth + 1)))));
  return at;
}

const columnsMax = 40;
const cells = (line) => line.trim().replace(/^\|/, "").replace(/\|$/, "").split("|").slice(0, columnsMax).map((cell) => cell.trim());

function grid(lines, at, found) {
  const heads = cells(lines[at]);
  at += 2;
  const rows = [];
  while (at < lines.length && lines[at].includes("|") && lines[at].trim()) { rows.push(cells(lines[at])); at += 1; }
  found.push(h("div", { class: "grid-table", tabindex: "0", role: "group", "aria-label": "Table" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((cell) => h("th", { dir: "auto" }, inline(cell))))),
    h("tbody", {}, rows.map((row) => h("tr", {}, heads.map((_, index) => h("td", { dir: "auto" }, inline(row[index] ?? "")))))))));
  return at;
}

// Code first, since nothing in it counts; each pattern ends at the first closing mark, so no text makes it go back and forth.
const marks = /(`+)([^`]+)\1|\*\*([^*\n]+)\*\*|__([^_\n]+)__|(?<![\w*])\*([^*\s][^*\n]*)\*|(?<![\w_])_([^_\s][^_\n]*)_(?!\w)|~~([^~\n]+)~~|(!?)\[([^\]\n]{0,500})\]\(([^()\s]{1,2000})[^()\n]{0,200}\)|(https?:\/\/[^\s<>"'`)\]]{1,2000})/g;

function inline(text, depth = 0) {
  if (depth > 3 || text.length > 50000) return [text];
  const found = [];
  let last = 0;
  for (const match of text.matchAll(marks)) {
    found.push(text.slice(last, match.index));
    last = match.index + match[0].length;
    if (match[2] !== undefined) found.push(h("code", {}, match[2]));
    else if (match[3] ?? match[4]) found.push(h("strong", {}, inline(match[3] ?? match[4], depth + 1)));
    else if (match[5] ?? match[6]) found.push(h("em", {}, inline(match[5] ?? match[6], depth + 1)));
    else if (match[7]) found.push(h("s", {}, inline(match[7], depth + 1)));
    else if (match[10] !== undefined) found.push(link(match[10], match[8] ? `Image: ${match[9] || match[10]}` : match[9] || match[10], match[0]));
    else found.push(link(match[11], match[11], match[0]));
  }
  found.push(text.slice(last));
  return found.filter((one) => one !== "");
}

// What leads elsewhere opens elsewhere, and does not learn where from.
export function link(target, label, source) {
  if (!/^(https?:\/\/|mailto:)/i.test(target)) return source;
  return h("a", { href: target, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
}
