// The page that compares both engines.

import * as api from "./api.js";
import { $, element, row } from "./dom.js";
import { count, parties, ruleName, utc } from "./format.js";
import { watch } from "./status_bar.js";

const EVERY_MS = 3000;
const KINDS = ["equal", "different", "only_python", "only_ksqldb", "late"];

function figures(difference) {
  const texts = Object.entries(difference.fields).map(([name, both]) => {
    const [theirs, ours] = [both.ksqldb, both.python].map((value) => JSON.stringify(value) ?? "nothing");
    return `${name}: ksqlDB ${theirs}, Python ${ours}`;
  });
  return texts.join("; ").slice(0, 500);
}

function queueOf({ rule, group }) {
  const names = { payor_account_no: "payor", payee_account_no: "payee", payee_bank: "payee_bank" };
  const parameters = new URLSearchParams({ status: "all", rule });
  for (const [column, value] of Object.entries(group)) parameters.set(names[column], value);
  return element("a", ruleName(rule), { href: `/?${parameters}` });
}

function show(found) {
  const state = $("#state");
  state.classList.toggle("bad", found.differences.length > 0);
  state.textContent = found.caught_up
    ? "Both engines have read everything."
    : `Not everything can be said yet: ${found.reason}.`;
  $("#rules").hidden = Object.keys(found.rules).length === 0;
  $("#windows").textContent =
    `${count(found.settled)} windows are closed, ${count(found.provisional)} are open, ${count(found.pending)} cannot be judged yet.`;
  $("#rules tbody").replaceChildren(...Object.entries(found.rules).map(([rule, kinds]) =>
    row([ruleName(rule), ...KINDS.map((kind) => count(kinds[kind]))], { heading: true, numbers: true })));
  $("#none").hidden = found.differences.length > 0;
  $("#differences").hidden = found.differences.length === 0;
  $("#differences tbody").replaceChildren(...found.differences.slice(0, 200).map((each) =>
    row([queueOf(each), parties(each.group), utc(each.window_start), each.kind.replace("_", " "), figures(each)])));
}

async function ask() {
  try {
    show(await api.comparison());
  } catch (problem) {
    $("#state").textContent = `It cannot be said: ${problem.message}`;
  }
  setTimeout(ask, EVERY_MS);
}

watch();
ask();
