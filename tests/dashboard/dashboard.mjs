// The dashboard in a real browser, under a real load: every panel shows real figures that change,
// the button that clears really clears, strangers are refused, and it works by keyboard and on a
// narrow window. Screenshots go to target/dashboard.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { call, makeToken, openSession, serve, work } from './servers.mjs';

const root = new URL('../../', import.meta.url);
const { chromium } = createRequire(new URL('target/dashboard-tools/', root))('playwright-core');
const shots = new URL('target/dashboard/', root).pathname;
const only = process.argv[2] ?? '';
const PATIENCE_MS = 30_000;

mkdirSync(shots, { recursive: true });
const scratch = mkdtempSync(join(tmpdir(), 'dashboard-'));
const undo = [() => rmSync(scratch, { recursive: true, force: true })];
let failures = 0;

async function check(name, body) {
    if (!name.includes(only)) return;
    const began = Date.now();
    try {
        await body();
        console.log(`pass  ${name} (${Date.now() - began} ms)`);
    } catch (error) {
        failures += 1;
        console.log(`FAIL  ${name}: ${error?.stack ?? error}`);
    }
}

/** Asks until the answer is true. */
async function until(what, ask) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const answer = await ask();
        if (answer) return answer;
        if (Date.now() > deadline) assert.fail(`not in time: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
}

async function main() {
    const data = join(scratch, 'data');
    const other = await serve(join(scratch, 'other'));
    undo.push(other.stop);
    const settings = join(scratch, 'settings.yaml');
    writeFileSync(settings, `connectors: {servers: {second: {
        url: '${other.url}/mcp', allow_private_address: true,
        tools: {memory_search: {ttl: 10m, tags: ['query:{query}']}},
    }}}`);
    const server = await serve(data, {
        CONFIG: settings,
        MONITORING__ALERTS__INTERVAL: '1s',
        SLOW_OPERATIONS__THRESHOLD: '1ms',
        CONNECTORS__REFRESH__INTERVAL: '2s',
    });
    undo.push(server.stop);
    const { url } = server;
    const [admin, reader] = [await makeToken(data, 'admin'), await makeToken(data, 'read')];
    const asCursor = await openSession(url, 'cursor');
    const listed = await call(url, 'connector_list', {});
    assert.equal(listed.structuredContent.connectors.length, 1);
    const remote = async (step) => {
        if (step % 3 === 0) await call(url, 'second__memory_search', { query: 'anything' }).catch(() => {});
        if (step % 3 === 1) await asCursor('memory_search', { query: 'deployment' });
    };
    const rest = work(url, 6, remote);
    undo.push(rest);
    const status = async () => (await fetch(`${url}/api/status`)).json();

    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM,
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    });
    undo.push(() => browser.close());
    const complaints = [];
    const open = async (options = {}) => {
        const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
        const page = await context.newPage();
        page.setDefaultTimeout(PATIENCE_MS);
        page.on('pageerror', (error) => complaints.push(String(error)));
        page.on('console', (message) => message.type() === 'error' && !/status of (401|403)/.test(message.text()) && complaints.push(message.text()));
        await page.goto(`${url}/dashboard`);
        return page;
    };
    const page = await open();
    const text = (selector) => page.locator(selector).first().innerText();
    const rows = (selector) => page.locator(`${selector} tr`).count();

    await check('the page comes alive', async () => {
        await until('live', async () => (await text('#live-text')) === 'live');
        await until('a grade', async () => /^[A-F]$/.test(await text('#grade')));
        assert.match(await text('#grade-reason'), /ms on average/);
    });
    await check('figures change while it is looked at', async () => {
        const before = await text('#tile-calls .note');
        await until('another count', async () => (await text('#tile-calls .note')) !== before);
        const tool = '#tools-rows tr:first-child td:nth-child(3)';
        const calls = await text(tool);
        await until('more calls of a tool', async () => (await text(tool)) !== calls);
        const line = () => page.locator('#tools-rows tr:first-child polyline').first().getAttribute('points');
        await until('a line', async () => ((await line()) ?? '').split(' ').length > 3);
        for (const chart of ['#latency-chart', '#rate-chart']) {
            assert.equal(await page.locator(`${chart} canvas`).count(), 1);
        }
    });
    await check('every tool that was called has its row', async () => {
        const names = async () => page.locator('#tools-rows td:first-child').allInnerTexts();
        for (const name of ['memory_add', 'memory_search', 'memory_get', 'context_put', 'context_get', 'second__memory_search']) {
            await until(name, async () => (await names()).includes(name));
        }
    });
    await check('every panel has figures', async () => {
        await until('hits', async () => /%/.test(await text('#cache-tiers .tier .share')));
        for (const part of ['dependencies', 'connectors', 'breakers', 'batches', 'lanes', 'streams', 'process', 'pools']) {
            await until(part, async () => (await rows(`#part-${part} tbody`)) > 0);
        }
        assert.match(await text('#part-connectors tbody'), /second[\s\S]*ready/);
        await until('slow', async () => (await rows('#slow-rows')) > 0);
        await until('clients', async () => /Cursor[\s\S]*local[\s\S]*HTTP session/.test(await text('#clients-rows')));
        const requests = await text('#clients-rows td:last-child');
        await until('requests', async () => (await text('#clients-rows td:last-child')) !== requests);
    });
    await check('memories are found and read', async () => {
        await page.fill('#memory-query', 'deployment staging');
        await page.press('#memory-query', 'Enter');
        await until('found', async () => /found in/.test(await text('#memory-says')));
        await page.locator('#memory-list summary').first().click();
        assert.match(await text('#memory-list pre'), /deployment/);
        await page.fill('#memory-query', 'zzzzqqqq');
        await page.press('#memory-query', 'Enter');
        await until('nothing', async () => /nothing found/.test(await text('#memory-says')));
        await page.fill('#memory-query', 'deployment staging');
        await page.press('#memory-query', 'Enter');
        await until('found', async () => /found in/.test(await text('#memory-says')));
    });
    await check('settings of clients name this server', async () => {
        assert.match(await text('#setup-text'), new RegExp(`${url}/mcp/cursor`));
        JSON.parse(await text('#setup-text'));
        await page.locator('#setup-client label', { hasText: 'Codex' }).click();
        assert.match(await text('#setup-text'), /\[mcp_servers\.memory\]/);
        await page.locator('#setup-way label', { hasText: 'stdio' }).click();
        assert.match(await text('#setup-text'), /args = \["stdio", "--client", "codex"\]/);
    });
    await check('the last hour is drawn from what the server has kept', async () => {
        const asked = page.waitForResponse((response) => response.url().endsWith('/api/history?window=hour'));
        await page.locator('#window label', { hasText: '1 h' }).click();
        const { slots } = await (await asked).json();
        assert.ok(slots.some((slot) => slot.calls > 0), JSON.stringify(slots));
        await page.locator('#window label', { hasText: '1 min' }).click();
    });
    await check('no action without a token', async () => {
        const clear = (headers, body = '{"all":true}') =>
            fetch(`${url}/api/cache/clear`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body });
        assert.equal((await clear({})).status, 401);
        assert.equal((await clear({ Authorization: `Bearer ${reader}` })).status, 403);
        assert.equal((await clear({ Authorization: `Bearer ${admin}`, Origin: 'http://evil.example' })).status, 403);
        assert.equal((await clear({ Authorization: `Bearer ${admin}`, 'Content-Type': 'text/plain' })).status, 415);
        assert.equal((await clear({ Authorization: `Bearer ${admin}` }, '{"every":1}')).status, 400);
    });
    await check('the button really clears', async () => {
        await rest();
        await page.click('#cache-clear');
        await page.fill('#token', 'no token at all');
        await page.press('#token', 'Enter');
        await until('refused', async () => /does not know/.test(await text('#token-says')));
        const before = await status();
        const cache = (found) => found.caches.find((cache) => cache.name === 'memory');
        assert.ok(cache(before).entries > 0);
        await page.fill('#token', admin);
        await page.press('#token', 'Enter');
        await until('cleared', async () => /^cleared: memory/.test(await text('#cache-says')));
        assert.equal(cache(await status()).invalidations > cache(before).invalidations, true);
        const again = await call(url, 'memory_search', { query: 'staging deployment', namespace: 'project' });
        assert.equal(again._meta.cached, false, 'it was read anew');
        assert.match(await text('#token-open'), /admin/);
    });
    await check('so does the button of a tag', async () => {
        const ask = async () => (await call(url, 'second__memory_search', { query: 'tagged' }))._meta.cached;
        await ask();
        assert.equal(await ask(), true, 'the result is kept');
        const tag = page.locator('#cache-tags tr', { hasText: 'query:tagged' });
        await tag.locator('button').click();
        await until('cleared', async () => (await tag.locator('td:nth-child(4)').innerText()) === '1');
        assert.equal(await ask(), false, 'it was asked for anew');
    });
    await check('a benchmark is run and shown', async () => {
        await page.fill('#benchmark-samples', '10');
        await page.click('#benchmark-run');
        await until('a report', async () => (await rows('#benchmark-report tbody')) >= 12);
        const report = await text('#benchmark-report tbody');
        for (const section of ['MCP operations', 'Store', 'Cache', 'End to end', 'Concurrent']) assert.ok(report.includes(section), section);
        const left = await call(url, 'memory_search', { query: 'sample1 recalled later' });
        assert.equal(left.structuredContent.memories.length, 0, 'its memories are gone');
    });
    const more = work(url, 6, remote);
    undo.push(more);
    await check('strangers are refused', async () => {
        const foreign = http.createServer((_, response) => response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>evil</title>'));
        await new Promise((resolve) => foreign.listen(0, '127.0.0.1', resolve));
        const stranger = await (await browser.newContext()).newPage();
        await stranger.goto(`http://127.0.0.1:${foreign.address().port}/`);
        for (const path of ['/api/status', '/api/events', '/api/access', '/dashboard']) {
            const seen = await stranger.evaluate(async (address) => {
                try {
                    return (await fetch(address)).status;
                } catch {
                    return 'blocked';
                }
            }, url + path);
            assert.equal(seen, 'blocked', path);
            assert.equal((await fetch(url + path, { headers: { Origin: 'http://evil.example' } })).status, 403, path);
        }
        await stranger.context().close();
        foreign.close();
        const { hostname, port } = new URL(url);
        const rebound = await new Promise((resolve) => http.get({ hostname, port, path: '/dashboard', headers: { Host: 'evil.example' } }, resolve));
        assert.equal(rebound.statusCode, 403);
        rebound.resume();
    });
    await check('the policy is strict', async () => {
        const response = await fetch(`${url}/dashboard`);
        const policy = response.headers.get('content-security-policy');
        assert.match(policy, /default-src 'none'/);
        assert.doesNotMatch(policy, /unsafe|https?:|\*/);
        assert.match(policy, /frame-ancestors 'none'/);
        const tag = response.headers.get('etag');
        assert.equal((await fetch(`${url}/dashboard`, { headers: { 'If-None-Match': tag } })).status, 304);
    });
    await check('it works by keyboard', async () => {
        const fresh = await open();
        await until('live', async () => (await fresh.locator('#live-text').innerText()) === 'live');
        await fresh.keyboard.press('Tab');
        assert.equal(await fresh.evaluate(() => document.activeElement.className), 'skip');
        await fresh.keyboard.press('Enter');
        assert.equal(await fresh.evaluate(() => document.activeElement.id), 'main');
        const reached = new Set();
        for (let step = 0; step < 60; step += 1) {
            await fresh.keyboard.press('Tab');
            const { id, ring } = await fresh.evaluate(() => {
                const at = document.activeElement;
                const shown = at.matches('.segments input') ? at.nextElementSibling : at;
                return { id: at.id || at.name || at.tagName, ring: getComputedStyle(shown).outlineStyle };
            });
            reached.add(id);
            if (id !== 'BODY') assert.notEqual(ring, 'none', `no ring around ${id}`);
        }
        for (const id of ['cache-what', 'cache-clear', 'memory-query', 'client', 'setup-copy', 'benchmark-run']) assert.ok(reached.has(id), `${id}: ${[...reached]}`);
        await fresh.context().close();
    });
    await check('one that fails makes an alert, and its end is told', async () => {
        await other.stop();
        await until('an alert', async () => /second/.test(await text('#alerts-active')));
        await page.screenshot({ path: join(shots, 'alert.png') });
        const { port } = new URL(other.url);
        const back = await serve(join(scratch, 'other'), {}, `127.0.0.1:${port}`);
        undo.push(back.stop);
        await until('its end', async () => !/second/.test(await text('#alerts-active')));
    });
    await check('screenshots in light, dark and narrow', async () => {
        await page.evaluate(() => scrollTo(0, 0));
        await page.screenshot({ path: join(shots, 'light.png'), fullPage: true });
        for (const [name, options] of [
            ['dark', { colorScheme: 'dark' }],
            ['narrow', { viewport: { width: 400, height: 860 } }],
            ['narrow-dark', { viewport: { width: 400, height: 860 }, colorScheme: 'dark' }],
        ]) {
            const shown = await open(options);
            await until('figures', async () => /^[A-F]$/.test(await shown.locator('#grade').innerText()));
            await until('lines', async () => (await shown.locator('#tools-rows polyline').first().getAttribute('points'))?.includes(' '));
            await new Promise((resolve) => setTimeout(resolve, 4_000));
            await shown.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
            const width = await shown.evaluate(() => document.documentElement.scrollWidth);
            assert.ok(width <= (options.viewport?.width ?? 1440), `${name} is ${width} px wide`);
            await shown.context().close();
        }
    });
    await check('colours can be chosen', async () => {
        const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const light = await colour();
        await page.click('#theme');
        await page.click('#theme');
        assert.notEqual(await colour(), light);
        await page.click('#theme');
        assert.equal(await colour(), light);
    });
    await check('a server that goes away is told, and comes back', async () => {
        await more();
        await server.stop();
        await until('told', async () => (await text('#live-text')) === 'reconnecting');
        assert.match(await text('#trouble'), /does not answer/);
        const back = await serve(data, {}, new URL(url).host);
        undo.push(back.stop);
        await until('live', async () => (await text('#live-text')) === 'live');
        complaints.length = 0; // The browser complains of connections that were refused.
    });
    await check('where tokens are asked for, figures wait for one', async () => {
        const closed = await serve(data, { HTTP__REQUIRE_TOKEN: 'true' });
        undo.push(closed.stop);
        const context = await browser.newContext();
        const locked = await context.newPage();
        await locked.goto(`${closed.url}/dashboard`);
        await until('refused', async () => (await locked.locator('#live-text').innerText()) === 'token needed');
        await locked.screenshot({ path: join(shots, 'token.png') });
        await locked.click('#token-open');
        await locked.fill('#token', reader);
        await locked.press('#token', 'Enter');
        await until('live', async () => (await locked.locator('#live-text').innerText()) === 'live');
        await context.close();
    });
    await check('the browser does not complain', async () => assert.deepEqual(complaints, []));
}

try {
    await main();
} catch (error) {
    failures += 1;
    console.log(`FAIL  ${error?.stack ?? error}`);
} finally {
    for (const step of undo.reverse()) await Promise.resolve(step()).catch((error) => console.log(`while ending: ${error.message}`));
}
console.log(failures ? `${failures} failed` : 'all passed');
process.exit(failures ? 1 : 0);
