"""The load test for locust: the same questions, the same checks.

    pip install 'semcache-integrations[server]' locust
    semcache loadtest --locustfile > locustfile.py
    locust --headless --users 5 --spawn-rate 5 --run-time 30s --host http://127.0.0.1:8080

`Loading` asks repeats, rewordings and new questions. `Checking` follows one question: primed, asked again to the letter
(an exact hit), in other words (its own answer, or none), and once more (still cached). What is wrong counts as a
failure, and fails the run. Everything is asked in namespaces of its own and forgotten after `TTL_S`: nothing is flushed.
The environment: SEMCACHE_LOADTEST_API_KEY is sent to the proxy, SEMCACHE_LOADTEST_MODEL is what is asked.
"""

from __future__ import annotations

import os
from itertools import count
from random import choice
from secrets import token_hex
from typing import Any  # locust's types, and JSON

from locust import HttpUser, constant, task

from semcache_integrations.demo.traffic import load_traffic
from semcache_integrations.loadtest.judge import Claim, Judge
from semcache_integrations.loadtest.mix import Mix, shipped_shares

PATH = "/v1/chat/completions"
TTL_S = 600
MODEL = os.environ.get("SEMCACHE_LOADTEST_MODEL", "gpt-4o-mini")
KEY = os.environ.get("SEMCACHE_LOADTEST_API_KEY", "")
RUN = f"locust-{token_hex(4)}"

_EXACT = ("hash", "exact")
_OK = 200
_judge = Judge()
_mix = Mix(load_traffic(), shipped_shares(), namespace=RUN, seed=RUN)
_checks = count()
_wordings: dict[str, list[str]] = {}
for _question in load_traffic():
    if _question.text not in _wordings.setdefault(_question.label, []):
        _wordings[_question.label].append(_question.text)
_pairs = [(label, texts) for label, texts in _wordings.items() if len(texts) > 1]


class WrongAnswerError(Exception):
    """What the proxy answered is not what it had to answer."""


class _Asking(HttpUser):
    """A user that asks in a namespace; locust runs none of this class itself."""

    abstract = True
    wait_time = constant(0.1)

    def ask(self, text: str, label: str, namespace: str, name: str, wanted: tuple[str, ...] = ()) -> str:
        """Ask, and return the answer; "" if it failed.

        Args:
            text: The question.
            label: Which answer it needs.
            namespace: Where it is kept.
            name: Of the row in locust's table.
            wanted: The tiers of which one has to answer; none of them in particular if it is empty.
        """
        with self.client.post(
            PATH,
            json={"model": MODEL, "messages": [{"role": "user", "content": text}]},
            headers=_headers(namespace),
            name=name,
            catch_response=True,
        ) as response:
            try:
                return _checked(response, text, label, wanted)
            except (WrongAnswerError, ValueError, LookupError, TypeError) as error:
                response.failure(f"{type(error).__name__}: {error}")
        return ""


class Loading(_Asking):
    """Asks as the shipped questions do."""

    weight = 4

    @task
    def question(self) -> None:
        """Ask the next question, of whatever kind."""
        turn = _mix.next()
        self.ask(turn.question.text, turn.question.label, turn.namespace, turn.kind)


class Checking(_Asking):
    """Follows one question at a time through the tiers."""

    weight = 1

    @task
    def follow(self) -> None:
        """Prime, repeat, reword, repeat."""
        label, texts = choice(_pairs)
        first, other = texts[:2]
        namespace = f"{RUN}-check-{next(_checks)}"
        answer = self.ask(first, label, namespace, "check: 1 prime", ("miss",))
        if not answer:
            return
        self._same(answer, first, label, namespace, "check: 2 duplicate")
        self.ask(other, label, namespace, "check: 3 rewording", ("semantic", "miss"))
        self._same(answer, first, label, namespace, "check: 4 repeat")

    def _same(self, answer: str, text: str, label: str, namespace: str, name: str) -> None:
        again = self.ask(text, label, namespace, name, _EXACT)
        if again and again != answer:
            self.environment.events.request.fire(
                request_type="CHECK",
                name=f"{name}: another answer",
                response_time=0,
                response_length=len(again),
                exception=WrongAnswerError("the same question was answered differently"),
                context={},
            )


def _headers(namespace: str) -> dict[str, str]:
    said = {"x-semcache-namespace": namespace, "x-semcache-tags": RUN, "x-semcache-ttl": str(TTL_S)}
    return {**said, "authorization": f"Bearer {KEY}"} if KEY else said


def _checked(response: Any, text: str, label: str, wanted: tuple[str, ...]) -> str:
    """Return the answer.

    Raises:
        WrongAnswerError: it is an error, comes from elsewhere than it had to, or is another question's.
    """
    if response.status_code != _OK:
        raise WrongAnswerError(f"HTTP {response.status_code}")
    status = response.headers.get("x-cache-status", "nothing")
    tier = response.headers.get("x-cache-tier", status) if status in ("hit", "stale") else status
    if wanted and tier not in wanted:
        raise WrongAnswerError(f"{tier} answered, not {' or '.join(wanted)}")
    answer = str(response.json()["choices"][0]["message"]["content"])
    _judged(Claim(text, label, tier, answer), hit=status in ("hit", "stale"))
    return answer


def _judged(claim: Claim, *, hit: bool) -> None:
    """Judge a hit, or learn from a fresh answer, which judges the hits that came before it.

    Raises:
        WrongAnswerError: a hit was the answer to a question with another label.
    """
    before = _judge.wrong.total()
    if hit:
        _judge.hit(claim)
    else:
        _judge.fresh(claim.label, claim.answer)
    if _judge.wrong.total() > before:
        raise WrongAnswerError(f"another question's answer was served: {_judge.examples[-1].question!r}")
