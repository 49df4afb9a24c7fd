// The frame: navigation, theme, keys, and which page is shown.
import { address, ago, ask, count, h, place, problem, replace, withRange, zone } from "./kit.js";
import { overview } from "./overview.js";
import { fuses } from "./fuses.js";
import { gateway } from "./gateway.js";
import { fleet } from "./fleet.js";
import { traces } from "./traces.js";
import { trace } from "./trace.js";
import { session, sessions } from "./sessions.js";
import { user, users } from "./users.js";
import { evals } from "./evals.js";
import { judging } from "./queue.js";
import { compare } from "./compare.js";
import { gates } from "./gates.js";
import { sql } from "./sql.js";
import { projectPicker } from "./projects.js";
import { signIn, signOut } from "./signin.js";

const pages = [
  { name: "overview", title: "Overview", key: "o", show: overview },
  { name: "fuses", title: "Fuse board", key: "f", show: fuses },
  { name: "gateway", title: "Gateway", key: "w", show: gateway },
  { name: "fleet", title: "Fleet", key: "l", show: fleet },
  { name: "traces", title: "Traces", key: "t", show: traces },
  { name: "sessions", title: "Sessions", key: "s", show: sessions },
  { name: "users", title: "Users", key: "u", show: users },
  { name: "evals", title: "Evals", key: "e", show: evals },
  { name: "judge", title: "Judge", key: "j", show: judging },
  { name: "compare", title: "Compare", key: "c", show: compare },
  { name: "gates", title: "Gates", key: "a", show: gates },
  { name: "sql", title: "SQL", key: "q", show: sql },
];
// What an engine can be asked for: it has the spans of all nodes, and nothing of what only a node keeps.
const ofEngine = new Set(["overview", "traces", "sessions", "users", "compare", "gates", "sql"]);
// Pages of one thing, which the address names.
const inner = { trace: { title: "Trace", show: trace, parent: "traces" }, session: { title: "Session", show: session, parent: "sessions" }, user: { title: "User", show: user, parent: "users" } };

const main = document.getElementById("main");
const nav = document.getElementById("nav");
let leave = null;
let shown = null;
// Spans stored when a page was drawn; whether it could not be drawn.
let spansShown = null;
let isBroken = false;
// The engine that is asked in place of a data folder, once it is known.
let engine = null;

async function show() {
  const here = place();
  const isUnnamed = inner[here.page] && !here.id;
  const page = pages.find((one) => one.name === here.page) || (isUnnamed ? null : inner[here.page]) || { title: "Not found", show: async () => [h("h1", {}, "Not found"), isUnnamed ? h("p", {}, `The address does not say which ${here.page}. `, h("a", { href: address(inner[here.page].parent) }, `To the ${inner[here.page].parent}`)) : h("p", {}, `There is no page '${here.page}'. `, h("a", { href: "#/overview" }, "To the overview"))] };
  leave?.abort();
  leave = new AbortController();
  const signal = leave.signal;
  const current = page.parent || page.name;
  replace(nav, pages.filter((one) => !engine || ofEngine.has(one.name)).map((one) => h("a", { href: address(one.name, withRange()), "aria-current": one.name === current ? "page" : null, "aria-keyshortcuts": `g ${one.key}` }, one.title)));
  nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  const moved = shown !== `${here.page}/${here.id}`;
  document.title = `${page.title} · Fusebox`;
  main.setAttribute("aria-busy", "true");
  try {
    const content = await page.show({ place: here, signal, title: (text) => { document.title = `${text} · Fusebox`; } });
    if (signal.aborted) return;
    replace(main, content);
    isBroken = false;
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    // What an engine has not it will not have in a moment either.
    isBroken = error.status !== 501;
    replace(main, h("h1", {}, page.title), problem(error), h("p", {}, h("button", { type: "button", class: "main", onclick: show }, "Try again")));
  }
  main.removeAttribute("aria-busy");
  // Keys work at once: a page says which of its parts takes them.
  if (moved) (main.querySelector("[data-keys]") || (shown !== null ? main : null))?.focus({ preventScroll: true });
  if (moved && shown !== null) scrollTo(0, 0);
  shown = `${here.page}/${here.id}`;
  main.dataset.page = here.page;
}

// What is stored, in the corner; it also says when the server is gone. A page that waits for the first spans, or could not be drawn,
// is drawn as soon as there is something to draw.
async function store() {
  const box = document.getElementById("store");
  try {
    const status = await ask("/api/status");
    const learnt = Boolean(status.engine) && !engine;
    engine = status.engine || null;
    // Without a page in the address, one is shown that brings few spans from the engine.
    if (learnt && !location.hash) location.replace("#/traces");
    else if (learnt || (spansShown === 0 && status.span_count !== 0) || isBroken) show();
    spansShown = status.span_count;
    const stored = status.span_count === null ? [] : [`${count(status.span_count)} spans`, h("br"), status.received_time_unix_nano ? `last ${ago(status.received_time_unix_nano)}` : "waiting for the first", h("br")];
    replace(box, stored, status.user ? [status.user, h("br")] : null, `times: ${zone()}`, h("br"), status.engine ? `of the engine ${status.engine},` : status.taking_spans ? "" : h("strong", { class: "bad" }, "cannot store spans"), ` v${status.version}`);
  } catch {
    replace(box, h("strong", { class: "bad" }, "The server does not answer."));
  }
}

// Theme: the system's until somebody chooses.
const dark = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  const chosen = localStorage.getItem("theme");
  const value = chosen || (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = value;
  replace(document.getElementById("theme"), value === "dark" ? "Light theme" : "Dark theme");
}
document.getElementById("theme").addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  theme();
});
dark.addEventListener("change", theme);
theme();

// g and a letter goes to a page, / to its search.
let waitsForPage = false;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (waitsForPage) {
    waitsForPage = false;
    const page = pages.find((one) => one.key === event.key);
    if (page) { location.hash = address(page.name, withRange()); event.preventDefault(); }
  } else if (event.key === "g") waitsForPage = true;
  else if (event.key === "/") {
    const search = main.querySelector("[data-search]");
    if (search) { search.focus(); event.preventDefault(); } else location.hash = address("traces", withRange());
  }
});

document.getElementById("zone").addEventListener("click", () => {
  localStorage.setItem("zone", zone() === "UTC" ? "local" : "utc");
  zones();
  show();
  store();
});
function zones() { replace(document.getElementById("zone"), zone() === "UTC" ? "Local times" : "UTC times"); }
zones();

const projects = projectPicker(document.getElementById("project"));
// A server that asks for a token: the page asks for it, once, and goes on where it was.
addEventListener("signin", () => { leave?.abort(); main.removeAttribute("aria-busy"); main.dataset.page = "signin"; signIn(main, () => { show(); store(); projects(); }); });
signOut(document.getElementById("signout"));

document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", show);
show();
store();
setInterval(() => { if (!document.hidden && main.dataset.page !== "signin") store(); }, 2000);
