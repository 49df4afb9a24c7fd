// The choice of a project in the page's head.
import { address, ask, count, go, h, place, project, replace } from "./kit.js";

export function projectPicker(box) {
  let known = [];
  let own = null;
  const select = h("select", { "aria-label": "Project", onchange: () => choose(select.value) });

  function choose(name) {
    const here = place();
    // One span, trace or session is of one project: with another project chosen there is nothing to see of it.
    if (here.id || ["session", "user"].includes(here.page)) {
      const parent = { trace: "traces", session: "sessions", user: "users" }[here.page] || here.page;
      const kept = Object.fromEntries(["range", "from", "to"].map((one) => [one, here.parameters.get(one)]));
      location.hash = address(parent, { ...kept, project: name }, false);
    } else go({ project: name || null, cursor: null });
  }

  function draw() {
    const chosen = project() || "";
    if (own !== null) { box.hidden = false; replace(box, h("span", { class: "soft small" }, "Project "), h("strong", {}, own)); return; }
    box.hidden = known.length < 2 && !chosen;
    const names = known.some((one) => one.project === chosen) || !chosen ? known : [{ project: chosen }, ...known];
    replace(select, h("option", { value: "" }, "All projects"), names.map((one) => h("option", { value: one.project, title: one.span_count === undefined ? "" : `${count(one.span_count)} spans` }, one.project)));
    select.value = chosen;
    if (!select.isConnected) replace(box, select);
  }

  // Asked for when the page opens and when somebody looks: names change seldom.
  async function load() {
    try {
      const status = await ask("/api/status");
      own = status.project;
      known = own === null ? await ask("/api/projects") : [];
    } catch { /* The rest of the page says what is wrong. */ }
    draw();
  }
  select.addEventListener("pointerdown", load, { once: false });
  addEventListener("hashchange", draw);
  load();
  return load;
}
