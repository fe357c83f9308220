"""Usage: gateway_client.py auto|legacy URL FOLDER

Uses the tools of other servers through the gateway at URL; FOLDER is what server-filesystem may use.
"""

import asyncio
import sys
from pathlib import Path

from mcp import Client

# A few tools of each server, which must be there under their own names.
TOOLS = {
    "everything": ["echo", "get-sum"],
    "filesystem": ["write_file", "read_text_file"],
    "memory": ["create_entities", "read_graph"],
    "python": ["python_words", "python_fail"],
}


def text(result):
    return result.content[0].text


async def main(era, url, folder):
    failed = []

    def check(name, holds, found=""):
        print(f"{'ok   ' if holds else 'FAIL '} {name}{'' if holds else f': {found}'}")
        if not holds:
            failed.append(name)

    async with Client(url, mode=era, read_timeout_seconds=30) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        for server, names in TOOLS.items():
            check(f"{server} is listed", all(name in listed for name in names), sorted(listed))
        check("our own tools are listed", "memory_add" in listed)

        called = await client.call_tool("echo", {"message": "häßlich"})
        check("everything: echo", "häßlich" in text(called), called)
        called = await client.call_tool("get-sum", {"a": 20, "b": 22})
        check("everything: get-sum", "42" in text(called), called)

        file = Path(folder) / f"{era}.txt"
        called = await client.call_tool("write_file", {"path": str(file), "content": "hello"})
        check("filesystem: write_file", not called.is_error and file.read_text() == "hello", called)
        called = await client.call_tool("read_text_file", {"path": str(file)})
        check("filesystem: read_text_file", "hello" in text(called), called)
        called = await client.call_tool("read_text_file", {"path": "/etc/passwd"})
        check("filesystem: a refusal is one", called.is_error, called)

        entity = {"name": f"crane-{era}", "entityType": "machine", "observations": ["is yellow"]}
        called = await client.call_tool("create_entities", {"entities": [entity]})
        check("memory: create_entities", not called.is_error, called)
        called = await client.call_tool("read_graph", {})
        check("memory: read_graph", f"crane-{era}" in text(called), called)

        called = await client.call_tool("python_words", {"text": "a b a"})
        check("python: structured content", called.structured_content == {"a": 2, "b": 1}, called)
        called = await client.call_tool("python_fail", {"reason": "because"})
        check("python: a failure is one", called.is_error, called)

        steps = []

        async def progress(done, total, message):
            steps.append(done)

        called = await client.call_tool(
            "trigger-long-running-operation",
            {"duration": 1, "steps": 4},
            progress_callback=progress,
        )
        check("everything: progress", not called.is_error and len(steps) >= 3, steps)

        calls = (client.call_tool("echo", {"message": str(n)}) for n in range(50))
        answers = [text(result) for result in await asyncio.gather(*calls)]
        crossed = [n for n, answer in enumerate(answers) if not answer.endswith(str(n))]
        check("everything: 50 at once", not crossed, crossed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
