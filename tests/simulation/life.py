"""What happens to the rows of a provider over days: they come, change and go, and not always as one would like."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import cast

from harvester.events import Event, PageFetched
from harvester.sandbox.idx_broker import IdxBroker
from harvester.sandbox.idx_entries import Entry
from harvester.sandbox.records import Row
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.stamps import instant_at, instant_of, stamp
from tests.simulation.changes import Changes
from tests.simulation.subjects import Subject
from tests.simulation.world import World

Key = tuple[str, tuple[str, ...]]
"""A resource, and the identity of one of its records."""

_LATE = 20 * 60.0  # seconds after its time that a change becomes visible, at most


class Life(Changes):
    """A sink: changes between runs, and at any page of one. Inserts 40 %, updates 50 %, deletions 10 %.

    Rows change in ties, late, and without another time; what was deleted comes back as it was or with a new time.
    """

    def __init__(self, world: World, subject: Subject, *, silent: bool = True, late: float = _LATE) -> None:
        """*silent*: rows change without another time, too; *late*: seconds."""
        self._world, self._subject, self._late = world, subject, late
        self.any, self.resources = True, list(subject.resources)
        self.silent: set[Key] = set()  # rows that changed or came back without a time that tells it
        self.gone: set[Key] = set()  # rows that were deleted at some time
        self._weights = (6, 1, 2, 1) if silent else (6, 1, 0, 0)
        self._deleted: list[tuple[Shelf, Row]] = []
        self._withdrawn: list[tuple[str, Entry]] = []

    def __call__(self, event: Event) -> None:
        if self.any and isinstance(event, PageFetched) and self._world.data.random() < 0.2:
            self.change()

    def change(self) -> None:
        """Change some rows in one of these ways."""
        before, simulator = self.all_keys(), self._world.sandbox.simulator(self._subject.served)
        if isinstance(simulator, IdxBroker):
            self._change_account(simulator)
        else:
            self._change_tables([each for each in simulator.shelves(self.resources[-1]) if len(each.table)])
        self.gone |= before - self.all_keys()

    # -------------------------------------------------------------- tables

    def _change_tables(self, shelves: list[Shelf]) -> None:
        chance, sandbox = self._world.data, self._world.sandbox
        late = -chance.uniform(0, self._late) if chance.random() < 0.5 else 0.0
        shelf = chance.choice(shelves)
        rows = list(shelf.table)
        held = [(each, row) for each in shelves for row in each.table]
        with sandbox.clock.shifted(late):
            instant = instant_at(sandbox.clock.now())
            match chance.choices(("some", "tie", "silent", "again"), self._weights)[0]:
                case "tie":
                    for row in chance.sample(rows, min(len(rows), chance.choice((2, 10, 25)))):
                        self._stamp(shelf, row, instant)
                case "silent":
                    shelf.scrawl(chance.choice(rows), self._mark())
                case "again" if self._deleted:
                    self._create_again(*self._deleted.pop(chance.randrange(len(self._deleted))), instant)
                case _:
                    sandbox.mutate(chance.randint(1, 4), self._subject.served)
                    self._deleted += [(each, row) for each, row in held if row.key not in each.table]
        for each, row in held:
            self._note_silent(each, row)

    def _create_again(self, shelf: Shelf, row: Row, instant: int) -> None:
        if row.key in shelf.table:
            return
        shelf.table.put(row)
        if self._world.data.random() < 0.5:
            self._stamp(shelf, row, instant)
        self._note_silent(shelf, row, came_back=True)

    def _stamp(self, shelf: Shelf, row: Row, instant: int) -> None:
        """A row's own time does not go back: who writes it last has seen the time before."""
        known = row.modified or "Z"
        digits = len(known.rstrip("Z").partition(".")[2])
        text = stamp(max(instant, row.instant), digits, zone="Z" if known.endswith("Z") else "")
        shelf.put_time(row, text, instant_of(text) or 0, mark=self._mark())

    def _note_silent(self, shelf: Shelf, before: Row, *, came_back: bool = False) -> None:
        """Note a row that is not what it was, or was gone, and has the time it had: also one that was stamped by its
        rule within its unit, or earlier than its last change came (FAULTS T08)."""
        now = shelf.table.get(before.key)
        if now is None or now.modified != before.modified or (now.body == before.body and not came_back):
            return
        resource = self.resources[-1]
        keys = {self._subject.key(resource, line) for line in self.truth(resource)}
        mine = shelf.key_of(now.body)
        self.silent |= {(resource, key) for key in keys if mine in key}

    # -------------------------------------------------------------- lists

    def _change_account(self, simulator: IdxBroker) -> None:
        """IDX Broker keeps rows in lists. Who sells a listing moves it to another one; here some vanish altogether."""
        chance = self._world.data
        leads = "leads/lead" in self.resources
        lists = {name: cast("list[Entry]", simulator.account.rows(name)) for name in self.resources}
        name = chance.choice([name for name, rows in lists.items() if len(rows) > 1])
        match chance.choices(("some", "tie", "silent", "again"), self._weights)[0]:
            case "tie":
                entry = lists[name].pop(chance.randrange(len(lists[name])))
                self._withdrawn.append((name, entry))
            case "silent":
                entry = chance.choice(lists[name])
                entry.put("phone" if leads else "listingPrice", self._mark())
                self.silent.add((name, self._subject.key(name, entry.body())))
            case "again" if self._withdrawn:
                name, entry = self._withdrawn.pop(chance.randrange(len(self._withdrawn)))
                lists[name].append(entry)
            case _:
                late = timedelta(seconds=chance.uniform(0, self._late) if chance.random() < 0.5 else 0.0)
                now = self._world.sandbox.clock.now() - late
                simulator.account.mutate(chance.randint(1, 4), now, leads=1.0 if leads else 0.1)

    # -------------------------------------------------------------- small things

    def _mark(self) -> str:
        return f"changed {self._world.data.randrange(10**6)}"

    def truth(self, resource: str) -> Iterator[bytes]:
        """The records there are now."""
        return self._world.sandbox.simulator(self._subject.served).truth(resource)

    def all_lines(self) -> set[tuple[str, bytes]]:
        """Every record there is now, with its resource."""
        return {(name, line) for name in self.resources for line in self.truth(name)}

    def all_keys(self) -> set[Key]:
        """Of every record there is now."""
        return {(name, self._subject.key(name, line)) for name in self.resources for line in self.truth(name)}
