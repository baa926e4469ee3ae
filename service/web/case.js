// One case: why it is here, what both engines say, what was decided, and what belongs to it.

import * as api from "./api.js";
import { $, element, fill, heads, row } from "./dom.js";
import { agreementName, count, dollars, outcomeName, parties, ruleName, statusName, utc } from "./format.js";

const panel = $("#case");
let shown = null;

export const current = () => shown;

const done = {
  claim: () => "claimed it",
  assign: ({ assignee }) => `assigned it to ${assignee}`,
  clear: ({ outcome }) => `cleared it: ${outcomeName(outcome)}`,
  escalate: ({ outcome }) => `escalated it: ${outcomeName(outcome)}`,
  reopen: () => "reopened it",
  snooze: ({ until }) => `snoozed the rule for this group until ${utc(until).slice(0, 16)} UTC`,
  note: () => "noted",
};

function facts(found) {
  const { group } = found;
  return [
    ["Payor", group.payor_account_no ?? "many"],
    ["Payee", "payee_account_no" in group ? `${group.payee_account_no} at ${group.payee_bank}` : "many"],
    ["Payments", count(found.payment_count)],
    ["Total", dollars(found.total_amount)],
    ["Largest", dollars(found.max_amount)],
    ["Window, UTC", `${utc(found.window_start).slice(0, 16)} to ${utc(found.window_end).slice(0, 16)}`],
    ["First, last payment, UTC", found.first_payment_at === null
      ? `unknown, ${utc(found.last_payment_at)}` : `${utc(found.first_payment_at)}, ${utc(found.last_payment_at)}`],
    ["Late payments", `${count(found.late_payments)}${found.late_payments ? " (after the window had closed; not counted)" : ""}`],
    ["Reviewer", found.reviewer ?? "nobody"],
    ["Outcome", found.outcome ? outcomeName(found.outcome) : "none yet"],
  ];
}

function drawEngines(table, { agreement, engines }) {
  const { python, ksqldb, differences } = engines;
  if (agreement === "off") {
    const nothing = row(["No ksqlDB is connected, so there is nothing to compare with (KSQLDB_URL)."]);
    return table.replaceChildren(nothing);
  }
  const lines = [
    ["Payments", "payment_count", String], ["Total", "total_amount", dollars], ["Largest", "max_amount", dollars],
    ["Window’s end, UTC", "window_end", utc], ["Payment ids", "payment_ids", (ids) => `${ids.length} listed`],
  ].map(([name, figure, show]) => {
    const said = (engine) => (engine ? show(engine[figure]) : "not found");
    const line = row([name, said(python), said(ksqldb), figure in differences ? "differs" : ""], { heading: true });
    line.classList.toggle("differs", figure in differences || !python || !ksqldb);
    return line;
  });
  const body = document.createElement("tbody");
  body.append(...lines);
  table.replaceChildren(heads(["Figure", "Python", "ksqlDB", agreementName(agreement)]), body);
}

function drawPayments(table, { payments }) {
  const body = document.createElement("tbody");
  body.append(...payments.map((each) => row([
    each.timestamp === undefined ? "" : utc(each.timestamp),
    each.payment_amount === undefined ? "" : dollars(each.payment_amount),
    each.payment_method ?? "",
    (each.topic ?? "").replace("payment_", ""),
    element("code", each.id),
  ])));
  table.replaceChildren(heads(["Time, UTC", "Amount", "Method", "Came as", "Id"]), body);
}

function historyItem(decision) {
  const said = (done[decision.decision] ?? (() => decision.decision))(decision);
  const item = element("li");
  item.append(element("strong", decision.reviewer), ` ${said} `, element("time", `${utc(decision.time)} UTC`));
  if (!decision.took_effect) item.append(element("em", " (took no effect: another decision was faster)"));
  if (decision.note) item.append(element("p", decision.note));
  return item;
}

function relatedItem(other) {
  const address = new URLSearchParams(location.search);
  address.set("case", other.case_id);
  const item = element("li");
  const link = element("a", ruleName(other.rule), { href: `?${address}`, "data-case": other.case_id });
  item.append(link, ` ${parties(other.group)}, ${dollars(other.total_amount)}, ${utc(other.window_start).slice(0, 10)}, ${statusName(other.status)}`);
  return item;
}

function banner(part, text) {
  const found = fill(panel, part, text ?? "");
  found.hidden = !text;
}

/** What a case as it stands allows. The service decides; this saves a question. */
function allowed(decision, found) {
  const closed = found.status === "cleared" || found.status === "escalated";
  if (decision === "note") return true;
  if (decision === "reopen") return found.status !== "open";
  if (decision === "claim") return !closed && found.status !== "in_review";
  return !closed;
}

function draw(found) {
  panel.replaceChildren($("#case-template").content.cloneNode(true));
  fill(panel, "rule", ruleName(found.rule));
  fill(panel, "status", statusName(found.status)).className = `chip ${found.status}`;
  fill(panel, "reason", `${found.reason}.`);
  banner("reopened", found.reopened && `Open again: ${found.reopened.why}.`);
  banner("snoozed", found.snooze && `${found.snooze.reviewer} has snoozed this rule for this group until ${utc(found.snoozed_until).slice(0, 16)} UTC${found.snooze.note ? `: ${found.snooze.note}` : "."}`);
  for (const button of panel.querySelectorAll("[data-decide]")) {
    button.disabled = !allowed(button.dataset.decide, found);
  }
  $('[data-of="facts"]', panel).replaceChildren(...facts(found).map(([name, value]) => {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", String(value)));
    return pair;
  }));
  drawChart(found);
  drawEngines($('[data-of="engines"]', panel), found);
  drawPayments($('[data-of="payments"]', panel), found);
  const history = found.history.map(historyItem).reverse();
  $('[data-of="history"]', panel).replaceChildren(...(history.length ? history : [element("li", "Nobody has decided anything yet.")]));
  const related = found.related.map(relatedItem);
  $('[data-of="related"]', panel).replaceChildren(...(related.length ? related : [element("li", "No other case of this payor or payee.")]));
}

function drawChart(found) {
  const figure = $("figure", panel);
  figure.hidden = found.first_payment_at === null;
  if (figure.hidden) return;
  const chart = $("img", figure);
  chart.src = `/review-queue/${found.case_id}/chart.svg?version=${found.version}`;
  chart.alt = `Payments over time: they add up to ${dollars(found.total_amount)}; the line is at $10,000.`;
  const rest = found.payment_count > found.payments.length ? ` The first ${count(found.payments.length)} payments.` : "";
  fill(figure, "caption", `What the payments add up to, in time, against the $10,000 line.${rest}`);
}

/** Show a case; with `focus`, whoever listens to the page is taken there. Returns whether it is there. */
export async function open(id, { focus = false } = {}) {
  try {
    const found = await api.showCase(id);
    shown = found;
    panel.hidden = false;
    document.body.classList.add("with-case");
    draw(found);
  } catch (problem) {
    shown = null;
    panel.hidden = false;
    document.body.classList.add("with-case");
    const back = element("button", "← Queue", { type: "button", class: "quiet back", "data-do": "close" });
    panel.replaceChildren(back, element("p", `This case cannot be shown: ${problem.message}`, { role: "alert" }));
  }
  if (focus) $("h2", panel)?.focus({ preventScroll: false });
}

/** Show the case anew, without moving what is read. */
export async function refresh(found = null) {
  if (shown === null) return;
  const id = shown.case_id;
  const fresh = found ?? await api.showCase(id).catch(() => null);
  if (fresh === null || shown?.case_id !== id) return;
  const at = panel.scrollTop;
  const focused = panel.contains(document.activeElement) ? document.activeElement.dataset?.decide : null;
  shown = fresh;
  draw(fresh);
  panel.scrollTop = at;
  if (focused) $(`[data-decide="${focused}"]:not(:disabled)`, panel)?.focus();
}

/** Say beside the case why a decision on it was not made. */
export function conflict(text) {
  if (shown !== null) banner("conflict", text);
}

export function close() {
  shown = null;
  panel.hidden = true;
  panel.replaceChildren();
  document.body.classList.remove("with-case");
}
