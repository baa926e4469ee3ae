// Signing in, and then on to where one came from.

import { $ } from "./dom.js";

/** Only a place on this site. */
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  const target = new URL(wanted, location.origin);
  return target.origin === location.origin ? target.pathname + target.search : "/";
}

$("#login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const token = new FormData(event.target).get("token").trim();
  const response = await fetch("/login", {
    method: "POST", body: JSON.stringify({ token }), headers: { "Content-Type": "application/json" },
  }).catch(() => null);
  if (response?.ok) return location.assign(next());
  const body = await response?.json().catch(() => ({})) ?? { detail: "The service does not answer." };
  $("#problem").textContent = body.detail ?? "That did not work.";
  $("#problem").hidden = false;
});
