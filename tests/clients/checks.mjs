// What every Node client checks, given a small adapter around its client:
//   protocolVersion, serverInfo, capabilities   as negotiated
//   listTools()            -> the tools
//   callTool(name, args)   -> the result; throws an error with a numeric `code` when refused
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export const load = createRequire(new URL('../../target/client-tools/node/', import.meta.url));

const expectations = JSON.parse(readFileSync(new URL('expectations.json', import.meta.url)));
const SERVER_INFO = 'io.modelcontextprotocol/serverInfo';

let failures = 0;

// What the client has to say about the server beside its answers.
const complaints = new Set();
console.warn = console.error = (...words) => complaints.add(words.join(' '));

/** Notes every error that `client` reports outside of a call. */
export function heed(client) {
    client.onerror = (error) => complaints.add(error.message);
}

export async function checkComplaints() {
    await check('the client does not complain', () =>
        assert.ok(complaints.size === 0, [...complaints].join('\n')));
}

/** Runs one check and prints how it went. */
export async function check(name, body) {
    try {
        await body();
        console.log(`ok    ${name}`);
    } catch (error) {
        failures += 1;
        console.log(`FAIL  ${name}: ${error?.message ?? error}`);
    }
}

/** Ends the process, with failure when a check failed. */
export function finish() {
    process.exit(failures === 0 ? 0 : 1);
}

/** The two ways to reach the server: a URL, or a command with its arguments. */
export function makeTransport(target, { Http, Stdio }) {
    const [command, ...args] = target;
    return command.startsWith('http')
        ? new Http(new URL(command))
        : new Stdio({ command, args, stderr: 'inherit' });
}

export async function checkServer(adapter, protocolVersion) {
    await check(`negotiated ${protocolVersion}`, () => {
        assert.equal(adapter.protocolVersion, protocolVersion);
        assert.equal(adapter.serverInfo?.name, 'mcp-server');
        assert.ok(adapter.capabilities?.tools, 'the tools capability is missing');
    });
    await check('list tools', async () => checkTools(await adapter.listTools()));
    const names = { namespace: randomUUID(), other_namespace: randomUUID() };
    for (const step of expectations.steps) {
        await check(step.step, () => runStep(adapter, step, names));
    }
    const count = expectations.concurrent_calls;
    await check(`${count} concurrent calls`, () => checkConcurrent(adapter, count, names.namespace));
}

function checkTools(tools) {
    for (const [name, expected] of Object.entries(expectations.tools)) {
        const tool = tools.find((tool) => tool.name === name);
        assert.ok(tool, `${name} is not listed`);
        assert.ok(tool.description, `${name} has no description`);
        assert.equal(tool.inputSchema.type, 'object', name);
        assert.equal(tool.outputSchema?.type, 'object', name);
        assert.deepEqual(tool.inputSchema.required ?? [], expected.required, name);
        includesAll(Object.keys(tool.inputSchema.properties), expected.properties, name);
        includesAll(Object.keys(tool.outputSchema.properties), expected.returns, name);
        match(expected.annotations, tool.annotations, name);
    }
}

function includesAll(actual, expected, name) {
    for (const key of expected) assert.ok(actual.includes(key), `${name}: no property ${key}`);
}

async function runStep(adapter, step, names) {
    const call = adapter.callTool(step.tool, fill(step.arguments, names));
    if (step.protocol_error) {
        await assert.rejects(call, { code: step.protocol_error });
    } else if (step.failure) {
        checkFailure(await call, new RegExp(fill(step.failure, names)));
    } else {
        const value = structured(await call);
        match(fill(step.result, names), value);
        for (const [name, key] of Object.entries(step.save ?? {})) names[name] = value[key];
    }
}

async function checkConcurrent(adapter, count, namespace) {
    const contents = Array.from({ length: count }, (_, n) => `concurrent memory ${n}`);
    const call = async (...call) => structured(await adapter.callTool(...call));
    const added = await Promise.all(
        contents.map((content) => call('memory_add', { content, namespace })),
    );
    const read = await Promise.all(added.map(({ id }) => call('memory_get', { id })));
    assert.equal(new Set(added.map(({ id }) => id)).size, count);
    assert.deepEqual(read.map(({ content }) => content), contents);
}

/** The structured result of a call that went well. */
function structured(result) {
    assert.ok(!result.isError, `failed: ${result.content?.[0]?.text}`);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
    checkMeta(result);
    return result.structuredContent;
}

function checkFailure(result, pattern) {
    assert.equal(result.isError, true, `succeeded: ${JSON.stringify(result.structuredContent)}`);
    assert.match(result.content[0].text, pattern);
    checkMeta(result);
}

function checkMeta({ _meta }) {
    assert.ok(_meta, 'no _meta');
    assert.ok(_meta.response_time_ms >= 0, `response_time_ms is ${_meta.response_time_ms}`);
    assert.equal(typeof _meta.cached, 'boolean', '_meta.cached');
    assert.equal(_meta[SERVER_INFO]?.name, 'mcp-server', `_meta ${SERVER_INFO}`);
}

/** Replaces `$name` by its value and `{"<repeat>": n, "value": v}` by n times v. */
function fill(value, names) {
    if (typeof value === 'string') return value.startsWith('$') ? names[value.slice(1)] : value;
    if (Array.isArray(value)) return value.map((item) => fill(item, names));
    if (value === null || typeof value !== 'object') return value;
    if ('<repeat>' in value) return Array(value['<repeat>']).fill(fill(value.value, names));
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, names)]));
}

const KINDS = {
    '<string>': (value) => typeof value === 'string' && value !== '',
    '<number>': (value) => typeof value === 'number',
    '<time>': (value) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value),
};

/** Objects may have more members than expected; everything else must be equal. */
function match(expected, actual, path = 'result') {
    if (KINDS[expected]) {
        assert.ok(KINDS[expected](actual), `${path} is ${JSON.stringify(actual)}, not ${expected}`);
    } else if (Array.isArray(expected)) {
        assert.equal(actual?.length, expected.length, `${path}: length`);
        expected.forEach((item, n) => match(item, actual[n], `${path}[${n}]`));
    } else if (expected !== null && typeof expected === 'object') {
        assert.equal(typeof actual, 'object', path);
        for (const key of Object.keys(expected)) match(expected[key], actual[key], `${path}.${key}`);
    } else {
        assert.equal(actual, expected, path);
    }
}
