// A whole day's work without the mouse.

import { decide } from "./decide.js";
import * as detail from "./detail.js";
import { $ } from "./dom.js";
import * as queue from "./queue.js";

const DECISIONS = { a: "claim", c: "clear", e: "escalate", n: "note", s: "snooze", g: "assign", o: "reopen" };

const isTyping = (target) => target.closest("input:not([type=checkbox]), textarea, select, dialog[open]");

function step(by, open) {
  const id = queue.neighbour(by);
  if (!id) return;
  queue.focusRow(id);
  if (detail.current()) open("subject", id);
}

/** Decide on what is open, or else on what is selected. */
function begin(decision) {
  const open = detail.current();
  const picked = queue.picked();
  if (open) {
    const button = $(`#detail [data-decide="${decision}"]`);
    if (button && !button.disabled) decide(decision, open.kind, [open.item]);
  } else if (picked.length) decide(decision, "subject", picked);
}

/** `open` and `close` show a subject, and the queue again. */
export function listen({ open, close }) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const { key } = event;
    if (key === "j") step(1, open);
    else if (key === "k") step(-1, open);
    else if (key === "?") $("#help").showModal();
    else if (key === "/") { $("#filters").open = true; $('#filter-form [name="payor"]').focus(); }
    else if (key === "Escape") close();
    else if (key === "x") document.activeElement.closest?.("#rows tr")?.querySelector("input")?.click();
    else if (key === "p" && detail.current()) $('#detail [data-of="report"]')?.click();
    else if (key in DECISIONS) begin(DECISIONS[key]);
    else return;
    event.preventDefault();
  });
}
