// The status bar: how things stand, asked for every two seconds; also how the page knows that the service is there.

import * as api from "./api.js";
import { $, fill } from "./dom.js";
import { nameEngine } from "./engine.js";
import { count } from "./format.js";

const EVERY_MS = 2000;

function agreement({ engine, off, caught_up, reason, differences }) {
  if (off) return ["none", ""];
  if (differences > 0) return [`${count(differences)} differ`, "bad"];
  if (engine.state === "NOT_RUNNING") return ["not running", "bad", reason];
  return caught_up ? ["agrees", "good"] : ["catching up", "", reason];
}

function show(status) {
  const bar = $("#strip");
  fill(bar, "rate", count(Math.round(status.payments_per_second)));
  fill(bar, "open", count(status.subjects_open));
  nameEngine(status.comparison.engine);
  const [text, mood, title] = agreement(status.comparison);
  const cell = fill(bar, "comparison", text);
  cell.className = mood;
  cell.title = title ?? "";
  const { fraud, review_queue: queue } = status.lag;
  fill(bar, "lag", fraud === null ? "unknown" : count(fraud + queue));
}

export function watch() {
  const ask = async () => {
    try {
      if (!document.hidden) show(await api.status());
      $("#lost").hidden = true;
    } catch {
      $("#lost").hidden = false;
    }
    setTimeout(ask, EVERY_MS);
  };
  ask();
}
