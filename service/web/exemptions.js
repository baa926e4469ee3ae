// The accounts that are exempt now, and the end of each.

import * as api from "./api.js";
import { reviewer } from "./decide.js";
import { $, element } from "./dom.js";
import { account, count, dollars, local, ruleName, visible, zone } from "./format.js";

const part = $("#exemptions");

function line(exemption) {
  const item = element("li");
  const rules = exemption.rules.length ? exemption.rules.map(ruleName).join(", ") : "all rules";
  const pair = "payor_account_no" in exemption.group && "payee_account_no" in exemption.group
    ? ` to ${exemption.group.payee_account_no} at ${visible(exemption.group.payee_bank)}` : "";
  const end = element("button", "End", { type: "button", class: "quiet" });
  end.addEventListener("click", async () => {
    end.disabled = true;
    await api.endExemption(exemption.exemption_id, { reviewer: reviewer() }).catch((problem) => { end.title = problem.message; });
    show();
  });
  item.append(
    element("strong", `${account({ subject: exemption.group })}${pair}`),
    ` ${rules}, up to ${dollars(exemption.max_total)} a case, until ${local(exemption.until).slice(0, 10)} ${zone(exemption.until)}; `,
    `${exemption.reviewer}: ${visible(exemption.reason)} `, end,
  );
  return item;
}

/** Show those that hold. */
export async function show() {
  const { items } = await api.exemptions().catch(() => ({ items: [] }));
  const live = items.filter((exemption) => exemption.live);
  part.hidden = live.length === 0;
  $('[data-of="exempt-count"]', part).textContent = `(${count(live.length)})`;
  $('[data-of="exempt"]', part).replaceChildren(...live.map(line));
}

document.addEventListener("exempted", show);
