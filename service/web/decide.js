// The dialog in which a decision is made. Nothing that was typed is lost when somebody else was faster.

import * as api from "./api.js";
import * as detail from "./detail.js";
import { $, say } from "./dom.js";
import { account, count, dollars, parties, ruleName, several } from "./format.js";
import * as queue from "./queue.js";

const dialog = $("#decide");
const form = $("form", dialog);
const TITLES = {
  exempt: "Exempt", claim: "Claim", clear: "Clear", escalate: "Escalate", note: "Note", snooze: "Snooze", assign: "Assign", reopen: "Reopen",
};
const FIELDS = {
  exempt: ["until", "ceiling", "note"], clear: ["outcome", "note"], escalate: ["outcome", "note"], note: ["note"], snooze: ["until", "ceiling", "note"],
  assign: ["assignee", "note"], claim: [], reopen: ["note"],
};
const DAY_MS = 86_400_000;
const MAX_AT_ONCE = 100; // subjects in one request: each part is seen to be done
let task = null; // { decision, kind, items }

let signedIn = null; // the name that the token says, where the service asks for one

export const reviewer = () => signedIn ?? localStorage.getItem("reviewer") ?? "";

function showReviewer() {
  $("#who").textContent = signedIn ? `${signedIn}, sign out` : reviewer() || "Your name…";
}

/** Say whose decisions these are: whom the token names, or who said so here. */
export function meet(name) {
  signedIn = name;
  showReviewer();
}

function setReviewer(name) {
  localStorage.setItem("reviewer", name);
  showReviewer();
}

const day = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 10);

function about({ decision, kind, items }) {
  if (!decision) return "It stands beside each of your decisions.";
  if (items.length > 1) return several(items.length, kind);
  const [item] = items;
  const figures = `${several(item.payment_count, "payment")}, ${dollars(item.total_amount)}`;
  return kind === "subject"
    ? `${account(item)}: ${figures}, ${several(item.open_cases, "open case")}`
    : `${ruleName(item.rule)}: ${parties(item.group)}, ${figures}`;
}

function ask(needed) {
  const { decision, items } = task;
  form.reset();
  $("#decide-title").textContent = decision ? TITLES[decision] : "Your name";
  $("#decide-about").textContent = about(task);
  for (const part of ["outcome", "assignee", "until", "ceiling", "note", "reviewer"]) {
    $(`#decide-${part}`).hidden = !needed.includes(part);
    for (const input of dialog.querySelectorAll(`#decide-${part} :is(input, textarea)`)) {
      input.disabled = !needed.includes(part);
      const optional = part === "note" ? !["note", "exempt"].includes(decision) : part === "ceiling" && decision !== "exempt";
      input.required = needed.includes(part) && !optional;
    }
  }
  form.elements.until.min = day(Date.now() + DAY_MS);
  form.elements.until.max = day(Date.now() + 365 * DAY_MS);
  form.elements.until.value = day(Date.now() + 30 * DAY_MS);
  if (items.length === 1) form.elements.ceiling.placeholder = (2 * Number(items[0].total_amount)).toFixed(2);
  form.elements.reviewer.value = reviewer();
  $("#decide-go").textContent = decision ? TITLES[decision] : "Save";
  problem(null);
  dialog.showModal();
}

function problem(text) {
  $("#decide-problem").textContent = text ?? "";
  $("#decide-problem").hidden = !text;
}

/** Say above the list why a decision on several subjects was not made on all. */
function showRefused(text) {
  $("#refused").textContent = text ?? "";
  $("#refused").hidden = !text;
}

/** Begin a decision on subjects, or on a case; it is asked for what it needs. */
export async function decide(decision, kind, items) {
  if (dialog.open || items.length === 0) return;
  task = { decision, kind, items };
  const needed = [...FIELDS[decision]];
  if (!reviewer()) needed.push("reviewer");
  if (needed.length) ask(needed);
  else await send({});
}

/** Ask for the reviewer's name alone. */
export async function askReviewer() {
  if (signedIn) {
    await api.signOut();
    return location.assign("login");
  }
  task = { decision: null, kind: "subject", items: [] };
  ask(["reviewer"]);
}

async function send(more) {
  const { decision, kind, items } = task;
  const request = { decision, reviewer: reviewer(), ...more };
  const go = $("#decide-go");
  go.disabled = true;
  try {
    if (decision === "exempt") await exempt(items[0], request);
    else if (items.length === 1) await one(request, kind, items[0]);
    else await many(request, items);
    showRefused(null);
    if (dialog.open) dialog.close();
  } catch (error) {
    if (error instanceof api.Problem && error.status === 409 && items.length === 1) {
      await detail.refresh();
      task.items = [error.body[kind] ?? detail.current()?.item ?? items[0]];
      go.textContent = `${TITLES[decision]} all the same`;
    }
    if (dialog.open) problem(error.message);
    if (items.length === 1 && detail.current()) detail.conflict(error.message);
    else showRefused(error.message);
    say(error.message);
  } finally {
    go.disabled = false;
  }
}

async function exempt({ subject }, { reviewer: name, note, until, max_total }) {
  await api.exempt({ group: subject, reviewer: name, reason: note, until, max_total });
  document.dispatchEvent(new Event("exempted"));
  await detail.refresh();
  say("Exempt");
}

const idOf = (kind, item) => item[`${kind}_id`];

async function one(request, kind, item) {
  const found = await api.decide(kind, idOf(kind, item), item.version, request);
  if (kind === "subject") queue.changed(found.subject_id);
  if (detail.current()?.id === idOf(kind, found)) await detail.refresh(found);
  else await detail.refresh();
  queue.unpick();
  say(`${TITLES[request.decision]}: done`);
}

/** Decide in parts, each of which is seen to be done. */
async function many(request, items) {
  const refused = [];
  let done = 0;
  $("#progress").max = items.length;
  $("#progress").hidden = false;
  if (dialog.open) dialog.close();
  try {
    for (let at = 0; at < items.length; at += MAX_AT_ONCE) {
      const part = items.slice(at, at + MAX_AT_ONCE).map(({ subject_id, version }) => ({ subject_id, version }));
      const { items: lines } = await api.decideMany(part, request);
      refused.push(...lines.filter((line) => line.status !== 201));
      done += part.length;
      $("#progress").value = done;
      $("#bulk-count").textContent = `${count(done)} of ${count(items.length)}…`;
    }
  } catch (error) {
    throw new Error(`${count(done - refused.length)} of ${count(items.length)} done, then: ${error.message}`);
  } finally {
    $("#progress").hidden = true;
    queue.unpick();
    queue.changedAll(items.map(({ subject_id }) => subject_id));
    await detail.refresh();
  }
  if (refused.length) {
    throw new Error(`${count(done - refused.length)} of ${count(done)} done; ${count(refused.length)} were not: ${refused[0].detail}`);
  }
  say(`${several(done, "subject")}: done`);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(form);
  const text = (name) => (fields.get(name) ?? "").trim();
  if (text("reviewer")) setReviewer(text("reviewer"));
  if (!task.decision) return dialog.close();
  const more = {};
  for (const name of ["outcome", "assignee", "note"]) if (text(name)) more[name] = text(name);
  if (text("until")) more.until = Date.parse(`${text("until")}T00:00:00`);
  if (text("ceiling")) more.max_total = Number(text("ceiling")).toFixed(2);
  return send(more);
});

$("#decide-no").addEventListener("click", () => dialog.close());
