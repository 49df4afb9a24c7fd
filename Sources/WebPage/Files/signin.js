// Signing in with a read token. The server keeps it in a cookie that scripts cannot read.
import { h, problem, replace, signedIn } from "./kit.js";

export function signIn(main, done) {
  if (main.querySelector("form.signin")) return;
  document.title = "Sign in · Fusebox";
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, "aria-label": "Read token" });
  const said = h("div", { "aria-live": "polite" });
  const form = h("form", { class: "card signin", onsubmit: async (event) => {
    event.preventDefault();
    try {
      const answer = await fetch("/api/sign-in", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: token.value }) });
      if (answer.ok) { token.value = ""; signedIn(); remember(true); done(); return; }
      const body = await answer.json().catch(() => null);
      replace(said, problem(new Error(body?.detail || `The server answered ${answer.status}.`)));
    } catch {
      replace(said, problem(new Error("The server does not answer. Is it running?")));
    }
    token.select();
  } }, h("h1", {}, "Sign in"), h("p", { class: "soft" }, "This server asks for a read token: one of read_tokens in its configuration."), h("label", { class: "field" }, "Token", token), said, h("button", { type: "submit", class: "main" }, "Sign in"));
  replace(main, form);
  token.focus();
}

const button = () => document.getElementById("signout");
function remember(is) { localStorage.setItem("signed-in", is ? "1" : ""); button().hidden = !is; }

export function signOut(element) {
  element.hidden = !localStorage.getItem("signed-in");
  element.addEventListener("click", async () => {
    await fetch("/api/sign-out", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }).catch(() => null);
    remember(false);
    dispatchEvent(new CustomEvent("signin"));
  });
}
