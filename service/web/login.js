// Signing in, and then on to where one came from.

import { $ } from "./dom.js";

/** Only a page beside this one: the service may stand behind a path. */
function next() {
  const home = new URL("./", location.href);
  const target = new URL(new URLSearchParams(location.search).get("next") ?? "./", home);
  return target.href.startsWith(home.href) ? target.pathname + target.search : home.pathname;
}

$("#login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = new FormData(event.target).get("token").trim();
  const response = await fetch("login", {
    method: "POST", body: JSON.stringify({ token }), headers: { "Content-Type": "application/json" },
  }).catch(() => null);
  if (response?.ok) return location.assign(next());
  const body = await response?.json().catch(() => ({})) ?? { detail: "The service does not answer." };
  $("#problem").textContent = body.detail ?? "That did not work.";
  $("#problem").hidden = false;
});
