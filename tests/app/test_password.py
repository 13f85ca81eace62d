"""One password in front of pages, pictures and sockets."""

import time

import pytest
from dssl_bio.app.password import COOKIE, PASSWORD_VARIABLE, Password, password_of_server
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

WORD = "corréct horse"


async def page(_):
    return PlainTextResponse("inside")


async def socket(connection):
    await connection.accept()
    await connection.send_text("inside")
    await connection.close()


def client(word=WORD, wait=0.0):
    inner = Starlette(routes=[Route("/{rest:path}", page), WebSocketRoute("/stream", socket)])
    return TestClient(Password(inner, word, wait))


@pytest.mark.parametrize("header", [None, "Basic", "Basic !!!", "Bearer x", "Basic Zm9vOmJhcg==", "basic Og==",
                                    "Basic w6k=", "Basic " + "A" * 9_000])
def test_without_the_password_nothing_is_answered(header):
    answer = client().get("/pictures/x/1.png", headers={"authorization": header} if header else {})
    assert answer.status_code == 401
    assert "inside" not in answer.text
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_the_password_opens_pages_and_its_cookie_the_socket():
    asked = client()
    with pytest.raises(WebSocketDisconnect), asked.websocket_connect("/stream"):
        pass
    answer = asked.get("/", auth=("anybody", WORD.encode()))
    assert answer.text == "inside"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    with asked.websocket_connect("/stream") as connection:
        assert connection.receive_text() == "inside"
    assert asked.get("/").text == "inside"


def test_a_cookie_of_another_start_opens_nothing():
    other = client().get("/", auth=("a", WORD.encode())).cookies[COOKIE]
    for value in (other, "", "x" * 5_000, '"'):
        assert client().get("/", headers={"cookie": f"{COOKIE}={value}"}).status_code == 401


def test_a_wrong_password_costs_time_and_none_asks_for_nothing():
    start = time.monotonic()
    assert client(wait=0.3).get("/", auth=("a", "wrong")).status_code == 401
    assert time.monotonic() - start >= 0.3
    assert client(word="").get("/").text == "inside"


def test_the_password_is_the_files_text_without_its_line_end(tmp_path, monkeypatch):
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)
    assert password_of_server() == ""
    (tmp_path / "word").write_text(f"{WORD}\n", encoding="utf-8")
    monkeypatch.setenv(PASSWORD_VARIABLE, str(tmp_path / "word"))
    assert password_of_server() == WORD
