// A picture of who paid whom: a band for each pair of accounts, as wide as what went through it.

import { dollars, payee, payor } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const MAX_BANDS = 12;
const WIDTH = 600;
const LINE = 34;
const LABEL = 150;
const BAND = { min: 2, max: 24 };

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const short = (text) => (text.length > 22 ? `${text.slice(0, 21)}…` : text);

/** Sums by payor and payee, the largest first; only where both sides are known. */
function bands(payments) {
  const sums = new Map();
  for (const payment of payments) {
    if (payment.payor_account_no === undefined || payment.payee_account_no === undefined) continue;
    const key = `${payor(payment)}\n${payee(payment)}`;
    const band = sums.get(key) ?? { from: payor(payment), to: payee(payment), cents: 0, payments: 0 };
    band.cents += Math.round((payment.payment_amount ?? 0) * 100);
    band.payments += 1;
    sums.set(key, band);
  }
  return [...sums.values()].sort((one, other) => other.cents - one.cents);
}

/** Draw the flow into a figure; it is hidden where there is nothing to see. */
export function drawFlow(figure, payments) {
  const all = bands(payments);
  const shown = all.slice(0, MAX_BANDS);
  figure.hidden = shown.length === 0;
  if (figure.hidden) return;
  const senders = [...new Set(shown.map(({ from }) => from))];
  const receivers = [...new Set(shown.map(({ to }) => to))];
  const height = Math.max(senders.length, receivers.length) * LINE + 8;
  const most = Math.max(...shown.map(({ cents }) => cents));
  const place = (list, name) => 4 + (height - 8) * (list.indexOf(name) + 0.5) / list.length;
  const text = shown.map((band) => `${band.from} to ${band.to}: ${dollars((band.cents / 100).toFixed(2))}`).join("; ");
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `Flow: ${text}`, class: "flow" });
  for (const band of shown) {
    const [y1, y2] = [place(senders, band.from), place(receivers, band.to)];
    const [x1, x2] = [LABEL, WIDTH - LABEL - 20];
    const half = (x1 + x2) / 2;
    const path = shape("path", {
      d: `M ${x1} ${y1} C ${half} ${y1}, ${half} ${y2}, ${x2} ${y2}`, class: "band",
      "stroke-width": String(BAND.min + (BAND.max - BAND.min) * band.cents / most),
    });
    path.append(shape("title", {}, `${band.from} → ${band.to}: ${dollars((band.cents / 100).toFixed(2))} in ${band.payments}`));
    svg.append(path);
  }
  for (const name of senders) svg.append(shape("text", { x: LABEL - 8, y: place(senders, name) + 4, "text-anchor": "end" }, short(name)));
  for (const name of receivers) {
    svg.append(shape("text", { x: WIDTH - LABEL - 12, y: place(receivers, name) + 4 }, short(name)));
  }
  const caption = document.createElement("figcaption");
  caption.textContent = all.length > MAX_BANDS ? `Who paid whom: the largest ${MAX_BANDS} of ${all.length} pairs.` : "Who paid whom.";
  figure.replaceChildren(svg, caption);
}
