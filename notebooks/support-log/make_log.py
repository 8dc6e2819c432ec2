"""Writes log.jsonl.gz, a month of a small shop's support application, and planted.txt, the personal data in it.

Nobody in it exists: every conversation is made up from the lists below and a seed. `python make_log.py` writes the
same lines anywhere.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from names import NAMES

SEED = 20261101
START = datetime(2026, 10, 5, 8, tzinfo=UTC)
DAYS = 27
USD_PER_TOKEN = (3e-6, 15e-6)
"""Of input and output, as big-model is billed."""
RIGHT = 0.92
"""Share of big-model's answers that are."""

QUEUES = ("billing", "delivery", "returns", "account")
ITEMS = "lamp kettle backpack teapot blanket clock mirror basket notebook umbrella vase stool".split()
STATUSES = ("packed", "shipped", "delivered", "returned")
SORT = {"role": "system", "content": "You sort tickets of a shop. Answer with one word."}
COUNT = {"role": "system", "content": "You check the sums of a shop. Answer with the number alone."}
READ = {"role": "system", "content": "You read messages to a shop. Answer with JSON alone."}
LOOK = {"role": "system", "content": "You know the orders of a shop. Answer with the status or the date alone."}
TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Finds an order",
        "parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    },
}

TICKETS: dict[str, Sequence[str]] = {
    "billing": (
        "My card {card} was charged twice for the {item} of order {order}, please look into it.",
        "The invoice for the {item} shows the wrong company. Please write it to {name} and mail it to {email}.",
        "You took {amount} from account {iban} although I had cancelled the {item} a week before.",
        "Why is there a fee of {amount} on my bill? Nobody told me about it when I bought the {item}.",
        "The voucher was not taken off the price of the {item}, I paid the full {amount}. {name}",
        "Can I pay for the {item} in three parts? My bank is asking, you can call me on {phone}.",
    ),
    "delivery": (
        "The {item} from order {order} should have been here last week and the tracking page shows nothing new.",
        "The driver left my {item} in the rain in front of the house. Call me: {phone}. {name}",
        "Please send order {order} to my neighbour, I am away until the weekend and nobody opens the door.",
        "Tracking says that the parcel with the {item} is in another city, and it has not moved for days.",
        "Only one of two boxes came, the {item} is missing. My address is with you, {name}, {email}.",
        "Could the {item} come before Friday? It is a birthday present and the courier does not answer.",
    ),
    "returns": (
        "The {item} arrived with a crack along the side, I want to send it back and get another one.",
        "Wrong colour: I wanted the blue {item}. How do I send order {order} back to you? {name}",
        "I sent the {item} back two weeks ago, please put {amount} on {iban} as you said you would.",
        "The {item} is smaller than it looks in the picture and I would like to exchange it for a bigger one.",
        "The label that you sent for returning the {item} cannot be printed, mail it again to {email}.",
        "After two days the {item} stopped working. Do I have to send it back in its own box?",
    ),
    "account": (
        "I changed my e-mail address, the new one is {email}, but signing in still wants the old one.",
        "The link for a new password never comes. I looked everywhere, also in the folder for junk. {name}",
        "Please delete everything that you know about me, {name}, phone {phone}, and confirm it.",
        "My profile still shows my maiden name and I cannot change it in the settings on the site.",
        "Somebody else can see my orders when they sign in, I think that two users were mixed up.",
        "How do I switch off the newsletter? I untick the box in my settings and it comes back every time.",
    ),
}
REPEATED = (
    ("I forgot my password.", "account", 5),
    ("Where is my parcel?", "delivery", 6),
    ("How do I send something back?", "returns", 3),
    ("I need an invoice for my last order.", "billing", 2),
)
NOTES = (
    "Hello, this is {name}. The {item} from order {order} is broken. Reach me at {email}.",
    "Order {order}: the {item} never came! You have my number, {phone}. Regards, {name}",
    "I love the {item}, but order {order} was meant to be a gift for {name}.",
    "{name} here, please cancel the {item} in order {order}; I paid with {card}.",
    "Good morning, could you tell me whether the {item} of order {order} is on its way? {email}",
)


@dataclass
class Writer:
    """Makes conversations up and takes note of the personal data that it puts into them.

    Attributes:
        lines: calls so far, as the log holds them.
        planted: personal data so far.
    """

    rng: random.Random
    lines: list[dict[str, Any]] = field(default_factory=list)
    planted: set[str] = field(default_factory=set)

    def converse(self, system: dict[str, str], turns: Iterable[tuple[Any, Any, Any]], **more: Any) -> None:
        """Writes one conversation: per turn the new messages, the answer and the target."""
        at = START + timedelta(seconds=self.rng.randrange(DAYS * 86_400))
        messages: list[dict[str, Any]] = [system]
        for new, answer, target in turns:
            messages = [*messages, *([{"role": "user", "content": new}] if isinstance(new, str) else new)]
            at = self._call(messages, answer, target, at, more)
            messages.append({"role": "assistant", "content": answer} if isinstance(answer, str) else answer)
            at += timedelta(seconds=self.rng.randrange(20, 200))

    def _call(self, messages: list[Any], answer: Any, target: Any, at: datetime, more: dict[str, Any]) -> datetime:
        if self.rng.random() < 0.05:
            kind = self.rng.choice(("rate_limited", "timeout", "server"))
            self._line(at, messages, more, {"error_kind": kind, "latency_s": 30.0 if kind == "timeout" else 0.2})
            at += timedelta(seconds=31)
        tokens = (len(json.dumps(messages)) // 4 + 9, len(json.dumps(answer)) // 4 + 2)
        latency_s = round(0.4 + 0.015 * tokens[1] + self.rng.random(), 3)
        cost_usd = round(sum(n * usd for n, usd in zip(tokens, USD_PER_TOKEN, strict=True)), 8)
        told = {"response": answer, "input_tokens": tokens[0], "output_tokens": tokens[1], "cost_usd": cost_usd}
        if target is not None:
            told["target"] = target
        self._line(at, messages, more, {**told, "latency_s": latency_s})
        return at + timedelta(seconds=latency_s)

    def _line(self, at: datetime, messages: list[Any], more: dict[str, Any], told: dict[str, Any]) -> None:
        line = {
            "id": f"call-{self.rng.getrandbits(40):010x}",
            "timestamp": at.isoformat(timespec="milliseconds"),
            "model": "big-model",
        }
        self.lines.append({**line, **more, "messages": list(messages), **told})

    def settled(self, right: Any, wrong: Any, share: float) -> tuple[Any, Any]:
        """Returns big-model's answer, and the target where a person has settled it later."""
        answer = right if self.rng.random() < RIGHT else wrong
        return answer, right if self.rng.random() < share else None

    def fill(self, text: str) -> tuple[str, dict[str, str]]:
        """Returns a text with its blanks filled, and what is in them."""
        name = self.rng.choice(NAMES)
        made = {
            "item": self.rng.choice(ITEMS),
            "order": self.order(),
            "amount": f"{self.rng.randrange(500, 9900) / 100:.2f}",
            "name": name if self.rng.random() < 0.6 else name.split()[0],
            "email": f"{name.split()[0].lower()}.{self.rng.randrange(10, 99)}@mail.example",
            "phone": self.phone(),
            "card": self.card(),
            "iban": self.iban(),
        }
        used = {key: value for key, value in made.items() if f"{{{key}}}" in text}
        self.planted |= {used[key] for key in ("name", "email", "phone", "card", "iban") if key in used}
        return text.format(**used), used

    def order(self) -> str:
        """Returns the number of an order."""
        return f"R-{self.rng.randrange(1000, 9999)}"

    def phone(self) -> str:
        """Returns a number of a range that is kept free for fiction."""
        number = self.rng.randrange(1000)
        return self.rng.choice((f"+44 20 7946 0{number:03}", f"(01632) 960{number:03}", f"555-010-0{number:03}"))

    def card(self) -> str:
        """Returns 16 digits with a good check digit (Luhn)."""
        digits = [4, *(self.rng.randrange(10) for _ in range(14))]
        doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[::2]]
        text = "".join(map(str, [*digits, -(sum(doubled) + sum(digits[1::2])) % 10]))
        return " ".join(text[place : place + 4] for place in range(0, 16, 4))

    def iban(self) -> str:
        """Returns a German account number with good check digits (ISO 13616)."""
        account = f"{self.rng.randrange(10**18):018}"
        check = 98 - int(f"{account}131400") % 97
        text = f"DE{check:02}{account}"
        return " ".join(text[place : place + 4] for place in range(0, len(text), 4))


def write_tickets(log: Writer, n: int) -> None:
    """Tickets to sort into queues; some come word for word again, some nearly so."""
    told = [(log.fill(log.rng.choice(TICKETS[queue]))[0], queue) for queue in log.rng.choices(QUEUES, k=n)]
    told += [(f"Hello! {text}", queue) for text, queue in log.rng.sample(told[:40], k=8)]
    told += [(text, queue) for text, queue, times in REPEATED for _ in range(times)]
    for text, queue in told:
        wrong = log.rng.choice([other for other in QUEUES if other != queue])
        answer, target = log.settled(queue, wrong, 0.85)
        log.converse(SORT, [(f"Which queue: {', '.join(QUEUES)}?\n{text}", answer, target)])


def write_sums(log: Writer, n: int) -> None:
    """Sums over orders, bare or in words; some people ask on."""
    for number in range(n):
        count, cents = log.rng.randrange(2, 9), log.rng.randrange(150, 4000)
        post = log.rng.choice((390, 490, 590))
        total = (count * cents + post) / 100
        asked = f"How much is {count} * {cents / 100:.2f} + {post / 100:.2f}?"
        if number % 3 == 1:
            percent, whole = log.rng.choice((5, 10, 15, 20, 25)), log.rng.randrange(20, 400)
            total, asked = percent * whole / 100, f"How much is {percent}% of {whole}?"
        elif number % 3 == 2:
            item = log.rng.choice(ITEMS)
            asked = f"{count} {item}s at {cents / 100:.2f} each and {post / 100:.2f} postage: how much is it in all?"
        answer, target = log.settled(total, round(total + log.rng.choice((-1, 1, 10)), 2), 0.85)
        turns: list[tuple[Any, Any, Any]] = [(asked, f"{answer:.2f}", target)]
        if number % 6 == 2:
            answer, target = log.settled(round(total / 2, 2), round(total * 2, 2), 0.85)
            turns.append(("And how much is half of that?", f"{answer:.2f}", target))
        log.converse(COUNT, turns, **_session(log, named=number % 12 == 2))


def write_notes(log: Writer, n: int) -> None:
    """Messages whose fields are pulled out as JSON."""
    for _ in range(n):
        text, used = log.fill(log.rng.choice(NOTES))
        right = {name: used[name] for name in ("item", "order")}
        answer, target = log.settled(right, {**right, "item": "order"}, 0.9)
        log.converse(READ, [(f"Extract as JSON item, order: {text}", json.dumps(answer), target)])


def write_lookups(log: Writer, n: int) -> None:
    """Questions about orders: a call of the tool, its result, the answer; half of the people ask on."""
    for number in range(n):
        order, status, person = log.order(), log.rng.choice(STATUSES), log.fill("{name} {phone}")[0]
        sent, due = (f"2026-{month}-{log.rng.randrange(10, 29)}" for month in (10, 11))
        function = {"name": "look_up", "arguments": json.dumps({"order": order})}
        call = {"id": f"c{number}", "type": "function", "function": function}
        found = {"customer": person, "status": status, "sent": sent, "due": due}
        result = {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(found)}
        asked, right = log.rng.choice(
            (
                (f"What is the status of {order}?", status),
                (f"When was {order} sent?", sent),
                (f"When is {order} due?", due),
            )
        )
        answer, target = log.settled(right, log.rng.choice((*STATUSES, "2026-10-01")), 0.75)
        asks = {"role": "assistant", "content": None, "tool_calls": [call]}
        turns: list[tuple[Any, Any, Any]] = [(asked, asks, None), ([result], answer, target)]
        if number % 2:
            again = "And what is its status?" if right != status else "And when was it sent?"
            wanted = status if right != status else sent
            answer, target = log.settled(wanted, due, 0.75)
            turns.append((again, answer, target))
        log.converse(LOOK, turns, **_session(log, named=number % 4 < 2), tools=[TOOL])


def _session(log: Writer, *, named: bool) -> dict[str, str]:
    return {"session_id": f"s-{log.rng.getrandbits(32):08x}"} if named else {}


def make_log() -> tuple[list[dict[str, Any]], list[str]]:
    """Returns the lines of the log in the order of their times, and the personal data in them."""
    log = Writer(random.Random(SEED))  # noqa: S311 - made up, not secret
    write_tickets(log, 76)
    write_sums(log, 40)
    write_notes(log, 28)
    write_lookups(log, 32)
    lines = sorted(log.lines, key=lambda line: line["timestamp"])
    # An export that overlaps the one before it holds some lines twice.
    return [*lines, *lines[40:45]], sorted(log.planted)


def log_text(lines: Sequence[dict[str, Any]]) -> str:
    """Returns the lines as JSON Lines."""
    return "".join(json.dumps(line) + "\n" for line in lines)


def main() -> None:
    """Writes both files beside this one."""
    folder = Path(__file__).parent
    lines, planted = make_log()
    with (folder / "log.jsonl.gz").open("wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as file:
        file.write(log_text(lines).encode())
    (folder / "planted.txt").write_text("".join(f"{value}\n" for value in planted), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
