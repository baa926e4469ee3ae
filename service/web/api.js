// Requests to the service.

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? `the service answered ${status}`);
    this.status = status;
    this.body = body;
  }

  /** Whether asking again could help: the question itself is at fault where the service answers 4xx. */
  get passes() {
    return this.status >= 500 || this.status === 429;
  }
}

async function ask(path, options = {}) {
  const response = await fetch(path, { headers: { Accept: "application/json" }, ...options });
  if (response.status === 401) {
    location.assign(`login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (response.status === 204) return {};
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, body);
  return body;
}

const post = (path, body, headers = {}) =>
  ask(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } });

const address = (kind, id) =>
  `review-queue/${kind === "subject" ? "subjects/" : ""}${encodeURIComponent(id)}`;

export const page = (parameters) => ask(`review-queue?${parameters}`);
export const counts = (parameters) => ask(`review-queue/counts?${parameters}`);
export const show = (kind, id) => ask(address(kind, id));
export const session = () => ask("session");
export const signOut = () => post("logout", {});
export const status = () => ask("status");
export const comparison = () => ask("comparison");
export const decide = (kind, id, version, request) =>
  post(`${address(kind, id)}/decisions`, request, { "If-Match": `"${version}"` });
export const exemptions = () => ask("review-queue/exemptions");
export const exempt = (request) => post("review-queue/exemptions", request);
export const endExemption = (id, request) => post(`review-queue/exemptions/${encodeURIComponent(id)}/end`, request);
export const decideMany = (subjects, request) => post("review-queue/decisions", { ...request, subjects });

/** A UUID (RFC 9562, version 4); crypto.randomUUID is there on secure origins only. */
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Send three payments that are together above the line, each over another address. */
export async function sendSamples() {
  const payor = Math.floor(Math.random() * 900_000) + 100_000;
  const cents = () => Math.floor(Math.random() * 50_000) / 100;
  for (const format of ["json", "avro", "protobuf"]) {
    await post(`payment_${format}`, {
      id: uuid(),
      payee_bank: "First Harbor Bank",
      payee_account_no: 9001,
      payment_amount: Number((3500 + cents()).toFixed(2)),
      payment_method: "ACH",
      payor_account_no: payor,
    });
  }
  return payor;
}
