"""The queue, on an event loop whose clock is ours."""

import asyncio

import pytest

import builders
from clock import now, run
from heteroserve.wake import LONGEST_PAUSE_SECONDS, Call, Subject, Wake, pause_seconds

A, B, C = (Subject(kind="InferenceDeployment", namespace="demo", name=name) for name in "abc")


async def drain(wake: Wake) -> list[Subject]:
    """Everything that waits, in its order, each done at once."""
    taken: list[Subject] = []
    while True:
        try:
            async with asyncio.timeout(0):
                subject = await wake.get()
        except TimeoutError:
            return taken
        taken.append(subject)
        wake.done(subject)


# --- Order -----------------------------------------------------------------------------------------------------------


def test_first_come_first_served() -> None:
    async def story() -> list[Subject]:
        wake = Wake()
        for subject in (B, A, C):
            wake.add(subject)
        return await drain(wake)

    assert run(story()) == [B, A, C]


def test_failures_go_first() -> None:
    async def story() -> list[Subject]:
        wake = Wake()
        wake.add(A)
        wake.add(B, Call.FAILURE)
        wake.add(C)
        return await drain(wake)

    assert run(story()) == [B, A, C]


def test_asking_twice_is_asking_once() -> None:
    async def story() -> list[Subject]:
        wake = Wake()
        for call in (Call.ROUTINE, Call.CHANGE, Call.FAILURE, Call.CHANGE, Call.FAILURE):
            wake.add(A, call)
        return await drain(wake)

    assert run(story()) == [A]


def test_what_waits_can_become_a_failure_and_stays_one() -> None:
    async def story() -> list[Subject]:
        wake = Wake()
        wake.add(A)
        wake.add(B)
        wake.add(B, Call.FAILURE)
        wake.add(B)
        return await drain(wake)

    assert run(story()) == [B, A]


def test_who_waits_for_work_is_woken() -> None:
    async def story() -> Subject:
        wake = Wake()
        worker = asyncio.create_task(wake.get())
        await asyncio.sleep(0)
        wake.add(A)
        return await worker

    assert run(story()) == A


def test_every_worker_gets_a_share() -> None:
    async def story() -> set[Subject]:
        wake = Wake()
        workers = [asyncio.create_task(wake.get()) for _ in range(3)]
        await asyncio.sleep(0)
        for subject in (A, B, C):
            wake.add(subject)
        return set(await asyncio.gather(*workers))

    assert run(story()) == {A, B, C}


def test_who_takes_failures_alone_leaves_the_rest_and_is_woken_for_them() -> None:
    async def story() -> tuple[bool, Subject, list[Subject]]:
        wake = Wake()
        wake.add(A)
        reserved = asyncio.create_task(wake.get(urgent_only=True))
        await asyncio.sleep(1)
        wake.add(B)
        await asyncio.sleep(1)
        idle = not reserved.done()
        wake.add(C, Call.FAILURE)
        return idle, await reserved, await drain(wake)

    assert run(story()) == (True, C, [A, B])


def test_who_takes_failures_alone_keeps_nobody_else_asleep() -> None:
    async def story() -> tuple[Subject, bool]:
        wake = Wake()
        reserved = asyncio.create_task(wake.get(urgent_only=True))
        other = asyncio.create_task(wake.get())
        await asyncio.sleep(1)
        wake.add(A)
        taken = await asyncio.wait_for(other, 1)
        return taken, reserved.done() or not reserved.cancel()

    assert run(story()) == (A, False)


# --- One worker per key ----------------------------------------------------------------------------------------------


def test_what_is_being_worked_on_is_given_to_nobody_else_and_once_more_afterwards() -> None:
    async def story() -> tuple[list[Subject], list[Subject], list[Subject]]:
        wake = Wake()
        wake.add(A)
        running = await wake.get()
        wake.add(A)
        wake.add(A, Call.FAILURE)
        wake.add(B)
        meanwhile = await drain(wake)
        wake.done(running)
        return meanwhile, await drain(wake), await drain(wake)

    assert run(story()) == ([B], [A], [])


def test_what_failed_meanwhile_goes_first_afterwards() -> None:
    async def story() -> list[Subject]:
        wake = Wake()
        wake.add(A)
        running = await wake.get()
        wake.add(B)
        wake.add(A, Call.FAILURE)
        wake.add(A)
        wake.done(running)
        return await drain(wake)

    assert run(story()) == [A, B]


def test_no_two_workers_ever_hold_the_same_key() -> None:
    async def story() -> int:
        wake, held, most = Wake(), list[Subject](), 0

        async def work() -> None:
            nonlocal most
            while True:
                subject = await wake.get()
                held.append(subject)
                most = max(most, held.count(subject))
                await asyncio.sleep(1)
                held.remove(subject)
                wake.done(subject)

        workers = [asyncio.create_task(work()) for _ in range(4)]
        for _ in range(20):
            for subject in (A, B):
                wake.add(subject)
            await asyncio.sleep(0.3)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return most

    assert run(story()) == 1


# --- Later -----------------------------------------------------------------------------------------------------------


def test_later_means_later() -> None:
    async def story() -> tuple[list[Subject], Subject, float]:
        wake = Wake()
        wake.add_after(A, 5)
        return await drain(wake), await wake.get(), now()

    assert run(story()) == ([], A, 5)


@pytest.mark.parametrize(("first", "second"), [(5, 9), (9, 5)])
def test_a_second_call_moves_the_time(first: float, second: float) -> None:
    async def story() -> tuple[float, list[Subject]]:
        wake = Wake()
        wake.add_after(A, first)
        wake.add_after(A, second)
        wake.done(await wake.get())
        at = now()
        await asyncio.sleep(20)
        return at, await drain(wake)

    assert run(story()) == (second, [])


def test_what_is_later_can_be_wanted_sooner() -> None:
    async def story() -> tuple[float, float]:
        wake = Wake()
        wake.add_after(A, 5)
        wake.add(A)
        wake.done(await wake.get())
        first = now()
        await wake.get()
        return first, now()

    assert run(story()) == (0, 5)


# --- Failures --------------------------------------------------------------------------------------------------------


def test_pauses_grow_to_half_a_minute() -> None:
    assert [pause_seconds(failures) for failures in (0, 1, 2, 3, 4, 5, 6, 7)] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert pause_seconds(10**9) == LONGEST_PAUSE_SECONDS


def test_a_failure_is_tried_again_after_a_pause_that_grows_until_it_goes_well() -> None:
    async def story() -> list[float]:
        wake, starts = Wake(), list[float]()
        wake.add(A)
        for outcome in (wake.failed, wake.failed, wake.failed, wake.done, wake.failed, wake.done):
            subject = await wake.get()
            starts.append(now())
            outcome(subject)
            if outcome == wake.done:
                wake.add(A)
        return starts

    assert run(story()) == [0, 1, 3, 7, 7, 8]


def test_failing_says_how_long_the_pause_is() -> None:
    async def story() -> list[float]:
        wake, pauses = Wake(), list[float]()
        for _ in range(3):
            wake.add(A)
            pauses.append(wake.failed(await wake.get()))
        return pauses

    assert run(story()) == [1, 2, 4]


def test_the_failures_of_one_delay_nobody_else() -> None:
    async def story() -> tuple[Subject, float]:
        wake = Wake()
        wake.add(A)
        wake.failed(await wake.get())
        wake.add(B)
        return await wake.get(), now()

    assert run(story()) == (B, 0)


# what a subject was called for, how its reconciles go, and what it is called for next, if anything but by its pause
COMES_BACK: dict[str, tuple[Call, tuple[str, ...], Call | None, bool]] = {
    "a failure that is put off": (Call.FAILURE, ("failed",), None, True),
    "a failure that is put off again and again": (Call.FAILURE, ("failed", "failed", "failed"), None, True),
    "a failure that is put off, and a change meanwhile": (Call.FAILURE, ("failed",), Call.CHANGE, True),
    "a failure that went well in the end": (Call.FAILURE, ("failed", "done"), Call.CHANGE, False),
    "a change that is put off": (Call.CHANGE, ("failed",), None, False),
    "a look that is put off": (Call.ROUTINE, ("failed",), None, False),
}


@builders.table(COMES_BACK)
def test_who_is_before_a_thousand_others_after_a_pause(case: tuple[Call, tuple[str, ...], Call | None, bool]) -> None:
    first, outcomes, then, want = case
    others = [Subject(kind="InferenceDeployment", namespace="demo", name=f"d{n}") for n in range(1000)]

    async def story() -> list[Subject]:
        wake = Wake()
        wake.add(A, first)
        for outcome in outcomes:
            subject = await wake.get()
            getattr(wake, outcome)(subject)
        for other in others:
            wake.add(other, Call.ROUTINE)
        if then is not None:
            wake.add(A, then)
        await asyncio.sleep(60)
        return await drain(wake)

    taken = run(story())
    assert taken.index(A) in ((0, 1) if want else (1000,)), "one of the usual at most is before it"


def test_what_is_put_off_for_ever_starves_neither_the_usual_nor_a_fresh_failure() -> None:
    stuck = [Subject(kind="InferenceDeployment", namespace="demo", name=f"s{n}") for n in range(5)]
    usual = [Subject(kind="InferenceDeployment", namespace="demo", name=f"u{n}") for n in range(10)]

    async def story() -> list[Subject]:
        wake, taken = Wake(), list[Subject]()
        for subject in stuck:
            wake.add(subject, Call.FAILURE)
        for _ in stuck:
            wake.failed(await wake.get())
        for subject in usual:
            wake.add(subject)
        for _ in range(20):
            for subject in stuck:
                wake.add(subject)  # a change ends its pause
            taken.append(subject := await wake.get())
            (wake.failed if subject in stuck else wake.done)(subject)
        wake.add(A, Call.FAILURE)
        return [*taken, await wake.get()]

    taken = run(story())
    assert [s for s in taken if s in usual] == usual
    assert len([s for s in taken if s in stuck]) == 10
    assert taken[-1] == A, "a fresh failure is before all of them"


# --- Who may end a pause ---------------------------------------------------------------------------------------------

WAKES: dict[str, tuple[Call, float]] = {
    "the tick waits for the pause": (Call.ROUTINE, 1),
    "a change does not": (Call.CHANGE, 0),
    "a failure does not": (Call.FAILURE, 0),
}


@builders.table(WAKES)
def test_who_may_end_the_pause_after_a_failure(case: tuple[Call, float]) -> None:
    call, want = case

    async def story() -> float:
        wake = Wake()
        wake.add(A)
        wake.failed(await wake.get())
        wake.add(A, call)
        await wake.get()
        return now()

    assert run(story()) == want


@builders.table(WAKES)
def test_who_may_end_the_pause_after_a_failure_that_comes_while_it_is_worked_on(case: tuple[Call, float]) -> None:
    call, want = case

    async def story() -> float:
        wake = Wake()
        wake.add(A)
        running = await wake.get()
        wake.add(A, call)
        wake.failed(running)
        await wake.get()
        return now()

    assert run(story()) == want


def test_pauses_grow_whatever_the_tick_says() -> None:
    async def story() -> list[float]:
        wake, starts = Wake(), list[float]()

        async def tick() -> None:
            while True:
                wake.add(A, Call.ROUTINE)
                await asyncio.sleep(0.4)

        ticking = asyncio.create_task(tick())
        for _ in range(5):
            subject = await wake.get()
            starts.append(now())
            wake.failed(subject)
        ticking.cancel()
        return starts

    assert run(story()) == [0, 1, 3, 7, 15]


def test_the_tick_during_a_reconcile_that_goes_well_runs_it_once_more() -> None:
    async def story() -> list[Subject]:
        wake = Wake()
        wake.add(A)
        running = await wake.get()
        wake.add(A, Call.ROUTINE)
        wake.done(running)
        return await drain(wake)

    assert run(story()) == [A]


def test_a_change_during_a_pause_keeps_the_tick_waiting_if_that_fails_as_well() -> None:
    async def story() -> list[float]:
        wake, starts = Wake(), list[float]()
        wake.add(A)
        for call in (Call.CHANGE, Call.ROUTINE):
            wake.failed(await wake.get())
            starts.append(now())
            wake.add(A, call)
        await wake.get()
        return [*starts, now()]

    assert run(story()) == [0, 0, 2]


def test_an_appointment_is_no_pause() -> None:
    async def story() -> list[Subject]:
        wake = Wake()
        wake.add_after(A, 5)
        wake.add(A, Call.ROUTINE)
        return await drain(wake)

    assert run(story()) == [A]


def test_what_went_well_in_the_end_hears_the_tick_again() -> None:
    async def story() -> tuple[Subject, float]:
        wake = Wake()
        wake.add(A)
        wake.failed(await wake.get())
        wake.add(A)
        wake.done(await wake.get())  # the pause's timer is still there
        wake.add(A, Call.ROUTINE)
        return await wake.get(), now()

    assert run(story()) == (A, 0)


# --- The API server is back ------------------------------------------------------------------------------------------


def test_all_that_was_put_off_is_tried_when_its_pauses_are_ended_and_then_pauses_shortly() -> None:
    async def story() -> tuple[list[Subject], float, float]:
        wake = Wake()
        for subject in (A, B):
            for _ in range(6):  # up to half a minute
                wake.add(subject)
                wake.failed(await wake.get())
        wake.end_pauses()
        tried, at = [await wake.get(), await wake.get()], now()
        wake.failed(tried[0])
        await wake.get()
        return tried, at, now()

    assert run(story()) == ([A, B], 0, 1)


def test_an_appointment_stands_when_pauses_are_ended() -> None:
    async def story() -> float:
        wake = Wake()
        wake.add_after(A, 5)
        wake.end_pauses()
        await wake.get()
        return now()

    assert run(story()) == 5


def test_what_is_worked_on_when_pauses_are_ended_pauses_shortly_if_it_fails_as_well() -> None:
    async def story() -> float:
        wake = Wake()
        for _ in range(6):
            wake.add(A)
            wake.failed(await wake.get())
        wake.add(A)
        running = await wake.get()
        wake.end_pauses()
        return wake.failed(running)

    assert run(story()) == 1
