"""The tools for language models, through a real MCP client: what reads is there and works, and nothing else is."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

import app
from annotate.people import People
from screens.api import NAMES, READING
from tests.pages import (
    ASKED,
    SHORT,
    THOUGHT,
    _in_a_loop,
    engines,
    page,
    picture_bytes,
)  # fmt: skip
from tests.payloads import PAYLOADS
from tinyrs.config import ROOT

# The client leaves the ends of its in-memory pipes to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

PICTURE = "data:image/png;base64," + base64.b64encode(picture_bytes()).decode()
WRITING = sorted(set(NAMES) - set(READING))


@contextmanager
def offered(demo):
    """Serve a page with its tools; the page's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        _in_a_loop(lambda: app.launch(demo, host="127.0.0.1", port=port, quiet=True, mcp=True))
        yield f"http://127.0.0.1:{port}"
    finally:
        demo.close(verbose=False)


@asynccontextmanager
async def session(url: str):
    async with streamable_http_client(f"{url}/gradio_api/mcp/") as (read, write, *_):
        async with ClientSession(read, write) as client:
            await client.initialize()
            yield client


def with_client(url: str, work):
    async def run():
        async with session(url) as client:
            return await work(client)

    return asyncio.run(run())


def said(result) -> str:
    return "\n".join(part.text for part in result.content)


def test_what_reads_can_be_called_and_says_how():
    demo = page(engines(a=(SHORT,) * 3, b=(THOUGHT,) * 3))

    async def work(client):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        told = {"picture": PICTURE, "question": ASKED, "model": "thinker", "task": ""}
        answers = [await client.call_tool("ask", told), await client.call_tool("stats", {})]
        told["question"] = ""
        return tools, answers, await client.call_tool("ask", told), await client.list_resources()

    with offered(demo) as url:
        tools, (answer, counts), mistake, resources = with_client(url, work)
    assert set(tools) == set(READING) and not resources.resources
    assert "Ask one model about a picture" in tools["ask"].description
    assert "data: URL" in tools["ask"].inputSchema["properties"]["picture"]["description"]
    assert set(tools["ask"].inputSchema["properties"]) == {"picture", "question", "model", "task"}
    assert "[[140,320,400,600]]" in said(answer).replace(" ", "") and "Water covers" in said(answer)
    assert "captions" in said(counts) and not answer.isError
    assert mistake.isError and "Type a question" in said(mistake)
    assert demo.page.store.stats()["runs"] == 0


def test_nothing_that_writes_can_be_called_by_any_name():
    demo = page(engines(a=(SHORT,) * 9, b=(THOUGHT,) * 9))
    private = [fn.api_name for fn in demo.fns.values() if fn.api_visibility == "private"][:3]

    async def work(client):
        told = {"picture": PICTURE, "question": ASKED, "keep": True, "record": "x", "side": "A", "reasons": ["other"]}
        return [await client.call_tool(name, told) for name in (*WRITING, *private, "../stats")]

    with offered(demo) as url:
        results = with_client(url, work)
        schema = httpx.get(f"{url}/gradio_api/mcp/schema").json()
    assert results and all(result.isError for result in results)
    assert {tool["name"] for tool in schema} == set(READING)
    stats = demo.page.store.stats()
    assert (stats["runs"], stats["flags"]["total"], stats["corrections"], stats["exports"]) == (0, 0, 0, 0)


def test_a_tool_reads_no_file_of_the_server_and_asks_no_other_host():
    demo = page(engines(a=(SHORT,) * 9))
    targets = [
        "/etc/passwd", "file:///etc/passwd", str(ROOT / "README.md"), "http://127.0.0.1:1/x.png",
        "http://169.254.169.254/latest/meta-data/", "data:text/html;base64,PHNjcmlwdD4=",
    ]  # fmt: skip

    async def work(client):
        told = {"question": ASKED, "model": "", "task": ""}
        return [await client.call_tool("ask", {**told, "picture": target}) for target in targets]

    with offered(demo) as url:
        results = with_client(url, work)
    assert all(result.isError for result in results)
    assert not any("root:" in said(result) or "Traceback" in said(result) for result in results)


def test_what_a_model_writes_stays_text_and_another_sites_page_cannot_call():
    text = "\n".join(PAYLOADS[:8])
    demo = page(engines(a=(text,)))

    async def work(client):
        return await client.call_tool("ask", {"picture": PICTURE, "question": ASKED, "model": "", "task": ""})

    with offered(demo) as url:
        result = with_client(url, work)
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "stats", "arguments": {}}}
        headers = {"accept": "application/json, text/event-stream", "origin": "https://evil.example"}
        refused = httpx.post(f"{url}/gradio_api/mcp/", json=call, headers=headers)
        front = httpx.get(f"{url}/gradio_api/mcp/")
    assert [part.type for part in result.content] == ["text"] and json.dumps(PAYLOADS[0])[1:-1] in said(result)
    assert refused.status_code == 403 and "default-src 'self'" in front.headers["content-security-policy"]


def test_there_are_no_tools_unless_asked_for_nor_where_people_log_in_by_password(tmp_path):
    from annotate.users import Users

    locked = People("users", Users(tmp_path / "users.json"))
    with offered(page(people=locked)) as url:
        assert httpx.get(f"{url}/gradio_api/mcp/schema").status_code in (401, 404)
    from tests.pages import served

    with served(page()) as url:
        assert httpx.get(f"{url}/gradio_api/mcp/schema").status_code == 404
