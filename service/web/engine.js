// The second engine by its name, wherever the pages speak of it; in the API's names it is always "ksqldb".

let name = "second engine";

export const engineName = () => name;

/** Put its name into the texts that are for it: data-engine="only {} found it". */
export function nameEngine(engine) {
  if (!engine || engine.name === name) return;
  name = engine.name;
  for (const place of document.querySelectorAll("[data-engine]")) {
    place.textContent = place.dataset.engine.replace("{}", name);
  }
}
