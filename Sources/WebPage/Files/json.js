// JSON read without losing digits: a number stays the text that was sent. JSON.parse would make 9007199254740992 of …993, and 1.1 of 1.10.

const nodesMax = 50000;
const depthMax = 100;

// { object: [[name, node]] }, { array: [node] }, { text }, or { literal } for numbers, true, false and null; null when the text is no JSON.
export function parse(text) {
  let at = 0;
  let nodes = 0;
  const space = /[ \t\r\n]*/y;
  const string = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
  const literal = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
  const skip = () => { space.lastIndex = at; space.test(text); at = space.lastIndex; };
  const take = (pattern) => { pattern.lastIndex = at; const found = pattern.exec(text); if (!found) throw new SyntaxError(); at = pattern.lastIndex; return found[0]; };
  const expect = (letter) => { skip(); if (text[at] !== letter) throw new SyntaxError(); at += 1; };
  const list = (end, element) => {
    const found = [];
    at += 1;
    skip();
    if (text[at] === end) { at += 1; return found; }
    for (;;) {
      found.push(element());
      skip();
      if (text[at] === end) { at += 1; return found; }
      expect(",");
    }
  };
  const value = (depth) => {
    skip();
    nodes += 1;
    if (nodes > nodesMax || depth > depthMax) throw new SyntaxError();
    if (text[at] === "{") return { object: list("}", () => { skip(); const name = JSON.parse(take(string)); expect(":"); return [name, value(depth + 1)]; }) };
    if (text[at] === "[") return { array: list("]", () => value(depth + 1)) };
    if (text[at] === '"') return { text: JSON.parse(take(string)) };
    return { literal: take(literal) };
  };
  try {
    const found = value(0);
    skip();
    return at === text.length ? found : null;
  } catch {
    return null;
  }
}

// The objects and arrays among texts.
export function parseContainer(text) {
  const found = /^\s*[[{]/.test(text) ? parse(text) : null;
  return found && (found.object || found.array) ? found : null;
}

export function pretty(node, indent = "") {
  const deeper = `${indent}  `;
  if (node.object) return node.object.length ? `{\n${node.object.map(([name, one]) => `${deeper}${JSON.stringify(name)}: ${pretty(one, deeper)}`).join(",\n")}\n${indent}}` : "{}";
  if (node.array) return node.array.length ? `[\n${node.array.map((one) => deeper + pretty(one, deeper)).join(",\n")}\n${indent}]` : "[]";
  return node.literal ?? JSON.stringify(node.text);
}

// One line, cut.
export function brief(node, length = 80) {
  const write = (one, left) => {
    if (left <= 0) return "…";
    if (one.object) { let line = "{"; for (const [name, inner] of one.object) { if (line.length > left) { line += "…"; break; } line += `${line === "{" ? "" : ", "}${name}: ${write(inner, left - line.length)}`; } return `${line}}`; }
    if (one.array) { let line = "["; for (const inner of one.array) { if (line.length > left) { line += "…"; break; } line += `${line === "[" ? "" : ", "}${write(inner, left - line.length)}`; } return `${line}]`; }
    const text = one.literal ?? JSON.stringify(one.text);
    return text.length > left ? `${text.slice(0, left)}…` : text;
  };
  return write(node, length);
}
