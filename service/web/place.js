// Where the reader is: filters, order and the open case stand in the address, so that a link or a reload leads back.

export const TO_DO = "open,in_review";
const FILTERS = ["rule", "payor", "payee", "payee_bank", "min_total", "max_total", "last_payment_from",
  "last_payment_to", "agreement", "reviewer", "payment_id"];
const TIMES = ["last_payment_from", "last_payment_to"];

export const read = () => new URLSearchParams(location.search);
export const openCase = () => read().get("case");
export const status = () => read().get("status") ?? TO_DO;
export const sort = () => read().get("sort") ?? "-last_payment_at";

/** The filters that are set, by name, as they stand in the form. */
export function filters() {
  const parameters = read();
  return Object.fromEntries(FILTERS.filter((name) => parameters.get(name)).map((name) => [name, parameters.get(name)]));
}

/** Change some of it; null takes a parameter away. `replace` leaves no step to go back to. */
export function go(changes, { replace = false } = {}) {
  const parameters = read();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") parameters.delete(name);
    else parameters.set(name, value);
  }
  const address = parameters.size ? `?${parameters}` : location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", address);
}

/** What the service is asked: the filters, times in milliseconds. */
export function query({ withStatus = true } = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(filters())) {
    parameters.set(name, TIMES.includes(name) ? String(Date.parse(`${value}Z`)) : value);
  }
  if (withStatus && status() !== "all") parameters.set("status", status());
  return parameters;
}

export const clearFilters = () => go(Object.fromEntries(FILTERS.map((name) => [name, null])));
export const filterNames = FILTERS;
