// A whole day's work without the mouse.

import * as detail from "./case.js";
import { decide } from "./decide.js";
import { $ } from "./dom.js";
import * as queue from "./queue.js";

const DECISIONS = { a: "claim", c: "clear", e: "escalate", n: "note", s: "snooze", g: "assign", o: "reopen" };

const isTyping = (target) => target.closest("input:not([type=checkbox]), textarea, select, dialog[open]");

function step(by, open) {
  const id = queue.neighbour(by);
  if (!id) return;
  queue.focusRow(id);
  if (detail.current()) open(id);
}

/** `open` and `close` show a case, and the queue again. */
export function listen({ open, close }) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const { key } = event;
    if (key === "j") step(1, open);
    else if (key === "k") step(-1, open);
    else if (key === "?") $("#help").showModal();
    else if (key === "Escape") close();
    else if (key === "x") document.activeElement.closest?.("#rows tr")?.querySelector("input")?.click();
    else if (key in DECISIONS && detail.current()) {
      const button = $(`[data-decide="${DECISIONS[key]}"]`);
      if (button && !button.disabled) decide(DECISIONS[key], [detail.current()]);
    } else return;
    event.preventDefault();
  });
}
