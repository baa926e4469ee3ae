// One subject: its payments once, who paid whom, its cases, what was decided, and who is related.

import { banner, drawChart, drawFacts, drawHistory, growthText, place } from "./parts.js";
import { $, element, fill, heads, row } from "./dom.js";
import {
  account, agreementName, ago, count, dollars, due, end, local, parties, payee, payor, ruleName, several, statusName, utc,
  visible, when, zone,
} from "./format.js";
import { drawFlow } from "./flow.js";
import * as url from "./url_state.js";

const MAX_PAYMENTS = 100; // shown at first

function otherSide(payment, subject) {
  return "payor_account_no" in subject ? payee(payment) : `Payor ${payor(payment)}`;
}

function paymentRow(payment, subject) {
  const known = payment.timestamp !== undefined;
  return row([
    known ? when(payment.timestamp, local(payment.timestamp)) : "",
    otherSide(payment, subject),
    payment.payment_amount === undefined ? "" : dollars(payment.payment_amount),
    visible(payment.payment_method ?? ""),
    payment.rules.map(ruleName).join(", "),
    place(payment, payment.cases[0]),
    element("code", payment.id),
  ]);
}

function drawPayments(within, { payments, subject }) {
  const table = $('[data-of="payments"]', within);
  const body = document.createElement("tbody");
  const shown = payments.slice(0, MAX_PAYMENTS);
  body.append(...shown.map((payment) => paymentRow(payment, subject)));
  const side = "payor_account_no" in subject ? "Payee" : "Payor";
  table.replaceChildren(heads([`Time, ${zone(payments[0]?.timestamp)}`, side, "Amount", "Method", "Counted by", "On Kafka", "Id"]), body);
  const all = $('[data-of="all-payments"]', within);
  all.hidden = payments.length <= MAX_PAYMENTS;
  all.textContent = `Show all ${count(payments.length)}`;
  all.addEventListener("click", () => {
    body.append(...payments.slice(MAX_PAYMENTS).map((payment) => paymentRow(payment, subject)));
    all.hidden = true;
  });
}

function caseLine(one, contained) {
  const item = element("li");
  const link = element("a", ruleName(one.rule), { href: url.changed({ case: one.case_id }), "data-case": one.case_id });
  const state = element("span", statusName(one.status), { class: `chip ${one.status}` });
  const figures = `${parties(one.group)}, ${several(one.payment_count, "payment")}, ${dollars(one.total_amount)}, window from ${utc(one.window_start).slice(0, 16)} UTC`;
  item.append(link, " ", state, ` ${figures}`);
  if (one.agreement !== "off") item.append(" ", element("span", agreementName(one.agreement), { class: `agreement ${one.agreement}` }));
  if (contained.length) {
    const folded = element("details");
    folded.append(element("summary", `${several(contained.length, "case")} of the same payments`));
    const inner = element("ul");
    inner.append(...contained.map((other) => caseLine(other, [])));
    folded.append(inner);
    item.append(folded);
  }
  return item;
}

function drawCases(list, { cases }) {
  const lines = cases.filter((one) => one.contained_in === null)
    .map((one) => caseLine(one, cases.filter((other) => other.contained_in === one.case_id)));
  list.replaceChildren(...lines);
}

function relatedLine(other) {
  const item = element("li");
  const link = element("a", account(other), { href: url.changed({ subject: other.subject_id, case: null }), "data-subject": other.subject_id });
  item.append(link, ` ${several(other.payment_count, "payment")}, ${dollars(other.total_amount)}, ${statusName(other.status)}, ${ago(other.last_payment_at)}`);
  return item;
}

function facts(item) {
  const span = document.createElement("span");
  const [first, last] = [item.first_payment_at ?? item.last_payment_at, item.last_payment_at];
  span.append(when(first, local(first)));
  if (first !== last) span.append(" to ", when(last, end(local(first), local(last))));
  const dueAt = element("span", "", item.overdue ? { class: "overdue" } : {});
  dueAt.append(when(item.due_at, local(item.due_at).slice(0, 10)), ` (${due(item.due_at)})`);
  const settled = item.status === "cleared" || item.status === "escalated";
  return [
    ["Payments", item.exact ? count(item.payment_count) : `at least ${count(item.payment_count)}`],
    ["Together", item.exact ? dollars(item.total_amount) : `at least ${dollars(item.total_amount)}`],
    [`First and last, ${zone()}`, span],
    [`Fired, ${zone()}`, when(item.fired_at)],
    ["Report due", settled ? "" : dueAt],
    ["Reviewer", item.reviewer ?? "nobody"],
    ["Open cases", `${count(item.open_cases)} of ${count(item.case_count)}`],
    ["Engines", item.agreement === "off" ? "one only" : agreementName(item.agreement)],
  ];
}

export function drawSubject(within, item) {
  fill(within, "account", account(item));
  fill(within, "status", statusName(item.status)).className = `chip ${item.status}`;
  fill(within, "reason", `${item.reason}.`);
  $('[data-of="rules"]', within).replaceChildren(...item.rules.map((rule) => element("span", ruleName(rule), { class: "chip rule" })));
  banner("growth", growthText(item));
  const proposal = item.cases.find((one) => one.proposal)?.proposal;
  item.proposal = proposal ?? null;
  banner("proposal", proposal && `${proposal.reviewer} proposes to ${proposal.decision} it: a second reviewer must agree.`);
  const reopened = item.cases.find((one) => one.reopened)?.reopened;
  banner("reopened", reopened && `Open again: ${reopened.why}.`);
  banner("snoozed", item.status === "snoozed" && `Silent until ${local(item.snoozed_until).slice(0, 16)} ${zone(item.snoozed_until)}, or until it grows above its ceiling.`);
  drawFacts($('[data-of="facts"]', within), facts(item));
  const address = `review-queue/subjects/${item.subject_id}`;
  $('[data-of="csv"]', within).href = `${address}/payments.csv`;
  $('[data-of="report"]', within).href = `${address}/report`;
  drawChart($("figure.chart", within), address, item, !item.payments.some(({ timestamp }) => timestamp !== undefined));
  drawFlow($("figure.who", within), item.payments);
  drawPayments(within, item);
  drawCases($('[data-of="cases"]', within), item);
  drawHistory($('[data-of="history"]', within), item.history);
  const related = item.related.map(relatedLine);
  $('[data-of="related"]', within).replaceChildren(...(related.length ? related : [element("li", "No other account shares a payor or a payee with it.")]));
}
