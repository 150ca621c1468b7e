"""A provider's pagers, judge and envelope against its simulator, without a wire: one request after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from harvester.clock import SystemClock
from harvester.decode.heads import HeadReader, PageHeads
from harvester.decode.lines import join_lines, make_stamp
from harvester.model import Action, Headers, PageRequest, Response, Verdict, Walk
from harvester.provider import Provider
from harvester.sandbox.registry import client_source
from harvester.sandbox.simulator import Answer, Ask, Simulator

_ORIGIN, _IDENTITY = "http://127.0.0.1:1", "http://127.0.0.1:2"


class InMemorySource:
    """Asks one simulator as one provider's client would, with a token of its own."""

    def __init__(self, provider: Provider, simulator: Simulator) -> None:
        self._provider, self._simulator = provider, simulator
        self._config = dict(client_source(simulator, f"{_ORIGIN}/{simulator.name}", f"{_IDENTITY}/{simulator.name}"))
        self._elapsed = 0.0
        self._bearer = self._token()
        self.urls: list[str] = []
        self.between: Callable[[], None] = lambda: None

    def read(self, walk: Walk, *, most: int = 400) -> Iterator[bytes]:
        """Lines of *walk*, stamped as they would go into a shard; asserts that every answer is usable."""
        pager, reader = self._provider.pagers[walk.pager], HeadReader(walk.resource)
        parent = walk.resource.per_value
        stamp = make_stamp([(parent.stamp, walk.value)]) if parent is not None else b""
        todo, asked = [pager.first(walk)], 0
        while todo:
            request, asked = todo.pop(0), asked + 1
            assert asked <= most, "the walk does not end"
            response = self.ask(request)
            assert response.verdict.action is Action.USE, (response.verdict, response.url)
            page = self._provider.envelope.open(response, request, walk)
            heads = PageHeads(page.records, reader)
            assert not page.rejected
            assert all(head.key is not None for head in heads), [head.problem for head in heads][:3]
            fresh = pager.fresh(walk, request, page, heads)
            todo.extend(pager.follow(walk, page, heads))
            yield from join_lines(page.records, stamp, fresh).data.splitlines(keepends=False)
            self.between()

    def ask(self, request: PageRequest) -> Response:
        """One judged answer; a throttled or renewed request is asked again after a while, as the wire would."""
        url = request.url if "://" in request.url else f"{self._config['base_url']}/{request.url}"
        self.urls.append(url)
        headers = (*self._provider.headers, *request.headers, ("Authorization", f"Bearer {self._bearer}"))
        for _ in range(5):
            answer = self._send("GET", url, headers)
            response = Response(status=answer.status, headers=Headers(answer.headers), body=answer.body, url=url)
            verdict = self._provider.judge(response)
            if verdict.action is not Action.THROTTLED:
                break
            self._elapsed += 120.0
        return msgspec.structs.replace(response, verdict=verdict)

    def verdict(self, url: str) -> Verdict:
        """How *url*, below the base URL, is judged."""
        return self.ask(PageRequest(url=url)).verdict

    def _token(self) -> str:
        if "token" in self._config:
            return str(self._config["token"])
        form = f"grant_type=client_credentials&scope=api&client_id={self._config['client_id']}"
        form += f"&client_secret={self._config['client_secret']}"
        kind = (("Content-Type", "application/x-www-form-urlencoded"),)
        answer = self._send("POST", str(self._config["token_url"]), kind, form.encode())
        return str(msgspec.json.decode(answer.body)["access_token"])

    def _send(self, method: str, url: str, headers: tuple[tuple[str, str], ...], body: bytes = b"") -> Answer:
        parts = urlsplit(url)
        mount = f"{parts.scheme}://{parts.netloc}/{self._simulator.name}"
        raw_path = url.partition("?")[0].removeprefix(mount).lstrip("/")
        self._elapsed += 1.0
        reply = getattr(self._simulator, "identity" if url.startswith(_IDENTITY) else "answer")
        answer: Answer = reply(
            Ask(
                method=method,
                path=unquote(raw_path),
                raw_path=raw_path,
                query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
                raw_query=parts.query,
                headers={name.lower(): value for name, value in headers},
                body=body,
                origin=mount,
                now=SystemClock().now(),
                elapsed=self._elapsed,
            )
        )
        return answer
