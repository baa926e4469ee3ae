// The dialog in which a decision is made. Nothing that was typed is lost when somebody else was faster.

import * as api from "./api.js";
import * as detail from "./case.js";
import { $, say } from "./dom.js";
import { dollars, parties, ruleName } from "./format.js";

const dialog = $("#decide");
const form = $("form", dialog);
const TITLES = {
  claim: "Claim", clear: "Clear", escalate: "Escalate", note: "Note", snooze: "Snooze", assign: "Assign", reopen: "Reopen",
};
const DAY_MS = 86_400_000;
let task = null; // { decision, cases }

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

const day = (ms) => new Date(ms).toISOString().slice(0, 10);

function ask(needed) {
  const { decision, cases } = task;
  form.reset();
  $("#decide-title").textContent = decision ? TITLES[decision] : "Your name";
  $("#decide-about").textContent = !decision ? "It stands beside each of your decisions."
    : cases.length === 1
      ? `${ruleName(cases[0].rule)}: ${parties(cases[0].group)}, ${dollars(cases[0].total_amount)}` : `${cases.length} cases`;
  for (const part of ["outcome", "assignee", "until", "note", "reviewer"]) {
    $(`#decide-${part}`).hidden = !needed.includes(part);
    for (const input of dialog.querySelectorAll(`#decide-${part} :is(input, textarea)`)) {
      input.disabled = !needed.includes(part);
      input.required = needed.includes(part) && (part !== "note" || decision === "note");
    }
  }
  form.elements.until.min = day(Date.now() + DAY_MS);
  form.elements.until.max = day(Date.now() + 365 * DAY_MS);
  form.elements.until.value = day(Date.now() + 30 * DAY_MS);
  form.elements.reviewer.value = reviewer();
  $("#decide-go").textContent = decision ? TITLES[decision] : "Save";
  problem(null);
  dialog.showModal();
}

function problem(text) {
  $("#decide-problem").textContent = text ?? "";
  $("#decide-problem").hidden = !text;
}

/** Say above the list why a decision on several cases was not made on all. */
function showRefused(text) {
  $("#refused").textContent = text ?? "";
  $("#refused").hidden = !text;
}

/** Begin a decision on cases; it is asked for what it needs. */
export async function decide(decision, cases) {
  if (dialog.open || cases.length === 0) return;
  task = { decision, cases };
  const needed = {
    clear: ["outcome", "note"], escalate: ["outcome", "note"], note: ["note"], snooze: ["until", "note"],
    assign: ["assignee", "note"], claim: [], reopen: ["note"],
  }[decision];
  if (!reviewer()) needed.push("reviewer");
  if (needed.length) ask(needed);
  else await send({});
}

/** Ask for the reviewer's name alone. */
export async function askReviewer() {
  if (signedIn) {
    await api.signOut();
    return location.assign("/login");
  }
  task = { decision: null, cases: [] };
  ask(["reviewer"]);
}

async function send(more) {
  const { decision, cases } = task;
  const wish = { decision, reviewer: reviewer(), ...more };
  try {
    if (cases.length === 1) await one(wish, cases[0]);
    else await many(wish, cases);
    showRefused(null);
    if (dialog.open) dialog.close();
  } catch (error) {
    const conflicting = error instanceof api.Problem && error.status === 409;
    if (conflicting && cases.length === 1 && error.body.case) {
      task.cases = [error.body.case];
      await detail.refresh();
      $("#decide-go").textContent = `${TITLES[decision]} all the same`;
    }
    if (dialog.open) problem(error.message);
    if (cases.length === 1) detail.conflict(error.message);
    else showRefused(error.message);
    say(error.message);
  }
}

async function one(wish, about) {
  const found = await api.decide(about.case_id, about.version, wish);
  if (detail.current()?.case_id === found.case_id) await detail.refresh(found);
  say(`${TITLES[wish.decision]}: done`);
}

async function many(wish, cases) {
  const targets = cases.map(({ case_id, version }) => ({ case_id, version }));
  const { items } = await api.decideMany(targets, wish);
  const refused = items.filter((item) => item.status !== 201);
  for (const box of document.querySelectorAll("#rows input:checked")) box.checked = false;
  document.dispatchEvent(new Event("picked"));
  if (refused.length) {
    const text = `${items.length - refused.length} of ${items.length} done; ${refused.length} were not: ${refused[0].detail}`;
    throw new Error(text);
  }
  say(`${items.length} cases: done`);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(form);
  const text = (name) => (given.get(name) ?? "").trim();
  if (text("reviewer")) setReviewer(text("reviewer"));
  if (!task.decision) return dialog.close();
  const more = {};
  for (const name of ["outcome", "assignee", "note"]) if (text(name)) more[name] = text(name);
  if (text("until")) more.until = Date.parse(`${text("until")}T00:00:00Z`);
  return send(more);
});

$("#decide-no").addEventListener("click", () => dialog.close());
