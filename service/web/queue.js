// The list of cases: pages of it, and what changes of it while it is looked at.

import * as api from "./api.js";
import { $, element, fill, heads, row, say } from "./dom.js";
import { OUTCOME, ago, agreementName, count, dollars, parties, ruleName, statusName, utc } from "./format.js";
import * as place from "./place.js";

const MOST_ROWS = 400; // beyond, new cases are only counted
const COUNT_AGAIN_MS = 1500;
const TABS = [
  ["To do", place.TO_DO], ["Open", "open"], ["In review", "in_review"], ["Snoozed", "snoozed"],
  ["Escalated", "escalated"], ["Cleared", "cleared"], ["All", "all"],
];

const rows = $("#rows");
const items = new Map(); // by case id, what a row shows
const waiting = new Map(); // cases that have come, and are not shown yet
let cursor = null;
let asked = 0; // only the last question's answer is shown

const rowOf = (id) => document.getElementById(`case-${id}`);

function draw(line, item) {
  const link = $("a.open", line);
  link.textContent = ruleName(item.rule);
  const address = place.read();
  address.set("case", item.case_id);
  link.href = `?${address}`;
  $("input", line).setAttribute("aria-label", `Select ${ruleName(item.rule)}, ${parties(item.group)}`);
  fill(line, "window", `from ${utc(item.window_start).slice(0, 10)}`);
  fill(line, "parties", parties(item.group));
  fill(line, "payment_count", count(item.payment_count));
  fill(line, "total", dollars(item.total_amount));
  const status = fill(line, "status", statusName(item.status));
  status.className = `chip ${item.status}`;
  fill(line, "reviewer", item.reviewer ?? (item.reopened ? "came back" : ""));
  const agreement = fill(line, "agreement", item.agreement === "off" ? "" : agreementName(item.agreement));
  agreement.className = `agreement ${item.agreement}`;
  const when = fill(line, "when", ago(item.last_payment_at));
  when.dateTime = new Date(item.last_payment_at).toISOString();
  when.title = `${utc(item.last_payment_at)} UTC`;
}

function newRow(item) {
  const line = $("#row-template").content.firstElementChild.cloneNode(true);
  line.id = `case-${item.case_id}`;
  line.dataset.id = item.case_id;
  draw(line, item);
  items.set(item.case_id, item);
  return line;
}

function mark() {
  const open = place.openCase();
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
  if (!empty) return;
  const filtered = Object.keys(place.filters()).length > 0 || place.status() !== place.TO_DO;
  $("#unfilter").hidden = !filtered;
  $("#empty-text").textContent = filtered
    ? "No case matches these filters."
    : "No case is waiting. Cases appear here as payments make a rule fire.";
}

function fail(text) {
  $("#failed").textContent = text ?? "";
  $("#failed").hidden = !text;
}

/** Read the first page anew. */
export async function load() {
  const mine = ++asked;
  const parameters = place.query();
  parameters.set("sort", place.sort());
  $("#csv").href = `/review-queue.csv?${parameters}`;
  waiting.clear();
  announce();
  try {
    const page = await api.page(parameters);
    if (mine !== asked) return;
    items.clear();
    rows.replaceChildren(...page.items.map(newRow));
    cursor = page.next_cursor;
    fail(null);
  } catch (problem) {
    if (mine !== asked) return;
    fail(`The queue cannot be shown: ${problem.message}. It is tried again as soon as it can be.`);
    setTimeout(() => mine === asked && load(), 2000);
    return;
  } finally {
    $("#loading").hidden = true;
  }
  $("#more").hidden = cursor === null;
  showEmpty();
  mark();
  countAll();
}

export async function more() {
  const mine = asked;
  const parameters = place.query();
  parameters.set("sort", place.sort());
  parameters.set("cursor", cursor);
  let page;
  try {
    page = await api.page(parameters);
  } catch (problem) {
    if (mine === asked) fail(`More cannot be shown: ${problem.message}`);
    return;
  }
  if (mine !== asked) return;
  fail(null);
  rows.append(...page.items.filter((item) => !rowOf(item.case_id)).map(newRow));
  cursor = page.next_cursor;
  $("#more").hidden = cursor === null;
  say(`${count(rows.children.length)} cases are shown`);
}

/** What closed cases were called, by rule; precision is the share that was not called false. */
function showPrecision(precision) {
  const lines = Object.entries(precision).map(([rule, said]) => row([
    ruleName(rule), ...Object.keys(OUTCOME).map((outcome) => count(said[outcome] ?? 0)), `${Math.round(said.precision * 100)} %`,
  ], { heading: true, numbers: true }));
  $("#precision").hidden = lines.length === 0;
  const body = document.createElement("tbody");
  body.append(...lines);
  $("#precision table").replaceChildren(heads(["Rule", ...Object.values(OUTCOME), "precision"], true), body);
}

async function countAll() {
  const { status, precision } = await api.counts(place.query({ withStatus: false })).catch(() => ({ status: null }));
  if (status === null) return;
  showPrecision(precision);
  const total = (wanted) => Object.entries(status)
    .filter(([name]) => wanted === "all" || wanted.split(",").includes(name))
    .reduce((sum, [, number]) => sum + number, 0);
  $("#tabs").replaceChildren(...TABS.map(([name, wanted]) => {
    const address = place.read();
    if (wanted === place.TO_DO) address.delete("status");
    else address.set("status", wanted);
    address.delete("case");
    const tab = element("a", name, { href: `/?${address}`, "data-status": wanted });
    tab.append(" ", element("span", count(total(wanted)), { class: "count" }));
    if (wanted === place.status()) tab.setAttribute("aria-current", "true");
    return tab;
  }));
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
  fresh.textContent = waiting.size === 1 ? "Show 1 new case" : `Show ${count(waiting.size)} new cases`;
}

/** Show the cases that have come in the meantime. */
export function showWaiting() {
  if (place.sort() !== "-last_payment_at" || rows.children.length + waiting.size > MOST_ROWS) return load();
  const added = [...waiting.values()].sort((one, other) => other.last_payment_at - one.last_payment_at);
  waiting.clear();
  rows.prepend(...added.map(newRow));
  announce();
  showEmpty();
  mark();
}

/** A case has appeared or changed. */
export function changed(item) {
  countSoon();
  const line = rowOf(item.case_id);
  if (line) {
    items.set(item.case_id, item);
    draw(line, item);
    line.classList.toggle("left", !item.matches);
    return;
  }
  if (!item.matches) {
    waiting.delete(item.case_id);
    return announce();
  }
  waiting.set(item.case_id, item);
  if (isRead() || place.sort() !== "-last_payment_at" || rows.children.length >= MOST_ROWS) announce();
  else showWaiting();
}

/** A case is gone. */
export function gone(id) {
  waiting.delete(id);
  announce();
  rowOf(id)?.remove();
  items.delete(id);
  showEmpty();
  countSoon();
}

export const marked = mark;

/** The cases that are ticked. */
export const picked = () =>
  [...rows.querySelectorAll("input:checked")].map((box) => items.get(box.closest("tr").dataset.id));

/** The row that is open or has the focus, or the first; and the one `step` further. */
export function neighbour(step) {
  const lines = [...rows.children];
  const focused = document.activeElement?.closest?.("#rows tr");
  const open = place.openCase();
  const at = focused ? lines.indexOf(focused) : lines.findIndex((line) => line.dataset.id === open);
  const next = at === -1 ? 0 : Math.min(Math.max(at + step, 0), lines.length - 1);
  return lines[next]?.dataset.id ?? null;
}

export const focusRow = (id) => {
  const line = id && rowOf(id);
  if (line) $("a.open", line).focus();
};
