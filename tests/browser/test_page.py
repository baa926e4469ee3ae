"""The page as a reviewer uses it."""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from schemas.kafka.settings import KafkaSettings
from tests.browser.conftest import Visitors
from tests.integration.processes import until
from tests.integration.serving import case, payor_of_this_test, put_cases

log = logging.getLogger(__name__)

SERIOUS = {"serious", "critical"}
MORNING_MS = 200
"""Bound of the service's CPU time for a step of a reviewer's morning."""

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def with_subjects(kafka: KafkaSettings, number: int = 3, **changes: Any) -> str:
    """Payors with a case each, who pay at a bank that no other test knows; the bank."""
    payor = payor_of_this_test()
    await put_cases(kafka, *(subject_case(payor, payee, **changes) for payee in range(number)))
    return f"B{payor}"


def subject_case(payor: int, number: int, **changes: Any) -> dict[str, Any]:
    """A case of the payor `number` accounts further."""
    group = {"payor_account_no": (payor + number) % 2**31, "payee_bank": f"B{payor}", "payee_account_no": number}
    return case(payor, number, group=group, **changes)


async def shown(page: Page, number: int) -> None:
    """Wait until the list has so many cases."""
    await expect(page.locator("#rows tr")).to_have_count(number)


async def test_an_empty_queue_offers_sample_payments_and_their_case_appears(visitors: Visitors) -> None:
    page = await visitors.come()
    await expect(page.locator("#empty-text")).to_contain_text("Nothing is waiting")
    await page.click("#samples")
    await expect(page.locator("#rows tr").first).to_contain_text("3 payments, together $1")


async def test_a_case_appears_without_a_reload(visitors: Visitors, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    page = await visitors.come(f"/?payor={payor}")
    await expect(page.locator("#empty-text")).to_contain_text("No subject matches")
    await put_cases(kafka, case(payor))
    await shown(page, 1)
    await put_cases(kafka, case(payor, payment_count=7, total_amount="23456.78"))
    await expect(page.locator("#rows .total")).to_have_text("≥ $23,456.78")


async def test_nothing_moves_under_the_pointer(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 2)
    page = await visitors.come(f"/?payee_bank={bank}")
    await shown(page, 2)
    await page.hover("#rows tr:first-child")
    await put_cases(kafka, subject_case(int(bank[1:]), 5))
    await expect(page.locator("#fresh")).to_have_text("Show 1 new subject")
    await shown(page, 2)
    await page.click("#fresh")
    await shown(page, 3)


async def test_filters_stand_in_the_address_and_the_way_back_leads_back(
    visitors: Visitors, kafka: KafkaSettings
) -> None:
    bank = await with_subjects(kafka)
    page = await visitors.come(f"/?payee_bank={bank}")
    await shown(page, 3)
    await page.click("#filters summary")
    await page.fill("[name=min_total]", "10002.00")
    await page.press("[name=min_total]", "Enter")
    await shown(page, 1)
    assert "min_total=10002.00" in page.url
    await page.reload()
    await shown(page, 1)
    await page.go_back()
    await shown(page, 3)


async def test_a_case_is_opened_and_cleared_and_its_history_says_so(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 1)
    page = await visitors.come(f"/?payee_bank={bank}")
    await page.click("#rows a.open")
    await expect(page.locator("#detail .reason")).to_contain_text("2 payments, together $10,000.01")
    await expect(page.locator("#detail img")).to_have_js_property("complete", value=True)
    assert await page.locator("#detail img").evaluate("image => image.naturalWidth") > 0
    await page.click("[data-decide=clear]")
    await page.check("[value=false_positive]")
    await page.fill("[name=note]", "<b>rent</b> in two parts")
    await page.click("#decide-go")
    await expect(page.locator("#detail h2 .chip")).to_have_text("cleared")
    await expect(page.locator("#detail .history")).to_contain_text("ann cleared it: false positive")
    await expect(page.locator("#detail .history")).to_contain_text("<b>rent</b> in two parts")
    await expect(page.locator("#rows tr .state .chip")).to_have_text("cleared")


async def test_whoever_comes_second_is_told_and_loses_nothing_that_was_typed(
    visitors: Visitors, kafka: KafkaSettings
) -> None:
    bank = await with_subjects(kafka, 1)
    ann, bob = await visitors.come(f"/?payee_bank={bank}"), await visitors.come(f"/?payee_bank={bank}", reviewer="bob")
    for page in (ann, bob):
        await page.click("#rows a.open")
    await bob.click("[data-decide=note]")
    await bob.fill("[name=note]", "called the branch")
    await ann.click("[data-decide=claim]")
    await expect(ann.locator("#detail h2 .chip")).to_have_text("in review")
    await bob.click("#decide-go")
    await expect(bob.locator("#decide-problem")).to_contain_text("ann was faster: claim at")
    await expect(bob.locator("[name=note]")).to_have_value("called the branch")
    await bob.click("#decide-go")
    await expect(bob.locator("#detail .history")).to_contain_text("bob noted")
    await expect(ann.locator("#detail .history")).to_contain_text("called the branch")


async def test_a_case_is_worked_with_the_keyboard_alone(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 3)
    page = await visitors.come(f"/?payee_bank={bank}")
    await shown(page, 3)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator("#detail h2")).to_be_focused()
    await expect(page.locator("#rows tr:nth-child(2)")).to_have_class("current")
    await page.keyboard.press("a")
    await expect(page.locator("#detail h2 .chip")).to_have_text("in review")
    await page.keyboard.press("e")
    await expect(page.locator("#decide-title")).to_have_text("Escalate")
    await page.keyboard.press("Space")
    await page.locator("#decide-go").press("Enter")
    await expect(page.locator("#detail h2 .chip")).to_have_text("escalated")
    await page.keyboard.press("j")
    await expect(page.locator("#rows tr:nth-child(3)")).to_have_class("current")
    await page.keyboard.press("Escape")
    await expect(page.locator("#detail")).to_be_hidden()
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()


async def test_several_cases_are_decided_at_once(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 3)
    page = await visitors.come(f"/?payee_bank={bank}")
    await shown(page, 3)
    await page.check("#all")
    await page.click("[data-bulk=clear]")
    await page.check("[value=valuable_alert]")
    await page.click("#decide-go")
    await expect(page.locator("#rows .chip.cleared")).to_have_count(3)
    await page.click("#precision summary")
    await expect(page.locator("#precision tbody tr").first).to_contain_text("Structuring")
    await expect(page.locator("#precision tbody tr td").last).to_contain_text("%")


async def test_a_decision_on_several_says_which_were_not_made(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 2)
    ann, bob = await visitors.come(f"/?payee_bank={bank}"), await visitors.come(f"/?payee_bank={bank}", reviewer="bob")
    await shown(ann, 2)
    await shown(bob, 2)
    await ann.click("#rows tr:first-child a.open")
    await ann.click("[data-decide=claim]")
    await expect(bob.locator("#rows .chip.in_review")).to_have_count(1)
    await bob.check("#all")
    await bob.click("[data-bulk=claim]")
    await expect(bob.locator("#refused")).to_contain_text("1 of 2 done; 1 were not: ")
    await expect(bob.locator("#rows .chip.in_review")).to_have_count(2)
    await bob.locator("#rows tr", has_text="bob").locator("input").check()
    await bob.click("[data-bulk=escalate]")
    await bob.check("[value=confirmed_risk]")
    await bob.click("#decide-go")
    await expect(bob.locator("#refused")).to_be_hidden()


async def test_more_that_cannot_be_had_is_said_and_can_be_asked_for_again(
    visitors: Visitors, kafka: KafkaSettings
) -> None:
    bank = await with_subjects(kafka, 60)
    page = await visitors.come(f"/?payee_bank={bank}")
    await shown(page, 50)
    await page.route("**/review-queue?*cursor=*", lambda route: route.abort("internetdisconnected"), times=1)
    await page.click("#more")
    await expect(page.locator("#failed")).to_contain_text("More cannot be shown")
    await page.click("#more")
    await shown(page, 60)
    await expect(page.locator("#failed")).to_be_hidden()


async def test_the_queue_is_followed_again_after_an_answer_that_ends_it(
    visitors: Visitors, kafka: KafkaSettings
) -> None:
    payor = payor_of_this_test()
    page = await visitors.come("/comparison.html")
    await page.route("**/review-queue/events?*", lambda route: route.fulfill(status=503), times=1)
    async with page.expect_response(lambda response: "/events" in response.url and response.status == 503):
        await page.goto(f"/?payor={payor}")
    await put_cases(kafka, case(payor))
    await shown(page, 1)
    await put_cases(kafka, case(payor, payment_count=7))
    await expect(page.locator("#rows [data-of=payment_count]")).to_have_text("7")


async def test_a_reload_comes_back_to_the_same_case(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 2)
    page = await visitors.come(f"/?payee_bank={bank}&sort=total")
    await page.click("#rows tr:nth-child(2) a.open")
    await expect(page.locator("#detail .reason")).to_be_visible()
    reason = await page.locator("#detail .reason").text_content()
    await page.reload()
    await expect(page.locator("#detail .reason")).to_have_text(reason or "")
    await expect(page.locator("#sort")).to_have_value("total")


async def test_what_strangers_wrote_is_text_only(visitors: Visitors, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    bank = "<img src=x onerror=document.title='taken'>"
    group = {"payor_account_no": payor, "payee_bank": bank, "payee_account_no": 1}
    await put_cases(kafka, case(payor, group=group))
    page = await visitors.come(f"/?payor={payor}")
    await page.click("#rows a.open")
    await expect(page.locator("#detail [data-of=payments]")).to_contain_text(bank)
    await expect(page).to_have_title("Underten: review queue")


async def test_a_lost_service_is_said_and_forgotten_once_it_is_back(visitors: Visitors) -> None:
    page = await visitors.come()
    await expect(page.locator("#lost")).to_be_hidden()
    await page.context.set_offline(offline=True)
    await expect(page.locator("#lost")).to_be_visible()
    await page.context.set_offline(offline=False)
    await expect(page.locator("#lost")).to_be_hidden()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_serious_and_nothing_overflows(
    visitors: Visitors, kafka: KafkaSettings, width: int, scheme: str
) -> None:
    bank = await with_subjects(kafka, 2)
    page = await visitors.come(f"/?payee_bank={bank}", width=width, scheme=scheme)
    await shown(page, 2)
    await accessible(page, width)
    await page.click("#rows a.open >> nth=0")
    await expect(page.locator("#detail .reason")).to_be_visible()
    await accessible(page, width)
    await page.click("[data-decide=clear]")
    await accessible(page, width)
    await page.goto("/comparison.html")
    await expect(page.locator("#state")).to_contain_text("there is no second engine")
    await accessible(page, width)


async def accessible(page: Page, width: int) -> None:
    report = await Axe().run(page)
    serious = [violation for violation in report.response["violations"] if violation["impact"] in SERIOUS]
    assert [(violation["id"], [node["html"][:100] for node in violation["nodes"]]) for violation in serious] == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_the_api_page_reads_the_description_and_sends_what_is_tried(visitors: Visitors) -> None:
    page = await visitors.come("/docs")
    await page.locator("#operations-operation-live .opblock-summary-control").click()
    await page.get_by_role("button", name="Try it out").click()
    await page.get_by_role("button", name="Execute", exact=True).click()
    await page.locator(".live-responses-table .highlight-code", has_text='"live"').wait_for()


def split_once(payor: int) -> list[dict[str, Any]]:
    """The four cases of somebody who splits 12,000.03 in three, once."""
    payments = [
        {**case(payor)["payments"][0], "payment_amount": 4000.01, "timestamp": 1_795_492_000_000 + number * 1000}
        for number in range(3)
    ]
    payments = [{**payment, "id": f"{payor:012d}-{number}"} for number, payment in enumerate(payments)]
    figures = {"payment_count": 3, "total_amount": "12000.03", "payments": payments}
    group = {"payor_account_no": payor, "payee_bank": "First Harbor Bank", "payee_account_no": 9001}
    day = case(payor, 0, group=group, **figures)
    rolling = [case(payor, 1 + n, group=group, rule="structuring_rolling", **figures) for n in range(3)]
    return [day, *(content | {"window_end": content["window_start"] + 3 * 86_400_000} for content in rolling)]


async def test_one_sum_split_once_is_one_line_and_cleared_once_nothing_is_left_to_do(
    visitors: Visitors, kafka: KafkaSettings
) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, *split_once(payor))
    page = await visitors.come(f"/?payor={payor}")
    await shown(page, 1)
    await expect(page.locator("#rows [data-of=payment_count]")).to_have_text("3")
    await expect(page.locator("#rows .total")).to_have_text("$12,000.03")
    await page.click("#rows a.open")
    await expect(page.locator("#detail [data-of=payments] tbody tr")).to_have_count(3)
    await expect(page.locator("#detail .cases > li")).to_have_count(1)
    await expect(page.locator("#detail .cases summary")).to_have_text("3 cases of the same payments")
    await expect(page.locator("#detail svg.flow .band")).to_have_count(1)
    await page.keyboard.press("c")
    await page.check("[value=false_positive]")
    await page.click("#decide-go")
    await expect(page.locator("#detail h2 .chip")).to_have_text("cleared")
    await expect(page.locator("#detail .history li")).to_have_count(1)
    await expect(page.locator("#detail .history")).to_contain_text("on 4 cases")
    await page.reload()
    await page.keyboard.press("Escape")
    await expect(page.locator("#empty-text")).to_contain_text("No subject matches")


async def test_a_subjects_case_opens_beside_it_and_leads_back(visitors: Visitors, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, *split_once(payor))
    page = await visitors.come(f"/?payor={payor}")
    await page.click("#rows a.open")
    await page.click("#detail .cases > li > a")
    await expect(page.locator("#detail h2")).to_contain_text("Structuring")
    await expect(page.locator("#detail .reason")).to_contain_text("each at most $10,000")
    await page.keyboard.press("Escape")
    await expect(page.locator("#detail h2")).to_contain_text(f"Payor {payor}")
    await page.keyboard.press("Escape")
    await expect(page.locator("#detail")).to_be_hidden()


async def test_a_case_names_the_payee_that_its_rule_leaves_open_where_there_is_but_one(
    visitors: Visitors, kafka: KafkaSettings
) -> None:
    payor = payor_of_this_test()
    first = case(payor)["payments"][0] | {"payee_bank": "First Harbor Bank", "payee_account_no": 9001}
    figures = {"payment_count": 2, "rule": "velocity", "group": {"payor_account_no": payor}}
    one, other = (
        case(
            payor,
            number,
            payments=[first, first | {"id": f"{payor:012d}-{number}", "payee_account_no": payee}],
            **figures,
        )
        for number, payee in enumerate((9001, 9002))
    )
    await put_cases(kafka, one, other)
    page = await visitors.come(f"/?payor={payor}&case={one['case_id']}")
    await expect(page.locator("#detail .facts")).to_contain_text("Payee9001 at First Harbor Bank")
    await page.goto(f"/?payor={payor}&case={other['case_id']}")
    await expect(page.locator("#detail .facts")).to_contain_text("Payeemany")


async def test_a_subject_that_grows_after_it_was_escalated_says_so(visitors: Visitors, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, case(payor))
    page = await visitors.come(f"/?payor={payor}&status=all")
    await page.click("#rows a.open")
    await expect(page.locator("#detail h2")).to_contain_text(f"Payor {payor}")
    await page.keyboard.press("e")
    await page.check("[value=confirmed_risk]")
    await page.click("#decide-go")
    await expect(page.locator("#detail h2 .chip")).to_have_text("escalated")
    await put_cases(kafka, case(payor, payment_count=29, total_amount="90000.00"))
    await expect(page.locator("#rows .chip.grown")).to_be_visible()
    await expect(page.locator("#detail [data-of=growth]")).to_contain_text("Grown since ann escalated it")


async def test_more_than_a_page_is_selected_and_decided_in_parts(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 230)
    page = await visitors.come(f"/?payee_bank={bank}")
    await shown(page, 50)
    await page.check("#all")
    await expect(page.locator("#pick-all")).to_have_text("Select all 230")
    await page.click("#pick-all")
    await expect(page.locator("#bulk-count")).to_have_text("230 selected")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "decisions" in request.url else None)
    await page.click("[data-bulk=claim]")
    await expect(page.locator('#tabs [data-status="in_review"] .count')).to_have_text("230", timeout=20_000)
    assert len(requests) == 3


async def test_tabs_share_one_stream_and_hidden_ones_have_none(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 1)
    first = await visitors.come(f"/?payee_bank={bank}")
    await shown(first, 1)
    streams = 0

    def count(request: Any) -> None:
        nonlocal streams
        streams += "/events" in request.url

    first.context.on("request", count)
    others = [await first.context.new_page() for _ in range(6)]
    for page in others:
        await page.goto(f"/?payee_bank={bank}")
        await shown(page, 1)
    await put_cases(kafka, subject_case(int(bank[1:]), 0, total_amount="44444.44"))
    for page in (first, *others):
        await expect(page.locator("#rows .total")).to_have_text("≥ $44,444.44")
    # A tab takes the stream over where the one that had it is not seen any more, one after the other.
    assert streams <= len(others)


async def test_a_filter_in_the_address_that_makes_no_sense_is_said_once(visitors: Visitors) -> None:
    page = await visitors.come("/comparison.html")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "/review-queue?" in request.url else None)
    visitors.expect("status of 422")
    await page.goto("/?payor=9999999999")
    await expect(page.locator("#failed")).to_contain_text("payor: is above 2147483647")
    await page.wait_for_timeout(4000)  # it was asked again every two seconds
    assert len(requests) <= 2
    await page.click("#unfilter")
    await expect(page.locator("#failed")).to_be_hidden()
    await expect(page.locator("#tabs [aria-current]")).to_contain_text("All")


async def test_a_report_opens_on_a_page_of_its_own(visitors: Visitors, kafka: KafkaSettings) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, *split_once(payor))
    page = await visitors.come(f"/?payor={payor}")
    await page.click("#rows a.open")
    await expect(page.locator("#detail .reason")).to_be_visible()
    async with page.expect_popup() as popup:
        await page.keyboard.press("p")
    report = await popup.value
    await expect(report.locator("dl")).to_contain_text("3 payments, together $12,000.03")
    await expect(report.locator("table").first.locator("tbody tr")).to_have_count(3)
    findings = await Axe().run(report)
    assert [violation["id"] for violation in findings.response["violations"] if violation["impact"] in SERIOUS] == []


async def test_an_account_is_exempt_from_its_page_and_the_exemption_is_listed_and_ended(
    visitors: Visitors, kafka: KafkaSettings
) -> None:
    payor = payor_of_this_test()
    await put_cases(kafka, case(payor))
    page = await visitors.come(f"/?payor={payor}&status=all")
    await page.click("#rows a.open")
    await page.click("[data-do=exempt]")
    await page.fill("[name=ceiling]", "20000")
    await page.fill("[name=note]", "payroll")
    await page.click("#decide-go")
    await expect(page.locator("#detail h2 .chip")).to_have_text("snoozed")
    await page.click("#exemptions summary")
    line = page.locator("#exemptions li", has_text=f"Payor {payor}")
    await expect(line).to_contain_text("all rules, up to $20,000.00 a case")
    await line.locator("button").click()
    await expect(line).to_have_count(0)
    await expect(page.locator("#detail h2 .chip")).to_have_text("open")


async def test_a_reviewers_morning_on_two_thousand_subjects(visitors: Visitors, kafka: KafkaSettings) -> None:
    bank = await with_subjects(kafka, 2000)
    page = await visitors.come("/comparison.html")

    async def all_are_in_the_view() -> bool:
        answer = await page.request.get("/review-queue/counts", params={"by": "subject", "payee_bank": bank})
        return sum((await answer.json())["status"].values()) == 2000

    async def cpu_ms() -> float:
        """CPU time of the service: what a machine under load does not stretch."""
        exposition = await (await page.request.get("/metrics")).text()
        [seconds] = re.findall(r"^process_cpu_seconds_total (\S+)", exposition, re.MULTILINE)
        return float(seconds) * 1000

    steps: dict[str, float] = {}

    @asynccontextmanager
    async def step(name: str) -> AsyncIterator[None]:
        before = await cpu_ms()
        yield
        steps[name] = await cpu_ms() - before

    # A page that is open sooner shows them as they come.
    await until(all_are_in_the_view)
    async with step("open the queue"):
        await page.goto(f"/?payee_bank={bank}")
        await shown(page, 50)
    async with step("sort by due date"):
        await page.select_option("#sort", "due_at")
        await shown(page, 50)
        await expect(page.locator("#sort")).to_have_value("due_at")
    boxes = page.locator("#rows input")
    async with step("claim ten"):
        for number in range(10):
            await boxes.nth(number).check()
        await page.click("[data-bulk=claim]")
        await expect(page.locator("#rows .chip.in_review")).to_have_count(10)
    async with step("clear five with one note"):
        for number in range(5):
            await boxes.nth(number).check()
        await page.click("[data-bulk=clear]")
        await page.check("[value=false_positive]")
        await page.fill("[name=note]", "instalments")
        await page.click("#decide-go")
        await expect(page.locator("#rows .chip.cleared")).to_have_count(5)
    async with step("open one"):
        await page.locator("#rows tr:nth-child(6) a.open").click()
        await expect(page.locator("#detail h2 .chip")).to_be_visible()
    async with step("escalate it"):
        await page.keyboard.press("e")
        await page.check("[value=confirmed_risk]")
        await page.click("#decide-go")
        await expect(page.locator("#detail h2 .chip")).to_have_text("escalated")
    async with step("print its report"):
        async with page.expect_popup() as popup:
            await page.click('#detail [data-of="report"]')
        await expect((await popup.value).locator("ol")).to_contain_text("escalate")
    log.info("CPU time of the service, ms: %s", {name: round(ms) for name, ms in steps.items()})
    assert {name: ms for name, ms in steps.items() if ms > MORNING_MS} == {}, steps
