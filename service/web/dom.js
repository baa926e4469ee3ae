// Elements by what they are for. Text is only ever set as text: names of banks and notes come from strangers.

export const $ = (selector, within = document) => within.querySelector(selector);

export function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

/** Put text into the part of an element that is meant for it. */
export function fill(within, part, text) {
  const found = $(`[data-of="${part}"]`, within);
  found.textContent = text;
  return found;
}

/** A row of cells; the first may be a heading. Cells are texts or elements. */
export function row(cells, { heading = false, numbers = false } = {}) {
  const made = document.createElement("tr");
  cells.forEach((cell, index) => {
    const holder = document.createElement(heading && index === 0 ? "th" : "td");
    if (heading && index === 0) holder.scope = "row";
    if (numbers && index > 0) holder.className = "number";
    holder.append(cell);
    made.append(holder);
  });
  return made;
}

/** The heading row of a table. */
export function heads(names, numbers = false) {
  const made = document.createElement("thead");
  const line = document.createElement("tr");
  names.forEach((name, index) =>
    line.append(element("th", name, { scope: "col", ...(numbers && index > 0 ? { class: "number" } : {}) })));
  made.append(line);
  return made;
}

/** Tell people who listen to the page. */
export const say = (text) => { $("#said").textContent = text; };
