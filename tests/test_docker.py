"""Dockerfile and docker-compose.yml, held against the app that they start. Docker itself is not needed."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import subprocess
from pathlib import PurePosixPath

import httpx
import pytest
import yaml

import app
from tests.pages import page, served
from tests.test_layers import MODULES, imports
from tinyrs.config import ROOT
from tinyrs.deploy import FOLDERS
from tinyrs.models import resolve

LINES = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M))
STEPS = [tuple(line.split(None, 1)) for line in LINES.splitlines() if line.strip()]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
SERVERS = {name: service for name, service in SERVICES.items() if name != "app"}


def steps(word: str) -> list[str]:
    return [rest.strip() for step, rest in STEPS if step == word]


def copied() -> list[str]:
    """What the image takes from the checkout."""
    return [source for line in steps("COPY") for source in shlex.split(line)[:-1]]


def environment() -> dict[str, str]:
    return dict(word.split("=", 1) for line in steps("ENV") for word in shlex.split(line))


def health() -> tuple[int, str]:
    """Port and path of the health check."""
    found = re.search(r"http://127\.0\.0\.1:(\d+)(/[\w/]*)", steps("HEALTHCHECK")[0])
    return int(found[1]), found[2]


def test_every_step_is_one_that_docker_knows():
    known = "FROM ARG RUN WORKDIR COPY ENV VOLUME USER EXPOSE HEALTHCHECK CMD".split()
    assert {step for step, _ in STEPS} == set(known)
    for line in (steps("CMD")[0], steps("HEALTHCHECK")[0].partition("CMD")[2]):
        assert all(isinstance(word, str) for word in json.loads(line))


def test_what_is_copied_is_in_the_repository_and_nothing_else_reaches_docker():
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    tracked = tracked.stdout.split("\0")
    for source in copied():
        assert any(path == source or path.startswith(f"{source}/") for path in tracked), source
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")]
    assert rules[0] == "*" and {rule[1:] for rule in rules if rule[0] == "!"} == set(copied())
    hidden = [rule.removeprefix("**/") for rule in rules[1:] if rule[0] != "!"]
    for secret in (".env", ".git", "__pycache__"):
        assert any(fnmatch.fnmatch(secret, rule) for rule in hidden), secret


def test_the_image_has_what_the_app_imports_and_reads():
    assert {"app.py", "requirements.txt", *FOLDERS} <= set(copied())
    makefile = (ROOT / "Makefile").read_text()
    assert f"TORCH ?= {re.search(r'TORCH=(.*)', LINES)[1]}\n" in makefile


def test_it_runs_as_nobody_in_particular_and_writes_on_the_volume():
    assert steps("USER") == ["tinyrs"] and STEPS[-1][0] == "CMD"
    [volume] = steps("VOLUME")
    assert environment()["TINYRS_DATA"] == volume
    assert PurePosixPath(environment()["HF_HOME"]).is_relative_to(volume)
    assert f"-o tinyrs -g tinyrs {volume}" in LINES
    assert SERVICES["app"]["volumes"] == [f"data:{volume}"] and "data" in COMPOSE["volumes"]


def test_the_port_is_one_everywhere_and_the_command_is_one_that_the_app_takes(monkeypatch):
    [port] = steps("EXPOSE")
    command = json.loads(steps("CMD")[0])
    assert command[:2] == ["python", "app.py"] and health()[0] == int(port)
    assert SERVICES["app"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    seen = {}

    class Stop(Exception):
        pass

    def launch(demo, **options):
        seen.update(options)
        raise Stop

    monkeypatch.setattr(app, "launch", launch)
    monkeypatch.setattr(app, "build", lambda *_, **options: None)
    with pytest.raises(Stop):
        app.main(command[2:])
    assert (seen["host"], seen["port"]) == ("0.0.0.0", int(port))


def test_the_health_check_is_answered_by_the_app():
    with served(page()) as address:
        answer = httpx.get(address + health()[1])
    assert answer.status_code == 200 and "app_id" in answer.json()


def interpolated(value, environment: dict[str, str]):
    """`value` as `docker compose config` shows it: ${NAME:-default} filled in, everywhere."""
    if isinstance(value, dict):
        return {key: interpolated(each, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, environment) for each in value]
    if not isinstance(value, str):
        return value
    filled = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda m: environment.get(m[1]) or m[2], value)
    assert "$" not in filled.replace("$$", ""), f"{value} is nothing that Compose fills in"
    return filled


KEYS = {
    "build", "image", "ports", "volumes", "environment", "cap_drop", "security_opt", "restart", "profiles",
    "command", "ipc", "deploy", "healthcheck",
}  # fmt: skip
"""The keys of a service, of those in the Compose specification, that are used here."""


def test_compose_can_read_it_with_and_without_settings():
    lists = {"ports", "volumes", "cap_drop", "security_opt", "profiles", "command"}
    for environment in ({}, {"TINYRS_PAIR": "a,b", "VLLM_IMAGE": "vllm:x", "TORCH_INDEX": "https://pypi.org/simple"}):
        found = interpolated(COMPOSE, environment)
        assert set(found) == {"services", "volumes"}
        for name, service in found["services"].items():
            assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) and set(service) <= KEYS and service["image"], name
            for key in lists & set(service):
                assert all(isinstance(each, str) and each for each in service[key]), (name, key)
            assert all(isinstance(each, str) for each in service.get("environment", {}).values())
            assert service["restart"] in ("no", "always", "on-failure", "unless-stopped")
            if check := service.get("healthcheck"):
                assert check["test"][0] == "CMD" and set(check) <= {"test", "interval", "timeout", "start_period", "retries"}
        assert found["services"]["app"]["environment"]["TINYRS_PAIR"] == environment.get("TINYRS_PAIR", "pocket,pocket-r1")


def test_everything_that_the_app_imports_is_copied():
    """Each module of ours that app.py reaches lies in what the image takes."""
    reached, todo = set(), ["app"]
    while todo:
        if (name := todo.pop()) not in reached:
            reached.add(name)
            todo += [other for other in imports(name) if other in MODULES]
    files = {MODULES[name].relative_to(ROOT).as_posix() for name in reached}
    outside = [file for file in files if not any(file == top or file.startswith(f"{top}/") for top in copied())]
    assert len(files) > 50 and not outside, outside


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_has_a_model_of_the_table_and_a_gpu(name):
    service = SERVERS[name]
    arguments = dict(word.removeprefix("--").split("=", 1) for word in service["command"])
    spec = resolve(f"http://{name}:8000/v1#{arguments['model']}")
    assert spec.about.startswith(name) and spec.kind == "server"
    assert name in service["profiles"] and "ports" not in service
    assert arguments["limit-mm-per-prompt"] == '{"image":1}' and arguments["generation-config"] == "vllm"
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert ":8000/health" in service["healthcheck"]["test"][-1]
    assert service["volumes"][0].split(":")[0] in COMPOSE["volumes"]


def test_the_pair_of_the_comment_is_the_pair_of_its_profile():
    text = (ROOT / "docker-compose.yml").read_text()
    pair = re.search(r"TINYRS_PAIR='(.*)'", text)[1].split(",")
    asked = {re.match(r"http://([\w-]+):8000/v1#(.*)", name).groups() for name in pair}
    started = {
        (name, service["command"][0].removeprefix("--model="))
        for name, service in SERVERS.items()
        if "pair" in service["profiles"]
    }
    assert asked == started and [resolve(name).thinking for name in pair] == [False, True]
    shares = [service["command"][2] for service in SERVERS.values()]
    assert all(2 * float(share.partition("=")[2]) < 0.9 for share in shares)
