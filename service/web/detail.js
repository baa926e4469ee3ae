// What is open beside the queue: a subject or one of its cases, and how to show it anew.

import * as api from "./api.js";
import { drawCase } from "./case.js";
import { $, element } from "./dom.js";
import { banner } from "./parts.js";
import { drawSubject } from "./subject.js";

const panel = $("#detail");
let shown = null; // { kind, id, item }

export const current = () => shown;

/** What a line as it stands allows. The service decides; this saves a question. */
function allowed(decision, { status, proposal }) {
  const closed = status === "cleared" || status === "escalated";
  if (decision === "note") return true;
  if (decision === "reopen") return status !== "open";
  if (decision === "claim") return !closed && status !== "in_review";
  return !closed || Boolean(proposal);
}

function draw(kind, item) {
  panel.replaceChildren($(`#${kind}-template`).content.cloneNode(true));
  (kind === "subject" ? drawSubject : drawCase)(panel, item);
  for (const button of panel.querySelectorAll("[data-decide]")) button.disabled = !allowed(button.dataset.decide, item);
}

function reveal() {
  panel.hidden = false;
  document.body.classList.add("with-detail");
}

/** Show a subject or a case; with `focus`, whoever listens to the page is taken there. */
export async function open(kind, id, { focus = false } = {}) {
  try {
    const item = await api.show(kind, id);
    shown = { kind, id, item };
    reveal();
    draw(kind, item);
    panel.scrollTop = 0;
  } catch (problem) {
    shown = null;
    reveal();
    const back = element("button", "← Queue", { type: "button", class: "quiet back", "data-do": "close" });
    panel.replaceChildren(back, element("p", `This ${kind} cannot be shown: ${problem.message}`, { role: "alert" }));
  }
  if (focus) $("h2", panel)?.focus({ preventScroll: false });
}

/** Show it anew, without moving what is read. */
export async function refresh(item = null) {
  if (shown === null) return;
  const { kind, id } = shown;
  const fresh = item ?? await api.show(kind, id).catch(() => null);
  if (fresh === null || shown?.id !== id) return;
  const at = panel.scrollTop;
  const unfolded = [...panel.querySelectorAll("details")].map((part) => part.open);
  const focused = panel.contains(document.activeElement) ? document.activeElement.dataset?.decide : null;
  shown = { kind, id, item: fresh };
  draw(kind, fresh);
  panel.querySelectorAll("details").forEach((part, index) => { part.open = unfolded[index] ?? part.open; });
  panel.scrollTop = at;
  if (focused) $(`[data-decide="${focused}"]:not(:disabled)`, panel)?.focus();
}

/** Say beside it why a decision was not made. */
export function conflict(text) {
  if (shown !== null) banner("conflict", text);
}

export function close() {
  shown = null;
  panel.hidden = true;
  panel.replaceChildren();
  document.body.classList.remove("with-detail");
}
