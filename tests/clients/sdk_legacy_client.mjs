// Usage: sdk_legacy_client.mjs VERSION URL | COMMAND [ARG…]
// VERSION is the protocol version that the chosen release of the SDK speaks.
import assert from 'node:assert/strict';
import { check, checkComplaints, checkServer, finish, heed, load, makeTransport } from './checks.mjs';

const PACKAGES = { '2025-11-25': '@modelcontextprotocol/sdk', '2025-03-26': 'sdk-1.12' };

const [version, ...target] = process.argv.slice(2);
const { Client } = load(`${PACKAGES[version]}/client/index.js`);
const { StdioClientTransport } = load(`${PACKAGES[version]}/client/stdio.js`);
const { StreamableHTTPClientTransport } = load(`${PACKAGES[version]}/client/streamableHttp.js`);

const transport = makeTransport(target, {
    Http: StreamableHTTPClientTransport,
    Stdio: StdioClientTransport,
});
const client = new Client({ name: 'client-tests', version: '1.0.0' });
heed(client);
const negotiated = overhear(client);
await client.connect(transport);

await checkServer(
    {
        protocolVersion: await negotiated,
        serverInfo: client.getServerVersion(),
        capabilities: client.getServerCapabilities(),
        listTools: async () => (await client.listTools()).tools,
        callTool: (name, args) => client.callTool({ name, arguments: args }),
    },
    version,
);
await check('ping', () => client.ping());
await checkComplaints();
if (target[0].startsWith('http')) await checkSession(new URL(target[0]));
await check('close', () => client.close());
finish();

async function checkSession(url) {
    const { sessionId } = transport;
    const request = (method, body) => fetch(url, {
        method,
        headers: {
            accept: 'application/json, text/event-stream',
            'content-type': 'application/json',
            'mcp-protocol-version': version,
            'mcp-session-id': sessionId,
        },
        body,
    });
    await check('session id is visible ASCII', () => assert.match(sessionId, /^[\x21-\x7e]+$/));
    await check('terminate session', async () => {
        const status = await statusOf(() => transport.terminateSession());
        assert.ok([200, 204].includes(status), `DELETE was answered with ${status}`);
    });
    await check('a terminated session is gone', async () => {
        const list = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
        assert.equal((await request('POST', list)).status, 404);
        assert.equal((await request('DELETE')).status, 404);
    });
}

/** The protocol version in the answer to `initialize`, which the client keeps to itself. */
function overhear(client) {
    return new Promise((resolve) => {
        const { request } = client;
        client.request = async (...args) => {
            const result = await request.apply(client, args);
            resolve(result.protocolVersion);
            client.request = request;
            return result;
        };
    });
}

/** The HTTP status of the last answer that the client got during `action`. */
async function statusOf(action) {
    const { fetch } = globalThis;
    let status;
    globalThis.fetch = async (...args) => {
        const answer = await fetch(...args);
        status = answer.status;
        return answer;
    };
    await action().finally(() => { globalThis.fetch = fetch; });
    return status;
}
