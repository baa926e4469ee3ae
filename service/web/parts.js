// Parts that a subject and a case have in common: facts, chart, history, banners.

import { $, element, fill } from "./dom.js";
import { decided, dollars, local, outcomeName, several, visible, when, zone } from "./format.js";

const panel = $("#detail");

function entry(decision, cases) {
  const texts = {
    assign: () => `assigned it to ${decision.assignee}`,
    clear: () => `${decision.proposal ? "proposed to clear it" : "cleared it"}: ${outcomeName(decision.outcome)}`,
    escalate: () => `${decision.proposal ? "proposed to escalate it" : "escalated it"}: ${outcomeName(decision.outcome)}`,
    snooze: () => `snoozed the rule for this group until ${local(decision.until).slice(0, 16)} ${zone(decision.until)}`,
  };
  const text = (texts[decision.decision] ?? (() => decided(decision.decision)))();
  const item = element("li");
  item.append(element("strong", decision.reviewer), ` ${text} `, when(decision.time));
  if (cases > 1) item.append(element("span", ` on ${several(cases, "case")}`, { class: "soft" }));
  if (!decision.took_effect) item.append(element("em", " (took no effect: another decision was faster)"));
  if (decision.note) item.append(element("p", visible(decision.note)));
  return item;
}

/** The history, the latest first; decisions that were one on several cases are one entry. */
export function drawHistory(list, history) {
  const together = new Map();
  for (const decision of history) {
    const key = [decision.reviewer, decision.decision, Math.round(decision.time / 1000), decision.note, decision.took_effect].join("\n");
    together.set(key, { decision, cases: (together.get(key)?.cases ?? 0) + 1 });
  }
  const entries = [...together.values()].map(({ decision, cases }) => entry(decision, cases)).reverse();
  list.replaceChildren(...(entries.length ? entries : [element("li", "Nobody has decided anything yet.")]));
}

/** Name and value, side by side. */
export function drawFacts(list, facts) {
  list.replaceChildren(...facts.map(([name, value]) => {
    const pair = element("div");
    const holder = element("dd");
    holder.append(value instanceof Node ? value : String(value));
    pair.append(element("dt", name), holder);
    return pair;
  }));
}

/** Where a payment stands on Kafka: its topic, partition and offset, and a link to the record, if the case says them. */
export function place({ id, topic, partition, offset }, caseId) {
  const format = (topic ?? "").replace("payment_", "");
  if (offset === undefined || partition === undefined) return format;
  const address = `review-queue/${encodeURIComponent(caseId)}/payments/${encodeURIComponent(id)}`;
  const link = element("a", `${format} ${partition}:${offset}`, { href: address, target: "_blank", rel: "noopener" });
  link.title = `${topic}, partition ${partition}, offset ${offset}: the record as it stands`;
  return link;
}

export function banner(part, text) {
  const found = fill(panel, part, text ?? "");
  found.hidden = !text;
}

/** The sentence on growth since a decision. */
export const growthText = ({ growth, payment_count, total_amount }) => growth && (
  `Grown since ${growth.reviewer} ${decided(growth.decision)} (${local(growth.time).slice(0, 16)}): `
  + `then ${several(growth.payment_count, "payment")}, ${dollars(growth.total_amount)}; now ${several(payment_count, "payment")}, ${dollars(total_amount)}.`);

/** A chart of payments against the line, or none where no times are known. */
export function drawChart(figure, address, item, hidden, rest = "") {
  figure.hidden = hidden;
  if (hidden) return;
  const chart = $("img", figure);
  chart.src = `${address}/chart.svg?version=${item.version}`;
  chart.alt = `Payments over time: they add up to ${dollars(item.total_amount)}; the line is at $10,000.`;
  fill(figure, "caption", `What the payments add up to, in time (UTC), against the $10,000 line.${rest}`);
}
