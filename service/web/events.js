// The queue's events: one stream for all tabs of a browser, and none while all of them are hidden. A browser opens six
// connections to a server that speaks HTTP/1.1: with a stream a tab, the seventh tab would wait for ever.
//
// The tabs agree by a lease in localStorage who holds the stream; that one tells the others.

const LEASE = "events-lease";
const LEASE_MS = 3000;
const RENEW_MS = 1000;

const own = String(Math.random());
const channel = new BroadcastChannel("events");
let source = null;
let listeners = () => {};

function leased() {
  const [holder, until] = (localStorage.getItem(LEASE) ?? "").split(" ");
  return Number(until) > Date.now() ? holder : null;
}

function release() {
  source?.close();
  source = null;
  if (leased() === own) localStorage.removeItem(LEASE);
}

function tell(message) {
  listeners(message);
  channel.postMessage(message);
}

function hold() {
  if (source) return;
  const opened = source = new EventSource("review-queue/events?by=subject");
  opened.addEventListener("subject", ({ data }) => tell({ changed: JSON.parse(data).subject_id }));
  opened.addEventListener("gone", ({ data }) => tell({ gone: JSON.parse(data).subject_id }));
  opened.addEventListener("reset", () => tell({ reset: true }));
  // What came between two streams nobody was told.
  opened.addEventListener("ready", () => tell({ reset: true }));
  // A browser connects again by itself where the connection ends, but not after an answer such as 503.
  opened.addEventListener("error", () => { if (opened.readyState === EventSource.CLOSED && source === opened) source = null; });
}

function elect() {
  if (document.hidden) return release();
  const holder = leased();
  if (holder === null || holder === own) localStorage.setItem(LEASE, `${own} ${Date.now() + LEASE_MS}`);
  if (leased() === own) hold();
  else if (source) { source.close(); source = null; }
}

/** Follow the queue; `listen` is told `{changed}` or `{gone}`, a subject's id, or `{reset}`: read anew. */
export function follow(listen) {
  listeners = listen;
  channel.addEventListener("message", ({ data }) => { if (!document.hidden) listeners(data); });
  document.addEventListener("visibilitychange", () => {
    elect();
    if (!document.hidden) listeners({ reset: true });
  });
  window.addEventListener("pagehide", release);
  window.addEventListener("pageshow", elect);
  window.addEventListener("storage", ({ key, newValue }) => { if (key === LEASE && newValue === null) elect(); });
  setInterval(elect, RENEW_MS);
  elect();
}
