// The state that stands in the address, so that a link or a reload leads back: filters, order, what is open.

export const TO_DO = "open,in_review";
const FILTERS = ["rule", "payor", "payee", "payee_bank", "min_total", "max_total", "last_payment_from",
  "last_payment_to", "agreement", "reviewer", "payment_id", "overdue", "grown"];
const TIMES = ["last_payment_from", "last_payment_to"];

export const read = () => new URLSearchParams(location.search);
export const status = () => read().get("status") ?? TO_DO;
export const sort = () => read().get("sort") ?? "-last_payment_at";

/** The subject or case that is open: a case, where both are. */
export function open() {
  const parameters = read();
  for (const kind of ["case", "subject"]) if (parameters.get(kind)) return { kind, id: parameters.get(kind) };
  return null;
}

/** The filters that are set, by name, as they stand in the form. */
export function filters() {
  const parameters = read();
  return Object.fromEntries(FILTERS.filter((name) => parameters.get(name)).map((name) => [name, parameters.get(name)]));
}

/** The address with some of it changed; null takes a parameter away. */
export function changed(changes) {
  const parameters = read();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") parameters.delete(name);
    else parameters.set(name, value);
  }
  return parameters.size ? `?${parameters}` : location.pathname;
}

/** Go there. `replace` leaves no step to go back to. */
export const go = (changes, { replace = false } = {}) =>
  history[replace ? "replaceState" : "pushState"](null, "", changed(changes));

/** The query for the service: subjects, by the filters, times in milliseconds. */
export function query({ withStatus = true } = {}) {
  const parameters = new URLSearchParams({ by: "subject" });
  for (const [name, value] of Object.entries(filters())) {
    const ms = TIMES.includes(name) ? Date.parse(value) : NaN; // without a zone, the reader's
    parameters.set(name, Number.isNaN(ms) ? value : String(ms));
  }
  if (withStatus && status() !== "all") parameters.set("status", status());
  return parameters;
}

export const clearFilters = () => go(Object.fromEntries(FILTERS.map((name) => [name, null])));
export const filterNames = FILTERS;
