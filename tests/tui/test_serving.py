"""The terminal UI in a browser: who may look, and that keys work; by a browser where there is one."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

aiohttp = pytest.importorskip("aiohttp", reason="textual-serve is not installed: pip install 'segtui[serve]'")
from aiohttp.test_utils import TestClient, TestServer  # noqa: E402

from segtui.tui.serving import Guarded, Refused  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TOKEN = "a token nobody guesses"
PATIENCE = 60


async def client_of(store: Path, **more) -> TestClient:
    server = Guarded(store, **({"host": "localhost", "port": 8000, "token": None} | more))
    client = TestClient(TestServer(await server._make_app()))
    await client.start_server()
    return client


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "127.0.0.1:8000", "Origin": "http://localhost:8000"}, 200),
        ({"Host": "evil.example:8000"}, 403),
        ({"Host": "localhost:9000"}, 403),
        ({"Host": "localhost:8000", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost:8000", "Origin": "null"}, 403),
    ],
)
async def test_only_its_own_page_is_answered(shop, headers, status):
    client = await client_of(shop)
    try:
        assert (await client.get("/", headers=headers)).status == status
        if status != 200:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await client.ws_connect("/ws", headers=headers)
    finally:
        await client.close()


async def test_a_token_stands_in_front_elsewhere(shop):
    client = await client_of(shop, host="shop.example", token=TOKEN)
    headers = {"Host": "shop.example:8000"}
    try:
        assert (await client.get("/", headers=headers)).status == 401
        wrong = await client.get("/", params={"token": "guessed"}, headers=headers)
        assert wrong.status == 401
        right = await client.get("/", params={"token": TOKEN}, headers=headers, allow_redirects=False)
        assert right.status == 302
        assert "HttpOnly" in right.headers["Set-Cookie"]
        assert "SameSite=Strict" in right.headers["Set-Cookie"]
        cookie = right.headers["Set-Cookie"].partition(";")[0]
        assert (await client.get("/", headers=headers | {"Cookie": cookie})).status == 200
    finally:
        await client.close()


@pytest.mark.parametrize("token", [None, "short"])
def test_another_address_is_refused_without_one(shop, token):
    with pytest.raises(Refused, match="serve on localhost, or give a --token"):
        Guarded(shop, "0.0.0.0", 8000, token)


async def test_the_first_page_comes_and_a_key_works(shop):
    client = await client_of(shop)

    async def until(opened, wanted: bytes) -> None:
        seen = b""
        while wanted not in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", seen):
            seen += (await asyncio.wait_for(opened.receive(), PATIENCE)).data

    try:
        async with client.ws_connect(
            "/ws?width=80&height=24", headers={"Host": "localhost:8000", "Origin": "http://localhost:8000"}
        ) as opened:
            await until(opened, b"48 users")
            await opened.send_json(["stdin", "2"])
            await until(opened, b"12 members")
    finally:
        await client.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page with: apt-get install chromium")
def test_a_browser_shows_the_first_page(shop, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = [sys.executable, "-c", "from segtui.cli import main; main()", "--store", str(shop), "serve"]
    server = subprocess.Popen([*run, "--port", str(port)], stderr=subprocess.DEVNULL, env=dict(os.environ))
    picture = tmp_path / "page.png"
    try:
        for _ in range(PATIENCE * 4):
            try:
                urllib.request.urlopen(f"http://localhost:{port}/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.25)
        subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--screenshot={picture}", "--window-size=1200,800", "--virtual-time-budget=20000",
                f"http://localhost:{port}/",
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        assert picture.stat().st_size > 10_000
    finally:
        server.terminate()
        server.wait(timeout=30)
