"""One turn at a journal in Redis or Valkey, as a script: the server runs it whole, with nobody else in between.

Deciding is left to the account of the process, as with every ledger. It decides on what it has read, and the script
writes the send down only if nobody else has written since; else it hands over the news, and the process decides
again. One of those who ask at the same time always gets through. Times are the server's, in microseconds.

Every process has a lease, renewed with each turn. What a process holds open when its lease ends counts as sent then,
so its share returns one period later (FAULTS Q08). A turn has a number: one that is asked for twice, because its
answer was lost, is done once.

A server may forget: restarted from an older copy, emptied, replaced by a replica that lags. A process sees that when
its last turn, or the whole journal with its *epoch*, is unknown. What was spent is then unknown too, and every
window counts as spent.

Four keys a credential, in one slot of a cluster: *journal* (sorted set of entries by number; one member, ``begun``,
stays), *open* (hash: send to entry, holder and time), *leases* (sorted set: holder to its end) and *state* (hash:
epoch, head, the last turn of each holder, the entry of each window told).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from msgspec import Struct

from harvester.governor.ledger.entries import Entry

ROWS = 1000
"""Entries of the journal that are read at most in one turn."""

SCRIPT = """
local journal, open, leases, state = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local me, turn, acknowledged = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local epoch, seen, rows_wanted = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local lease, keep, late, wanted = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function digits(number) return string.format('%.0f', number) end

local function write(holder, kind, ref, at, size, text)
  local id = redis.call('HINCRBY', state, 'head', 1)
  redis.call('ZADD', journal, id, table.concat({digits(id), holder, kind, ref, digits(at), size, text}, '|'))
  return id
end

local function close(ref)
  local held = redis.call('HGET', open, ref)
  if held then
    local id = string.match(held, '^%d+')
    redis.call('ZREMRANGEBYSCORE', journal, id, id)
    redis.call('HDEL', open, ref)
  end
end

local function bury(everyone)
  local all = redis.call('HGETALL', open)
  for i = 1, #all, 2 do
    local holder, at = string.match(all[i + 1], '^%d+|([^|]*)|(%d+)')
    local ends = holder ~= me and redis.call('ZSCORE', leases, holder)
    if everyone or (holder ~= me and (not ends or tonumber(ends) < now)) then
      close(all[i])
      write('', 'unheard', all[i], math.min(now, tonumber(at) + late), 0, '')
    end
  end
end

local begun = redis.call('HGET', state, 'epoch')
if not begun or not redis.call('ZSCORE', journal, 'begun') then
  redis.call('DEL', journal, open, leases, state)
  begun = digits(now)
  redis.call('HSET', state, 'epoch', begun)
  redis.call('ZADD', journal, 0, 'begun')
end
local done = tonumber(redis.call('HGET', state, 'turn:' .. me) or '0')
local strange = epoch ~= '' and epoch ~= begun
local lost = strange and not redis.call('HGET', state, 'lost') or not strange and done < acknowledged
if lost then
  bury(true)
  if not strange then
    begun = digits(now)
    redis.call('HSET', state, 'epoch', begun)
  end
  redis.call('HSET', state, 'lost', digits(now))
  write('', 'unknown', '0', now, 0, '')
end
if begun ~= epoch then seen = 0 end

local opened = 0
if done >= turn then
  opened = redis.call('HEXISTS', open, wanted)
  wanted = ''
else
  redis.call('HSET', state, 'turn:' .. me, turn)
  for i = 11, #ARGV, 6 do
    local kind, ref, at, size = ARGV[i], ARGV[i + 1], now - ARGV[i + 2], ARGV[i + 3]
    local topic, text = ARGV[i + 4], ARGV[i + 5]
    if ref ~= '0' then close(ref) end
    if topic ~= '' then
      local old = redis.call('HGET', state, 'told:' .. topic)
      if old then redis.call('ZREMRANGEBYSCORE', journal, old, old) end
    end
    local id = write(me, kind, ref, at, size, text)
    if topic ~= '' then redis.call('HSET', state, 'told:' .. topic, id) end
    if kind == 'open' then redis.call('HSET', open, ref, digits(id) .. '|' .. me .. '|' .. digits(at)) end
  end
end
redis.call('ZADD', leases, now + lease, me)
bury(false)

local news, head, more = {}, seen, 0
if rows_wanted > 0 then
  local rows = redis.call('ZRANGEBYSCORE', journal, '(' .. digits(seen), '+inf', 'LIMIT', 0, rows_wanted)
  for _, row in ipairs(rows) do
    local id, holder = string.match(row, '^(%d+)|([^|]*)|')
    head = tonumber(id)
    if holder ~= me then news[#news + 1] = row end
  end
  if #rows == rows_wanted then more = 1 else head = tonumber(redis.call('HGET', state, 'head') or '0') end
  if wanted ~= '' and #news == 0 and more == 0 then
    head = write(me, 'open', wanted, now, 0, '')
    redis.call('HSET', open, wanted, digits(head) .. '|' .. me .. '|' .. digits(now))
    opened = 1
  end
end

if keep > 0 then
  for _, row in ipairs(redis.call('ZRANGE', journal, 0, 499)) do
    local kind, at, size = string.match(row, '^%d+|[^|]*|(%a+)|%d+|(%d+)|(%d+)|')
    local lasts = kind == 'pause' and tonumber(size) * 1000 or keep
    if kind and kind ~= 'open' and kind ~= 'told' and tonumber(at) + lasts < now then
      redis.call('ZREM', journal, row)
    end
  end
  for _, holder in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', now - keep)) do
    redis.call('ZREM', leases, holder)
    redis.call('HDEL', state, 'turn:' .. holder)
  end
end
return {digits(now), begun, digits(head), opened, more, lost and 1 or 0, news}
"""

SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Turn(Struct, frozen=True):
    """What one process asks of the journal."""

    holder: str
    number: int  # counts up with every new turn of this holder
    acknowledged: int  # number of its last turn that was answered
    epoch: str  # of the journal it knows; "": none
    seen: int  # number of the last entry it has read
    reads: bool  # the news is wanted
    lease: float  # seconds from now; 0: it leaves
    keep: float  # seconds after which entries may go; 0: nothing is dropped in this turn
    late: float  # seconds after its admission at which a request was counted at the latest
    wanted: int  # the send to open; 0: none
    entries: Sequence[tuple[float, Entry]]  # how long ago, and what

    def arguments(self) -> list[str | bytes | int]:
        """As the script takes them."""
        found: list[str | bytes | int] = [
            self.holder,
            self.number,
            self.acknowledged,
            self.epoch,
            self.seen,
            ROWS if self.reads else 0,
            _micro(self.lease),
            _micro(self.keep),
            _micro(self.late),
            self.wanted or "",
        ]
        for age, entry in self.entries:
            found += [entry.kind, entry.ref, _micro(age), entry.size, entry.topic, entry.text]
        return found


class Row(Struct, frozen=True):
    """An entry of the journal."""

    number: int  # of the send, for one that was opened; else of nothing
    entry: Entry


class Outcome(Struct, frozen=True):
    """What the journal answered."""

    now: float  # the server's clock, in seconds
    epoch: str
    head: int  # the last entry that is read now
    opened: bool  # the send is on record
    more: bool  # there is more to read
    lost: bool  # this turn has shown that the server forgot
    rows: Sequence[Row]


def keys(credential_id: str) -> list[str]:
    """The four keys of a credential. The braces keep them in one slot."""
    return [f"harvester:{{{credential_id}}}:{name}" for name in ("journal", "open", "leases", "state")]


def outcome(reply: list[object]) -> Outcome:
    """Raises ValueError when *reply* is not what the script returns."""
    now, epoch, head, opened, more, lost, rows = reply
    if not isinstance(rows, list):
        raise ValueError("no rows")  # noqa: TRY004 - the caller treats every odd answer alike
    return Outcome(
        now=int(_text(now)) / 1e6,
        epoch=_text(epoch),
        head=int(_text(head)),
        opened=opened == 1,
        more=more == 1,
        lost=lost == 1,
        rows=[row_of(_text(row)) for row in rows],
    )


def row_of(text: str) -> Row:
    """The entry that a member of the journal stands for."""
    _, _, kind, ref, at, size, what = text.split("|", 6)
    return Row(int(ref), Entry(kind, int(ref), int(at) / 1e6, int(size), text=what))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    raise ValueError("not text")


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)
