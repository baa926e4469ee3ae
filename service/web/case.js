// One case: why it is here, what both engines say, what was decided, and what belongs to it.

import { banner, drawChart, drawFacts, drawHistory, growthText, place } from "./parts.js";
import { $, element, fill, heads, row } from "./dom.js";
import { engineName } from "./engine.js";
import {
  agreementName, count, dollars, due, end, local, outcomeName, parties, payee, payor, ruleName, statusName, utc, visible,
  when, zone,
} from "./format.js";
import * as url from "./url_state.js";

/** A side that the rule's group leaves open, where all payments have the same account there. */
function side(name, { group, payments, payment_count: number }) {
  const names = new Set(payments.map((payment) => name({ ...payment, ...group })));
  return names.size === 1 && payments.length === number ? [...names][0] : name(group);
}

function facts(item) {
  const [from, to] = [item.window_start, item.window_end].map((ms) => local(ms).slice(0, 16));
  const window = element("span", `${from} to ${end(from, to)}`);
  window.title = `${utc(item.window_start)} to ${utc(item.window_end)} UTC`;
  const span = document.createElement("span");
  if (item.first_payment_at === null) span.append("unknown, ", when(item.last_payment_at));
  else span.append(when(item.first_payment_at, local(item.first_payment_at)), ", ",
    when(item.last_payment_at, end(local(item.first_payment_at), local(item.last_payment_at))));
  return [
    ["Payor", side(payor, item)],
    ["Payee", side(payee, item)],
    ["Payments", count(item.payment_count)],
    ["Total", dollars(item.total_amount)],
    ["Largest", dollars(item.max_amount)],
    [`Window, ${zone(item.window_start)}`, window],
    [`First and last, ${zone(item.last_payment_at)}`, span],
    ["Report due", `${local(item.due_at).slice(0, 10)} (${due(item.due_at)})`],
    ["Late payments", `${count(item.late_payments)}${item.late_payments ? " (after the window had closed; not counted)" : ""}`],
    ["Reviewer", item.reviewer ?? "nobody"],
    ["Outcome", item.outcome ? outcomeName(item.outcome) : "none yet"],
  ];
}

function drawEngines(table, { agreement, engines }) {
  const { python, ksqldb, differences } = engines;
  if (agreement === "off") {
    const nothing = row(["There is no second engine to compare with (KSQLDB_URL, ENGINE)."]);
    return table.replaceChildren(nothing);
  }
  const lines = [
    ["Payments", "payment_count", String], ["Total", "total_amount", dollars], ["Largest", "max_amount", dollars],
    ["Window’s end, UTC", "window_end", utc], ["Payment ids", "payment_ids", (ids) => `${ids.length} listed`],
  ].map(([name, figure, show]) => {
    const text = (engine) => (engine ? show(engine[figure]) : "not found");
    const line = row([name, text(python), text(ksqldb), figure in differences ? "differs" : ""], { heading: true });
    line.classList.toggle("differs", figure in differences || !python || !ksqldb);
    return line;
  });
  const body = document.createElement("tbody");
  body.append(...lines);
  table.replaceChildren(heads(["Figure", "Python", engineName(), agreementName(agreement)]), body);
}

/** The ids that each engine lists, Python's first; none where both list the same, or one has found nothing. */
function idsByEngine({ engines: { python, ksqldb, differences } }) {
  if (!python || !ksqldb || !("payment_ids" in differences)) return [];
  return [new Set(python.payment_ids), new Set(ksqldb.payment_ids)];
}

function drawPayments(table, item) {
  const { payments, group } = item;
  const engines = idsByEngine(item);
  const listed = new Set(payments.map((payment) => payment.id));
  const unlisted = engines.flatMap((ids) => [...ids]).filter((id) => !listed.has(id)).map((id) => ({ id }));
  const body = document.createElement("tbody");
  body.append(...[...payments, ...unlisted].map((payment) => {
    const line = row([
      payment.timestamp === undefined ? "" : when(payment.timestamp, local(payment.timestamp)),
      parties({ ...group, ...payment }),
      payment.payment_amount === undefined ? "" : dollars(payment.payment_amount),
      visible(payment.payment_method ?? ""),
      place(payment, item.case_id),
      element("code", payment.id),
      ...engines.map((ids) => (ids.has(payment.id) ? "counted" : "not counted")),
    ]);
    line.classList.toggle("differs", engines.some((ids) => !ids.has(payment.id)));
    return line;
  }));
  const names = engines.length ? ["Python", engineName()] : [];
  const time = `Time, ${zone(payments[0]?.timestamp)}`;
  table.replaceChildren(heads([time, "Payor → payee", "Amount", "Method", "On Kafka", "Id", ...names]), body);
}

function relatedLine(other) {
  const item = element("li");
  const link = element("a", ruleName(other.rule), { href: url.changed({ case: other.case_id }), "data-case": other.case_id });
  item.append(link, ` ${parties(other.group)}, ${dollars(other.total_amount)}, ${utc(other.window_start).slice(0, 10)}, ${statusName(other.status)}`);
  return item;
}

export function drawCase(within, item) {
  const back = $('[data-of="subject"]', within);
  back.href = url.changed({ case: null, subject: item.subject_id });
  back.dataset.subject = item.subject_id;
  fill(within, "rule", ruleName(item.rule));
  fill(within, "status", statusName(item.status)).className = `chip ${item.status}`;
  fill(within, "reason", `${item.reason}.`);
  banner("growth", growthText(item));
  banner("reopened", item.reopened && `Open again: ${item.reopened.why}.`);
  banner("proposal", item.proposal && `${item.proposal.reviewer} proposes to ${item.proposal.decision} it: a second reviewer must agree.`);
  banner("snoozed", item.snooze && `${item.snooze.reviewer} has snoozed this rule for this group until ${local(item.snoozed_until).slice(0, 16)} ${zone(item.snoozed_until)}${item.snooze.note ? `: ${visible(item.snooze.note)}` : "."}`);
  drawFacts($('[data-of="facts"]', within), facts(item));
  const rest = item.payment_count > item.payments.length ? ` The first ${count(item.payments.length)} payments.` : "";
  drawChart($("figure", within), `review-queue/${item.case_id}`, item, item.first_payment_at === null, rest);
  drawEngines($('[data-of="engines"]', within), item);
  drawPayments($('[data-of="payments"]', within), item);
  drawHistory($('[data-of="history"]', within), item.history);
  const related = item.related.map(relatedLine);
  $('[data-of="related"]', within).replaceChildren(...(related.length ? related : [element("li", "No other case of this payor or payee.")]));
}
