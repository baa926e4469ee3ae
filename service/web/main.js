// The reviewer's page: what is where, and what leads where.

import * as api from "./api.js";
import * as detail from "./case.js";
import { askReviewer, decide, meet } from "./decide.js";
import { $, element, say } from "./dom.js";
import { ruleName } from "./format.js";
import { listen } from "./keyboard.js";
import * as place from "./place.js";
import * as queue from "./queue.js";
import { watch } from "./strip.js";

const RULES = [
  "structuring", "structuring_rolling", "structuring_weeks", "fan_out", "fan_in", "fan_in_few", "just_below", "velocity",
];
const FOLLOW_AGAIN_MS = 3000;
let events = null;

/** Follow the queue: what changes is told, whatever happens to the connection. */
function follow() {
  events?.close();
  const mine = events = new EventSource(`/review-queue/events?${place.query()}`);
  events.addEventListener("case", ({ data }) => {
    const item = JSON.parse(data);
    queue.changed(item);
    const open = detail.current();
    if (open?.case_id === item.case_id && open.version !== item.version && !$("dialog[open]")) detail.refresh();
  });
  events.addEventListener("gone", ({ data }) => queue.gone(JSON.parse(data).case_id));
  events.addEventListener("reset", () => queue.load());
  // A browser connects again by itself where the connection ends, but not after an answer such as 503.
  events.addEventListener("error", () => {
    if (mine.readyState === EventSource.CLOSED) setTimeout(() => mine === events && followAnew(), FOLLOW_AGAIN_MS);
  });
}

/** Who is here, and what may be done here. */
async function introduce() {
  meet(null);
  const { name, samples: offered } = await api.session().catch(() => ({ name: null, samples: false }));
  meet(name);
  $("#samples").hidden = !offered;
}

/** What came meanwhile was not told. */
function followAnew() {
  follow();
  return queue.load();
}

/** Show what the address says. */
async function arrive() {
  const filters = place.filters();
  for (const name of place.filterNames) $("#filter-form").elements[name].value = filters[name] ?? "";
  const active = Object.keys(filters).length;
  $("#filters-active").textContent = active ? `(${active})` : "";
  $("#sort").value = place.sort();
  follow();
  await queue.load();
  await showCase();
}

async function showCase(options) {
  const id = place.openCase();
  if (!id) detail.close();
  else if (detail.current()?.case_id !== id) await detail.open(id, options);
  queue.marked();
}

function openCase(id, options = { focus: false }) {
  place.go({ case: id }, { replace: detail.current() !== null });
  return showCase(options);
}

function closeCase() {
  const id = place.openCase();
  if (!id) return;
  place.go({ case: null });
  showCase();
  queue.focusRow(id);
}

function goTo(changes) {
  place.go(changes);
  return arrive();
}

function showPicked() {
  const number = queue.picked().length;
  $("#bulk").hidden = number === 0;
  $("#bulk-count").textContent = number ? `${number} selected` : "";
}

async function samples() {
  const button = $("#samples");
  button.disabled = true;
  button.textContent = "Sending…";
  try {
    await api.sendSamples();
    say("Three payments were sent; a case will appear.");
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
  const link = event.target.closest("#rows a.open, #case a[data-case], #tabs a");
  if (link) {
    event.preventDefault();
    if (link.dataset.status) {
      goTo({ status: link.dataset.status === place.TO_DO ? null : link.dataset.status, case: null });
    } else openCase(link.dataset.case ?? link.closest("tr").dataset.id, { focus: true });
    return;
  }
  const line = event.target.closest("#rows tr");
  if (line && !event.target.closest("input, .pick")) openCase(line.dataset.id);
  const button = event.target.closest("[data-decide], [data-bulk], [data-do=close]");
  if (button?.dataset.decide) decide(button.dataset.decide, [detail.current()]);
  else if (button?.dataset.bulk) decide(button.dataset.bulk, queue.picked());
  else if (button) closeCase();
});

$("#filter-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(event.target);
  goTo(Object.fromEntries(place.filterNames.map((name) => [name, given.get(name).trim()])));
});
$("#filter-form").addEventListener("reset", () => { place.clearFilters(); arrive(); });
$("#unfilter").addEventListener("click", () => { place.clearFilters(); goTo({ status: "all" }); });
$("#sort").addEventListener("change", ({ target }) => goTo({ sort: target.value }));
$("#more").addEventListener("click", queue.more);
$("#fresh").addEventListener("click", () => { queue.showWaiting(); window.scrollTo({ top: 0 }); });
$("#samples").addEventListener("click", samples);
$("#who").addEventListener("click", askReviewer);
$("#help-open").addEventListener("click", () => $("#help").showModal());
$("#rows").addEventListener("change", showPicked);
$("#all").addEventListener("change", ({ target }) => {
  for (const box of document.querySelectorAll("#rows input")) box.checked = target.checked;
  showPicked();
});
document.addEventListener("picked", showPicked);
window.addEventListener("popstate", arrive);

const rules = $('#filter-form select[name="rule"]');
rules.append(...RULES.map((rule) => element("option", ruleName(rule), { value: rule })));

listen({ open: openCase, close: closeCase });
introduce();
watch();
arrive();
