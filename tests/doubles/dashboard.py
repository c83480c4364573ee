"""A proxy with its dashboard, made of the real parts, and what a caller of it does."""

from __future__ import annotations

from dataclasses import replace

import httpx
from doubles.http_questions import QUESTION, chat
from starlette.applications import Starlette
from starlette.routing import Route

from semcache_integrations.http.dashboard import Admin, Guard, Recent
from semcache_integrations.http.exchange import Exchange
from semcache_integrations.http.gateway import Gateway
from semcache_integrations.http.happenings import Happening
from semcache_integrations.http.providers import DEFAULT, OPENAI
from semcache_integrations.http.requests import Reader

HERE = "http://127.0.0.1:8080"
HOME = {"origin": HERE}
TOKEN = "a token that nobody guesses: ü"
CHAT = "/v1/chat/completions"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def proxy_with_dashboard(cache, upstream, *, token="", recent=None):
    """Return the application, and the watcher behind its dashboard."""
    recent = recent or Recent()
    network = httpx.AsyncHTTPTransport()
    providers = DEFAULT.with_provider(replace(OPENAI, base=upstream.origin))
    gateway = Gateway(Exchange(cache, Reader()), network, providers=providers, watchers=[recent])
    admin = Admin(cache, recent, Guard(token))
    everything = Route("/{path:path}", gateway.answer, methods=METHODS)
    return Starlette(routes=[*admin.routes(), everything]), recent


def caller(app, peer="127.0.0.1", origin=HERE):
    """Return a client that the application sees coming from an address, and that calls it by a name."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(peer, 50_000)), base_url=origin)


async def ask(client, question=QUESTION, **more):
    response = await client.post(CHAT, json=chat(question, **more))
    assert response.status_code == 200
    return response.headers


async def data(client):
    return (await client.get("/admin/data")).json()


async def delete(client, body):
    return await client.post("/admin/delete", json=body, headers=HOME)


def happening(**fields):
    """Return a hit, in all that is not said otherwise."""
    usual = {
        "at": 1_000.0,
        "method": "POST",
        "path": CHAT,
        "host": "api.openai.com",
        "dialect": "chat",
        "model": "gpt-4o-mini",
        "tenant": "",
        "question": QUESTION,
        "http_status": 200,
        "status": "hit",
        "tier": "hash",
        "reason": "",
        "similarity": 1.0,
        "entry_id": "entry-1",
        "head_s": 0.001,
        "total_s": 0.002,
        "prompt_tokens": 7,
        "answer_tokens": 5,
        "complete": True,
    }
    return Happening(**{**usual, **fields})


def miss(**fields):
    nothing = {"tier": "", "similarity": None, "entry_id": "", "prompt_tokens": 0, "answer_tokens": 0}
    return happening(**{"status": "miss", "reason": "not_found", "total_s": 0.8, **nothing, **fields})
