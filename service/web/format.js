// How figures read. Money comes as exact text and stays text: no sum is ever made of it here, but for the flow's widths.

import { engineName } from "./engine.js";

const RULES = {
  structuring: "Structuring",
  structuring_rolling: "Structuring, rolling",
  structuring_weeks: "Structuring, weeks",
  fan_out: "Fan-out",
  fan_in: "Fan-in",
  fan_in_few: "Fan-in, few",
  just_below: "Just below",
  velocity: "Velocity",
};

const STATUS = {
  open: "open", in_review: "in review", cleared: "cleared", escalated: "escalated", snoozed: "snoozed",
};

const AGREEMENT = { agree: "agrees", differ: "differs", only_python: "only Python", pending: "pending", off: "off" };

const DECIDED = {
  claim: "claimed it", assign: "assigned it", clear: "cleared it", escalate: "escalated it", reopen: "reopened it",
  snooze: "snoozed it", note: "noted",
};

export const OUTCOME = {
  false_positive: "false positive", valuable_alert: "valuable alert", confirmed_risk: "confirmed risk",
};

const DAY_MS = 86_400_000;

export const ruleName = (rule) => RULES[rule] ?? rule;
export const statusName = (status) => STATUS[status] ?? status;
export const agreementName = (agreement) =>
  agreement === "only_ksqldb" ? `only ${engineName()}` : AGREEMENT[agreement] ?? agreement;
export const outcomeName = (outcome) => OUTCOME[outcome] ?? outcome;
export const decided = (decision) => DECIDED[decision] ?? decision;

/** "12000.03" or 12000.03 as "$12,000.03". */
export function dollars(amount) {
  const [whole, cents] = (typeof amount === "number" ? amount.toFixed(2) : amount).split(".");
  return `$${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${cents ?? "00"}`;
}

export const count = (number) => number.toLocaleString("en-US");
export const several = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Milliseconds since the epoch as "2026-11-24 10:03:11", UTC. */
export const utc = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

/** The same in the reader's zone. */
export function local(ms) {
  const at = new Date(ms);
  return utc(ms - at.getTimezoneOffset() * 60_000);
}

/** The reader's zone, at a time: "EST", "GMT+1", "UTC". */
export const zone = (ms = Date.now()) => new Intl.DateTimeFormat("en-US", { timeZoneName: "short" })
  .formatToParts(ms).find(({ type }) => type === "timeZoneName").value;

/** A time as an element: local, with its zone and UTC beside the pointer. */
export function when(ms, text = local(ms).slice(0, 16)) {
  const time = document.createElement("time");
  time.dateTime = new Date(ms).toISOString();
  time.title = `${local(ms)} ${zone(ms)}, ${utc(ms)} UTC`;
  time.textContent = text;
  return time;
}

/** The end of a span, of texts like "2026-11-24 10:03": without the day where it is the beginning's. */
export const end = (first, last) => (first.slice(0, 10) === last.slice(0, 10) ? last.slice(11) : last);

/** How long ago, in a word or two. */
export function ago(ms, now = Date.now()) {
  const seconds = Math.round((now - ms) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 30 * 86400) return `${Math.floor(seconds / 86400)} d ago`;
  return local(ms).slice(0, 10);
}

/** How long until a report is due, or since when it has been. */
export function due(ms, now = Date.now()) {
  const days = Math.floor((ms - now) / DAY_MS);
  if (ms < now) return days === -1 ? "overdue" : `${count(-days)} d overdue`;
  return days === 0 ? "today" : `in ${count(days)} d`;
}

/** Text of strangers with what nobody sees written by its number: a newline as \u000a. */
export const visible = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/gu,
  (char) => `\\u${char.codePointAt(0).toString(16).padStart(4, "0")}`);

/** An account of a group, a payment or a subject. */
export const payor = ({ payor_account_no }) => String(payor_account_no ?? "many");
export const payee = ({ payee_account_no, payee_bank }) =>
  payee_account_no === undefined ? "many" : `${payee_account_no} at ${visible(payee_bank)}`;

/** Who pays whom, as far as the rule's group says. */
export const parties = (group) => `${payor(group)} → ${payee(group)}`;

/** The account that a subject is. */
export const account = ({ subject }) =>
  "payor_account_no" in subject ? `Payor ${payor(subject)}` : `Payee ${payee(subject)}`;
