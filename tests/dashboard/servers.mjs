// Real servers, and real calls on them.
import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const BINARY = process.env.MCP_SERVER_BIN;
const REVISION = '2026-07-28';
const READY_MS_MAX = 30_000;

/** Starts `mcp-server serve` on a free port, and waits until it is ready. `CONFIG` is a file of settings. */
export async function serve(folder, settings = {}, listen = '127.0.0.1:0') {
    const { CONFIG, ...rest } = settings;
    const names = Object.entries(rest).map(([name, value]) => [`MCP_SERVER__${name}`, String(value)]);
    const file = CONFIG ? ['--config', CONFIG] : [];
    const child = spawn(BINARY, ['serve', '--listen', listen, '--data-dir', folder, ...file], {
        env: { ...process.env, MCP_SERVER__MEMORY__OPERATION_TIMEOUT: '30s', ...Object.fromEntries(names) },
        stdio: ['ignore', 'ignore', 'pipe'],
    });
    const log = [];
    const url = await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`not ready: ${log.join('\n')}`)), READY_MS_MAX);
        child.on('exit', (code) => reject(new Error(`ended with ${code}: ${log.join('\n')}`)));
        createInterface({ input: child.stderr }).on('line', (line) => {
            log.push(line);
            const found = /ready: (http:\/\/\S+)\/mcp/.exec(line);
            if (!found) return;
            clearTimeout(timer);
            resolve(found[1]);
        });
    });
    const stop = async () => {
        if (child.exitCode !== null) return;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await ended;
    };
    return { url, stop, log, pid: child.pid };
}

/** Runs a command to its end, and returns what it prints. */
export async function command(...words) {
    const { stdout } = await promisify(execFile)(BINARY, words);
    return stdout.trim();
}

/** Makes a token. */
export function makeToken(folder, scope) {
    return command('token', 'add', scope, '--scope', scope, '--data-dir', folder);
}

let lastId = 0;

/** Calls a tool with a request of its own. */
export async function call(url, name, args) {
    lastId += 1;
    const response = await fetch(`${url}/mcp`, {
        method: 'POST',
        headers: {
            'Content-Type': 'application/json',
            Accept: 'application/json, text/event-stream',
            'MCP-Protocol-Version': REVISION,
            'Mcp-Method': 'tools/call',
            'Mcp-Name': name,
        },
        body: JSON.stringify({
            jsonrpc: '2.0',
            id: lastId,
            method: 'tools/call',
            params: {
                name,
                arguments: args,
                _meta: {
                    'io.modelcontextprotocol/protocolVersion': REVISION,
                    'io.modelcontextprotocol/clientCapabilities': {},
                    'io.modelcontextprotocol/clientInfo': { name: 'load', version: '1' },
                },
            },
        }),
    });
    const { result, error } = await response.json();
    if (error) throw new Error(error.message);
    return result;
}

/** Opens a session, as clients before this revision do. */
export async function openSession(url, client) {
    const headers = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };
    const response = await fetch(`${url}/mcp/${client}`, {
        method: 'POST',
        headers,
        body: JSON.stringify({
            jsonrpc: '2.0',
            id: 1,
            method: 'initialize',
            params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: client, version: '1' } },
        }),
    });
    const session = { ...headers, 'Mcp-Session-Id': response.headers.get('mcp-session-id'), 'MCP-Protocol-Version': '2025-11-25' };
    await response.text();
    const send = async (message) => {
        const sent = await fetch(`${url}/mcp/${client}`, { method: 'POST', headers: session, body: JSON.stringify(message) });
        await sent.text();
    };
    await send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return (name, args) => send({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name, arguments: args } });
}

/** Agents at work until they are stopped. */
export function work(url, agents, remote) {
    let going = true;
    const topics = ['deployment', 'database', 'release', 'network', 'billing', 'search'];
    const agent = async (number) => {
        const ids = [];
        for (let step = 0; going; step += 1) {
            const topic = topics[(number + step) % topics.length];
            const text = `${topic} note ${number}-${step}: the staging ${topic} moved, and the decision was written down`;
            const added = await call(url, 'memory_add', { content: text, namespace: 'project', tags: [topic] });
            ids.push(added.structuredContent.id);
            for (let read = 0; read < 4; read += 1) {
                await call(url, 'memory_search', { query: `staging ${topics[read]}`, namespace: 'project' });
                await call(url, 'memory_get', { id: ids[(step * 7 + read) % ids.length] });
            }
            await call(url, 'context_put', { id: `task-${number}`, class: 'session', content: text });
            await call(url, 'context_get', { id: `task-${number}` });
            if (step % 5 === 0) await call(url, 'memory_get', { id: '00000000-0000-7000-8000-000000000000' });
            if (remote) await remote(step);
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    };
    const all = Array.from({ length: agents }, (_, number) => agent(number));
    return async () => {
        going = false;
        await Promise.all(all);
    };
}
