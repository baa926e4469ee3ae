// The page that compares both engines.

import * as api from "./api.js";
import { $, element, row } from "./dom.js";
import { engineName, nameEngine } from "./engine.js";
import { count, parties, ruleName, several, utc } from "./format.js";
import { watch } from "./status_bar.js";

const EVERY_MS = 3000;
const MAX_SHOWN = 200;
const KINDS = ["equal", "different", "only_python", "only_ksqldb", "late", "repeated"];
const PAYMENTS = "payment_ids";

const kindName = (kind) => (kind === "only_ksqldb" ? `only ${engineName()}` : kind.replace("_", " "));

/** An engine's value of a figure; of payments, those that it alone has. */
function said(figure, value) {
  if (value === undefined || value === null) return "nothing";
  if (figure !== PAYMENTS) return String(value);
  return value.length ? `${count(value.length)} that the other has not` : "none that the other has not";
}

/** A line for each figure that differs; the first says which window it is. */
function lines({ rule, group, window_start: start, kind, case_id: id, fields }) {
  const address = `./?${new URLSearchParams({ status: "all", rule, case: id })}`;
  const window = [element("a", ruleName(rule), { href: address }), parties(group), utc(start), kindName(kind)];
  return Object.entries(fields).map(([figure, { python, ksqldb }], place) =>
    row([...(place ? ["", "", "", ""] : window), figure.replaceAll("_", " "), said(figure, python), said(figure, ksqldb)]));
}

function total(rules) {
  const sum = (kind) => Object.values(rules).reduce((before, kinds) => before + kinds[kind], 0);
  return Object.fromEntries(KINDS.map((kind) => [kind, sum(kind)]));
}

/** What the comparison comes to, in a sentence, and how it is to look. */
function verdict(found, sums) {
  if (found.engine === null) return [`Nothing is compared: ${found.reason}.`, ""];
  if (found.differences.length > 0) return [`The engines do not agree on ${several(found.differences.length, "window")}.`, "bad"];
  if (!found.caught_up) return [`Not everything can be said yet: ${found.reason}.`, found.engine.state === "NOT_RUNNING" ? "bad" : ""];
  const windows = sums.equal === 1 ? "the one window" : `all ${count(sums.equal)} windows`;
  return [sums.equal ? `Both engines agree on ${windows} that fired.` : "Both engines have read everything, and no window has fired.", "good"];
}

function engineLine({ name, version, state, lag }) {
  const behind = lag === null ? "how far it has read is not known" : lag ? `${several(lag, "record")} to read` : "it has read everything";
  return `${name}${version ? ` ${version}` : ""}: ${state.toLowerCase().replaceAll("_", " ")}, ${behind}.`;
}

function show(found) {
  nameEngine(found.engine);
  const sums = total(found.rules);
  const [sentence, mood] = verdict(found, sums);
  $("#state").textContent = sentence;
  $("#state").className = `banner ${mood}`;
  $("#engine").hidden = found.engine === null;
  if (found.engine) $("#engine").textContent = engineLine(found.engine);
  $("#proof").hidden = found.engine?.name !== "Kafka Streams";
  $("#rules").hidden = Object.keys(found.rules).length === 0;
  $("#windows").textContent =
    `Windows: ${count(found.settled)} closed, ${count(found.provisional)} open, ${count(found.pending)} not to be judged yet, ${count(found.expired)} expired.`;
  const figures = (kinds) => KINDS.map((kind) => count(kinds[kind]));
  $("#rules tbody").replaceChildren(
    ...Object.entries(found.rules).map(([rule, kinds]) => row([ruleName(rule), ...figures(kinds)], { heading: true, numbers: true })),
    row(["All rules", ...figures(sums)], { heading: true, numbers: true }));
  $("#none").hidden = found.differences.length > 0;
  $("#differences").hidden = found.differences.length === 0;
  $("#differences tbody").replaceChildren(...found.differences.slice(0, MAX_SHOWN).flatMap(lines));
}

async function ask() {
  try {
    show(await api.comparison());
  } catch (problem) {
    $("#state").textContent = `It cannot be said: ${problem.message}`;
    $("#state").className = "banner bad";
  }
  setTimeout(ask, EVERY_MS);
}

watch();
ask();
