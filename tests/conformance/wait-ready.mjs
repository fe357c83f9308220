// Waits until a server answers: node wait-ready.mjs URL PID
//
// Any answer to an HTTP request counts. Gives up when the process PID has ended,
// or after a time in which any server should have started.

const [url, pid] = process.argv.slice(2);
const DEADLINE_MS = 30_000;
const PAUSE_MS = 50;

const alive = () => {
  try {
    return process.kill(Number(pid), 0);
  } catch {
    return false;
  }
};

const answers = async () => {
  try {
    const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
};

const started = Date.now();
while (!(await answers())) {
  if (!alive() || Date.now() - started > DEADLINE_MS) {
    console.error(alive() ? `${url} did not answer in ${DEADLINE_MS} ms` : 'the server has ended');
    process.exit(1);
  }
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
