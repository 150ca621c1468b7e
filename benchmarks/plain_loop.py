"""What people write by hand: aiohttp and orjson, eight pages in flight, loads then dumps to a file.

    python -m benchmarks.plain_loop BASE_URL RECORDS PAGE OUT

Keeps no promises: no retry, no key, no proof. It is the yardstick of ``bench_harvest``.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import orjson
import uvloop


async def main(base: str, records: int, page: int, out: str) -> None:
    todo = iter(range(0, records, page))
    with Path(out).open("wb") as file:  # noqa: ASYNC230 - what people write
        async with aiohttp.ClientSession() as session:

            async def lane() -> None:
                for skip in todo:
                    async with session.get(f"{base}/Property?$skip={skip}&$top={page}") as response:
                        rows = orjson.loads(await response.read())["value"]
                    file.write(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows))

            await asyncio.gather(*(lane() for _ in range(8)))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
