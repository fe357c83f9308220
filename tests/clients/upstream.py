"""A small MCP server of the Python SDK, on standard input and output, for the gateway."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("python-upstream")


@server.tool()
def python_words(text: str) -> dict[str, int]:
    """Count how often each word is in a text."""
    counts: dict[str, int] = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return counts


@server.tool()
def python_fail(reason: str) -> str:
    """Fail, always."""
    raise ValueError(reason)


if __name__ == "__main__":
    server.run()
