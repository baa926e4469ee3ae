// The list of subjects: pages of it, and what changes of it while it is looked at.

import * as api from "./api.js";
import { $, element, fill, heads, row, say } from "./dom.js";
import {
  OUTCOME, account, ago, agreementName, count, dollars, due, ruleName, several, statusName, when,
} from "./format.js";
import * as url from "./url_state.js";

const MAX_ROWS = 400; // beyond, new subjects are only counted
const MAX_IDS = 100; // subjects in one question
const COUNT_AGAIN_MS = 1500;
const LOAD_AGAIN_MS = 2000;
const REFRESH_MS = 250;
const TABS = [
  ["To do", { status: null }], ["Open", { status: "open" }], ["In review", { status: "in_review" }],
  ["Snoozed", { status: "snoozed" }], ["Escalated", { status: "escalated" }], ["Cleared", { status: "cleared" }],
  ["All", { status: "all" }],
];

const rows = $("#rows");
const items = new Map(); // by subject id, what a row shows
const waiting = new Map(); // subjects that have come, and are not shown yet
const stale = new Set(); // ids of subjects of which a change was told
let everything = null; // all that match, where they are selected beyond what is shown
let cursor = null;
let asked = 0; // only the last question's answer is shown
let total = 0;

const rowOf = (id) => document.getElementById(`subject-${id}`);

function chips(subject) {
  return subject.rules.map((rule) => element("span", ruleName(rule), { class: "chip rule" }));
}

function draw(line, item) {
  const link = $("a.open", line);
  link.textContent = account(item);
  link.href = url.changed({ subject: item.subject_id, case: null });
  $("input", line).setAttribute("aria-label", `Select ${account(item)}`);
  fill(line, "reason", item.reason);
  $('[data-of="rules"]', line).replaceChildren(...chips(item));
  fill(line, "payment_count", count(item.payment_count));
  fill(line, "total", `${item.exact ? "" : "≥ "}${dollars(item.total_amount)}`);
  fill(line, "status", statusName(item.status)).className = `chip ${item.status}`;
  fill(line, "reviewer", item.reviewer ?? "");
  const grown = fill(line, "growth", item.growth ? "grown" : "");
  grown.hidden = !item.growth;
  grown.title = item.growth ? `since ${item.growth.reviewer} decided, with ${several(item.growth.payment_count, "payment")}` : "";
  const agreement = fill(line, "agreement", item.agreement === "off" ? "" : agreementName(item.agreement));
  agreement.className = `agreement ${item.agreement}`;
  $('[data-of="fired"]', line).replaceChildren(when(item.fired_at, ago(item.fired_at)));
  const dueCell = $('[data-of="due"]', line);
  const settled = item.status === "cleared" || item.status === "escalated";
  dueCell.replaceChildren(...(settled ? [] : [when(item.due_at, due(item.due_at))]));
  dueCell.classList.toggle("overdue", item.overdue);
}

function newRow(item) {
  const line = $("#row-template").content.firstElementChild.cloneNode(true);
  line.id = `subject-${item.subject_id}`;
  line.dataset.id = item.subject_id;
  draw(line, item);
  items.set(item.subject_id, item);
  return line;
}

/** Mark the row of what is open. */
export function mark() {
  const open = url.read().get("subject");
  for (const line of rows.children) {
    const current = line.dataset.id === open;
    line.classList.toggle("current", current);
    if (current) $("a.open", line).setAttribute("aria-current", "true");
    else $("a.open", line).removeAttribute("aria-current");
  }
}

function showEmpty() {
  const empty = rows.children.length === 0;
  $("#empty").hidden = !empty;
  $("#list table").hidden = empty;
  const filtered = Object.keys(url.filters()).length > 0 || url.status() !== url.TO_DO;
  $("#unfilter").hidden = !(empty && filtered);
  $("#first-steps").hidden = filtered || total > 0;
  $("#empty-text").textContent = filtered
    ? "No subject matches these filters."
    : "Nothing is waiting. Accounts appear here as their payments make a rule fire.";
}

function fail(text) {
  $("#failed").textContent = text ?? "";
  $("#failed").hidden = !text;
}

function parametersOf(more = {}) {
  const parameters = url.query();
  parameters.set("sort", url.sort());
  for (const [name, value] of Object.entries(more)) parameters.set(name, value);
  return parameters;
}

/** Read the first page anew. */
export async function load() {
  const mine = ++asked;
  $("#csv").href = `review-queue.csv?${parametersOf()}`;
  waiting.clear();
  stale.clear();
  announce();
  try {
    const page = await api.page(parametersOf());
    if (mine !== asked) return;
    const chosen = new Set(picked().map((item) => item.subject_id));
    items.clear();
    rows.replaceChildren(...page.items.map(newRow));
    for (const line of rows.children) if (chosen.has(line.dataset.id)) $("input", line).checked = true;
    cursor = page.next_cursor;
    fail(null);
  } catch (problem) {
    if (mine !== asked) return;
    if (problem instanceof api.Problem && !problem.passes) {
      rows.replaceChildren();
      $("#list table").hidden = true;
      $("#empty").hidden = true;
      $("#more").hidden = true;
      $("#unfilter").hidden = false;
      return fail(`This is no question that the queue understands: ${problem.message}.`);
    }
    fail(`The queue cannot be shown: ${problem.message}. It is tried again as soon as it can be.`);
    setTimeout(() => mine === asked && load(), LOAD_AGAIN_MS);
    return;
  } finally {
    $("#loading").hidden = true;
    showPicked();
  }
  $("#more").hidden = cursor === null;
  showEmpty();
  mark();
  countAll();
}

export async function more() {
  const mine = asked;
  let page;
  try {
    page = await api.page(parametersOf({ cursor }));
  } catch (problem) {
    if (mine === asked) fail(`More cannot be shown: ${problem.message}`);
    return;
  }
  if (mine !== asked) return;
  fail(null);
  rows.append(...page.items.filter((item) => !rowOf(item.subject_id)).map(newRow));
  cursor = page.next_cursor;
  $("#more").hidden = cursor === null;
  say(`${count(rows.children.length)} subjects are shown`);
}

/** Select all that match, shown or not. */
export async function pickAll() {
  const found = [];
  let next = null;
  do {
    const page = await api.page(parametersOf(next ? { limit: 500, cursor: next } : { limit: 500 }));
    found.push(...page.items);
    next = page.next_cursor;
    $("#bulk-count").textContent = `${count(found.length)} of ${count(total)}…`;
  } while (next);
  everything = found;
  for (const box of rows.querySelectorAll("input")) box.checked = true;
  showPicked();
}

/** Show what closed cases were called, by rule; precision is the share that was not called false. */
function showPrecision(precision) {
  const lines = Object.entries(precision).map(([rule, numbers]) => row([
    ruleName(rule), ...Object.keys(OUTCOME).map((outcome) => count(numbers[outcome] ?? 0)), `${Math.round(numbers.precision * 100)} %`,
  ], { heading: true, numbers: true }));
  $("#precision").hidden = lines.length === 0;
  const body = document.createElement("tbody");
  body.append(...lines);
  $("#precision table").replaceChildren(heads(["Rule", ...Object.values(OUTCOME), "precision"], true), body);
}

async function countAll() {
  const { status, precision } = await api.counts(url.query({ withStatus: false })).catch(() => ({ status: null }));
  if (status === null) return;
  showPrecision(precision);
  const sum = (statuses) => Object.entries(status)
    .filter(([name]) => statuses === "all" || statuses.split(",").includes(name))
    .reduce((number, [, more]) => number + more, 0);
  total = sum(url.status());
  $("#tabs").replaceChildren(...TABS.map(([name, changes]) => {
    const statuses = changes.status ?? url.TO_DO;
    const tab = element("a", name, { href: url.changed({ ...changes, case: null, subject: null }), "data-status": statuses });
    tab.append(" ", element("span", count(sum(statuses)), { class: "count" }));
    if (statuses === url.status()) tab.setAttribute("aria-current", "true");
    return tab;
  }));
  showPicked();
  showEmpty();
}

let counting = null;
function countSoon() {
  counting ??= setTimeout(() => { counting = null; countAll(); }, COUNT_AGAIN_MS);
}

/** Nothing may move under a pointer or a focus: then what is new is only announced. */
function isRead() {
  if (rows.children.length === 0) return false;
  return rows.matches(":hover") || rows.contains(document.activeElement) || window.scrollY > 40;
}

function announce() {
  const fresh = $("#fresh");
  fresh.hidden = waiting.size === 0;
  fresh.textContent = waiting.size === 1 ? "Show 1 new subject" : `Show ${count(waiting.size)} new subjects`;
}

/** Show the subjects that have come in the meantime. */
export function showWaiting() {
  if (url.sort() !== "-last_payment_at" || rows.children.length + waiting.size > MAX_ROWS) return load();
  const added = [...waiting.values()].sort((one, other) => other.last_payment_at - one.last_payment_at);
  waiting.clear();
  rows.prepend(...added.map(newRow));
  announce();
  showEmpty();
  mark();
}

let refreshing = null;

/** Take note that a subject has appeared or changed. */
export function changed(id) {
  stale.add(id);
  refreshing ??= setTimeout(() => { refreshing = null; refresh(); }, REFRESH_MS);
}

/** The same of many: those that are shown are asked for anew. */
export function changedAll(ids) {
  for (const id of ids) if (rowOf(id)) changed(id);
  countSoon();
}

/** Ask for what has changed, by the filters: what is not answered does not match any more. */
async function refresh() {
  const ids = [...stale].slice(0, MAX_IDS);
  if (ids.length === 0) return;
  const mine = asked;
  let page;
  try {
    page = await api.page(parametersOf({ subject_id: ids.join(","), limit: MAX_IDS }));
  } catch {
    if (mine === asked) refreshing ??= setTimeout(() => { refreshing = null; refresh(); }, LOAD_AGAIN_MS);
    return;
  }
  if (mine !== asked) return;
  for (const id of ids) stale.delete(id);
  const matching = new Map(page.items.map((item) => [item.subject_id, item]));
  for (const id of ids) put(id, matching.get(id));
  if (matching.size < ids.length) await redraw(ids.filter((id) => !matching.has(id) && rowOf(id)));
  announce();
  if (waiting.size && !isRead() && url.sort() === "-last_payment_at" && rows.children.length < MAX_ROWS) showWaiting();
  countSoon();
  if (stale.size) changed([...stale][0]);
}

function put(id, item) {
  const line = rowOf(id);
  if (!item) {
    waiting.delete(id);
    line?.classList.add("left");
  } else if (line) {
    items.set(id, item);
    draw(line, item);
    line.classList.remove("left");
  } else waiting.set(id, item);
}

/** Rows that match no more stay where they are until the list is read anew, and say how they stand. */
async function redraw(ids) {
  if (ids.length === 0) return;
  const page = await api.page(new URLSearchParams({ by: "subject", subject_id: ids.join(","), limit: String(MAX_IDS) })).catch(() => null);
  for (const item of page?.items ?? []) {
    const line = rowOf(item.subject_id);
    if (!line) continue;
    items.set(item.subject_id, item);
    draw(line, item);
  }
}

/** Take a subject away that is gone. */
export function gone(id) {
  waiting.delete(id);
  announce();
  rowOf(id)?.remove();
  items.delete(id);
  showEmpty();
  countSoon();
}

/** The subjects that are selected. */
export function picked() {
  if (everything) return everything;
  return [...rows.querySelectorAll("input:checked")].map((box) => items.get(box.closest("tr").dataset.id));
}

/** Show how many are selected, and what can be done with them. */
export function showPicked() {
  const boxes = [...rows.querySelectorAll("input")];
  const all = boxes.length > 0 && boxes.every((box) => box.checked);
  if (!all) everything = null;
  const number = picked().length;
  $("#all").checked = all;
  $("#bulk").hidden = number === 0;
  $("#bulk-count").textContent = number ? `${count(number)} selected` : "";
  $("#pick-all").hidden = !all || cursor === null || everything !== null;
  $("#pick-all").textContent = `Select all ${count(total)}`;
}

/** Select none. */
export function unpick() {
  everything = null;
  for (const box of rows.querySelectorAll("input:checked")) box.checked = false;
  showPicked();
}

/** The row that is open or has the focus, or the first; and the one `step` further. */
export function neighbour(step) {
  const lines = [...rows.children];
  const focused = document.activeElement?.closest?.("#rows tr");
  const open = url.read().get("subject");
  const at = focused ? lines.indexOf(focused) : lines.findIndex((line) => line.dataset.id === open);
  const next = at === -1 ? 0 : Math.min(Math.max(at + step, 0), lines.length - 1);
  return lines[next]?.dataset.id ?? null;
}

export const focusRow = (id) => {
  const line = id && rowOf(id);
  if (line) $("a.open", line).focus();
};
