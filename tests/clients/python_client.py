"""Usage: python_client.py auto|pinned|legacy URL | COMMAND [ARG...]"""

import asyncio
import json
import logging
import re
import sys
import uuid
from pathlib import Path

from jsonschema import Draft202012Validator
from mcp import Client, MCPError, StdioServerParameters

EXPECTATIONS = json.loads(Path(__file__).with_name("expectations.json").read_text("utf-8"))
SERVER_INFO = "io.modelcontextprotocol/serverInfo"
MODERN, LEGACY = "2026-07-28", "2025-11-25"
ERAS = {"auto": ("auto", MODERN), "pinned": (MODERN, MODERN), "legacy": ("legacy", LEGACY)}


async def main(era, target):
    mode, version = ERAS[era]
    command, *args = target
    is_url = command.startswith("http")
    server = command if is_url else StdioServerParameters(command=command, args=args)
    checks = Checks()
    complaints = Complaints(logging.WARNING)
    logging.getLogger().addHandler(complaints)
    async with Client(server, mode=mode, read_timeout_seconds=20) as client:
        await checks.run(f"negotiated {version}", check_negotiated(client, era, version))
        await checks.run("list tools", check_tools(client))
        names = {"namespace": str(uuid.uuid4()), "other_namespace": str(uuid.uuid4())}
        for step in EXPECTATIONS["steps"]:
            await checks.run(step["step"], run_step(client, step, names))
        count = EXPECTATIONS["concurrent_calls"]
        concurrent = check_concurrent(client, count, names["namespace"])
        await checks.run(f"{count} concurrent calls", concurrent)
    await checks.run("the client does not complain", complaints.check())
    return 1 if checks.failed else 0


class Checks:
    """Runs checks and prints how each went."""

    def __init__(self):
        self.failed = 0

    async def run(self, name, body):
        try:
            await body
            print(f"ok    {name}")
        except Exception as error:  # whatever it is, the other checks still run
            self.failed += 1
            print(f"FAIL  {name}: {type(error).__name__}: {error}")


class Complaints(logging.Handler):
    """What the client has to say about the server beside its answers."""

    def __init__(self, level):
        super().__init__(level)
        self.messages = set()

    def emit(self, record):
        self.messages.add(record.getMessage())

    async def check(self):
        true(not self.messages, "\n".join(self.messages))


async def check_negotiated(client, era, version):
    equal(client.protocol_version, version)
    if era != "pinned":  # a pinned client does not ask the server who it is
        equal(client.server_info.name, "mcp-server")
        true(client.server_capabilities.tools is not None, "the tools capability is missing")


async def check_tools(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    for name, expected in EXPECTATIONS["tools"].items():
        tool = tools[name]
        true(tool.description, f"{name} has no description")
        for schema in (tool.input_schema, tool.output_schema):
            Draft202012Validator.check_schema(schema)
            equal(schema["type"], "object", name)
        equal(tool.input_schema.get("required", []), expected["required"], name)
        includes_all(tool.input_schema["properties"], expected["properties"], name)
        includes_all(tool.output_schema["properties"], expected["returns"], name)
        match(expected["annotations"], tool.annotations.model_dump(by_alias=True), name)


def includes_all(actual, expected, name):
    for key in expected:
        true(key in actual, f"{name}: no property {key}")


async def run_step(client, step, names):
    call = client.call_tool(step["tool"], fill(step["arguments"], names))
    if "protocol_error" in step:
        try:
            result = await call
        except MCPError as error:
            equal(error.error.code, step["protocol_error"])
        else:
            raise AssertionError(f"answered {result}")
    elif "failure" in step:
        check_failure(await call, fill(step["failure"], names))
    else:
        value = structured(await call)
        match(fill(step["result"], names), value)
        names.update({name: value[key] for name, key in step.get("save", {}).items()})


async def check_concurrent(client, count, namespace):
    async def call(tool, **arguments):
        return structured(await client.call_tool(tool, arguments))

    contents = [f"concurrent memory {n}" for n in range(count)]
    adds = (call("memory_add", content=content, namespace=namespace) for content in contents)
    added = await asyncio.gather(*adds)
    read = await asyncio.gather(*(call("memory_get", id=memory["id"]) for memory in added))
    equal(len({memory["id"] for memory in added}), count)
    equal([memory["content"] for memory in read], contents)


def structured(result):
    """The structured result of a call that went well."""
    true(not result.is_error, f"failed: {result.content}")
    equal(json.loads(result.content[0].text), result.structured_content)
    check_meta(result)
    return result.structured_content


def check_failure(result, pattern):
    true(result.is_error, f"succeeded: {result.structured_content}")
    text = result.content[0].text
    true(re.search(pattern, text), f"{text!r} does not match {pattern!r}")
    check_meta(result)


def check_meta(result):
    meta = result.meta or {}
    true(meta.get("response_time_ms", -1) >= 0, f"response_time_ms in {meta}")
    true(isinstance(meta.get("cached"), bool), f"cached in {meta}")
    equal(meta.get(SERVER_INFO, {}).get("name"), "mcp-server", f"{SERVER_INFO} in {meta}")


def fill(value, names):
    """Replaces `$name` by its value and `{"<repeat>": n, "value": v}` by n times v."""
    if isinstance(value, str):
        return names[value[1:]] if value.startswith("$") else value
    if isinstance(value, list):
        return [fill(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    if "<repeat>" in value:
        return [fill(value["value"], names)] * value["<repeat>"]
    return {key: fill(item, names) for key, item in value.items()}


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
KINDS = {
    "<string>": lambda value: isinstance(value, str) and value != "",
    "<number>": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "<time>": lambda value: isinstance(value, str) and TIME.fullmatch(value),
}


def match(expected, actual, path="result"):
    """Objects may have more members than expected; everything else must be equal."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            true(key in actual, f"{path}: no {key}")
            match(value, actual[key], f"{path}.{key}")
    elif isinstance(expected, list):
        equal(len(actual), len(expected), f"{path}: length")
        for n, item in enumerate(expected):
            match(item, actual[n], f"{path}[{n}]")
    elif isinstance(expected, str) and expected in KINDS:
        true(KINDS[expected](actual), f"{path} is {actual!r}, not {expected}")
    else:
        equal(actual, expected, path)


def equal(actual, expected, what="value"):
    true(actual == expected, f"{what} is {actual!r}, not {expected!r}")


def true(condition, message):
    if not condition:
        raise AssertionError(message)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
