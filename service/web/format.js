// How figures read. Money comes as exact text and stays text: no sum is ever made of it here.

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

const AGREEMENT = {
  agree: "agrees", differ: "differs", only_python: "only Python", only_ksqldb: "only ksqlDB", pending: "pending", off: "off",
};

export const OUTCOME = {
  false_positive: "false positive", valuable_alert: "valuable alert", confirmed_risk: "confirmed risk",
};

export const ruleName = (rule) => RULES[rule] ?? rule;
export const statusName = (status) => STATUS[status] ?? status;
export const agreementName = (agreement) => AGREEMENT[agreement] ?? agreement;
export const outcomeName = (outcome) => OUTCOME[outcome] ?? outcome;

/** "12000.03" or 12000.03 as "$12,000.03". */
export function dollars(amount) {
  const [whole, cents] = (typeof amount === "number" ? amount.toFixed(2) : amount).split(".");
  return `$${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${cents ?? "00"}`;
}

export const count = (number) => number.toLocaleString("en-US");

/** Milliseconds since the epoch as "2026-11-24 10:03:11", UTC. */
export const utc = (ms) => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

/** How long ago, in a word or two. */
export function ago(ms, now = Date.now()) {
  const seconds = Math.round((now - ms) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return utc(ms).slice(0, 10);
}

/** Who pays whom, as far as the rule's group says. */
export function parties(group) {
  const payor = "payor_account_no" in group ? String(group.payor_account_no) : "many";
  const payee = "payee_account_no" in group ? `${group.payee_account_no} at ${group.payee_bank}` : "many";
  return `${payor} → ${payee}`;
}
