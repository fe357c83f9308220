// Usage: typescript_client.mjs ERA URL | COMMAND [ARG…]
// ERA is auto, pinned, or an older protocol version.
import assert from 'node:assert/strict';
import { check, checkComplaints, checkServer, finish, heed, load, makeTransport } from './checks.mjs';

const { Client, StreamableHTTPClientTransport } = load('@modelcontextprotocol/client');
const { StdioClientTransport } = load('@modelcontextprotocol/client/stdio');

const MODERN = '2026-07-28';
const [era, ...target] = process.argv.slice(2);
const modes = { auto: 'auto', pinned: { pin: MODERN } };
const isModern = era in modes;
const options = isModern
    ? { versionNegotiation: { mode: modes[era] } }
    : { versionNegotiation: { mode: 'legacy' }, supportedProtocolVersions: [era] };

const transport = makeTransport(target, {
    Http: StreamableHTTPClientTransport,
    Stdio: StdioClientTransport,
});
const client = new Client({ name: 'client-tests', version: '1.0.0' }, options);
heed(client);
await client.connect(transport);

await checkServer(
    {
        protocolVersion: client.getNegotiatedProtocolVersion(),
        serverInfo: client.getServerVersion(),
        capabilities: client.getServerCapabilities(),
        listTools: async () => (await client.listTools()).tools,
        callTool: (name, args) => client.callTool({ name, arguments: args }),
    },
    isModern ? MODERN : era,
);
if (target[0].startsWith('http')) {
    await check(isModern ? 'no session' : 'a session', () =>
        assert.equal(transport.sessionId === undefined, isModern));
}
await checkComplaints();
await check('close', () => client.close());
finish();
