// The reviewer's page: what is where, and what leads where.

import * as api from "./api.js";
import { askReviewer, decide, meet } from "./decide.js";
import * as detail from "./detail.js";
import { $, element, say } from "./dom.js";
import { follow } from "./events.js";
import { show as showExemptions } from "./exemptions.js";
import { ruleName } from "./format.js";
import { listen } from "./keyboard.js";
import * as queue from "./queue.js";
import { watch } from "./status_bar.js";
import * as url from "./url_state.js";

const RULES = [
  "structuring", "structuring_rolling", "structuring_weeks", "fan_out", "fan_in", "fan_in_few", "just_below", "velocity",
];

/** Take in what the queue's events say. */
function told({ changed, gone, reset }) {
  if (reset) {
    queue.load();
    if (detail.current() && !$("dialog[open]")) detail.refresh();
  }
  if (gone) queue.gone(gone);
  if (!changed) return;
  queue.changed(changed);
  const open = detail.current();
  if ((open?.item.subject_id ?? null) === changed && !$("dialog[open]")) detail.refresh();
}

/** Who is here, and what may be done here. */
async function introduce() {
  meet(null);
  const { name, samples: offered } = await api.session().catch(() => ({ name: null, samples: false }));
  meet(name);
  $("#samples").hidden = !offered;
}

/** Show what the address says. */
async function arrive() {
  const filters = url.filters();
  for (const name of url.filterNames) {
    const field = $("#filter-form").elements[name];
    if (field.type === "checkbox") field.checked = filters[name] === "true";
    else field.value = filters[name] ?? "";
  }
  const active = Object.keys(filters).length;
  $("#filters-active").textContent = active ? `(${active})` : "";
  $("#sort").value = url.sort();
  queue.unpick();
  await Promise.all([queue.load(), showOpen()]);
}

async function showOpen(options) {
  const open = url.open();
  if (!open) detail.close();
  else if (detail.current()?.id !== open.id) await detail.open(open.kind, open.id, options);
  queue.mark();
}

function open(kind, id, options = { focus: false }) {
  const state = kind === "subject" ? { subject: id, case: null } : { case: id };
  url.go(state, { replace: detail.current() !== null && kind === "subject" && url.open()?.kind === "subject" });
  return showOpen(options);
}

/** Close a case to its subject, and a subject to the queue. */
function close() {
  const state = url.read();
  if (!url.open()) return;
  const subject = state.get("subject");
  url.go(state.get("case") && subject ? { case: null } : { case: null, subject: null });
  showOpen({ focus: true });
  if (!url.open()) queue.focusRow(subject);
}

function goTo(changes) {
  url.go(changes);
  return arrive();
}

async function samples() {
  const button = $("#samples");
  button.disabled = true;
  button.textContent = "Sending…";
  try {
    await api.sendSamples();
    say("Three payments were sent; their payor will appear.");
  } catch (problem) {
    $("#empty-text").textContent = `The payments could not be sent: ${problem.message}`;
  } finally {
    button.disabled = false;
    button.textContent = "Send sample payments";
  }
}

const isPlain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);

document.addEventListener("click", (event) => {
  if (!isPlain(event)) return;
  const link = event.target.closest("#rows a.open, #detail a[data-case], #detail a[data-subject], #tabs a");
  if (link) {
    event.preventDefault();
    if (link.dataset.case) return open("case", link.dataset.case, { focus: true });
    if (link.dataset.subject) return open("subject", link.dataset.subject, { focus: true });
    if (link.dataset.status) {
      const status = link.dataset.status === url.TO_DO ? null : link.dataset.status;
      return goTo({ status, case: null, subject: null });
    }
    return open("subject", link.closest("tr").dataset.id, { focus: true });
  }
  const line = event.target.closest("#rows tr");
  if (line && !event.target.closest("input, .pick")) return open("subject", line.dataset.id);
  const button = event.target.closest("[data-decide], [data-bulk], [data-do]");
  if (button?.dataset.do === "exempt") decide("exempt", "subject", [detail.current().item]);
  else if (button?.dataset.decide) decide(button.dataset.decide, detail.current().kind, [detail.current().item]);
  else if (button?.dataset.bulk) decide(button.dataset.bulk, "subject", queue.picked());
  else if (button) close();
});

$("#filter-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new FormData(event.target);
  goTo(Object.fromEntries(url.filterNames.map((name) => [name, (fields.get(name) ?? "").trim()])));
});
$("#filter-form").addEventListener("reset", () => { url.clearFilters(); arrive(); });
$("#unfilter").addEventListener("click", () => { url.clearFilters(); goTo({ status: "all", sort: $("#sort").value }); });
$("#sort").addEventListener("change", ({ target }) => goTo({ sort: target.value }));
$("#more").addEventListener("click", queue.more);
$("#fresh").addEventListener("click", () => { queue.showWaiting(); window.scrollTo({ top: 0 }); });
$("#samples").addEventListener("click", samples);
$("#who").addEventListener("click", askReviewer);
$("#help-open").addEventListener("click", () => $("#help").showModal());
$("#rows").addEventListener("change", queue.showPicked);
$("#pick-all").addEventListener("click", queue.pickAll);
$("#all").addEventListener("change", ({ target }) => {
  for (const box of document.querySelectorAll("#rows input")) box.checked = target.checked;
  queue.showPicked();
});
window.addEventListener("popstate", arrive);

const rules = $('#filter-form select[name="rule"]');
rules.append(...RULES.map((rule) => element("option", ruleName(rule), { value: rule })));

listen({ open, close });
introduce();
watch();
showExemptions();
arrive();
follow(told);
