// Makes the tenant's user with LibreChat's own tool, so that registration can stay closed, and ends well only when
// that user can log in. Run again it changes nothing. The password goes to the tool through its standard input.
const { spawnSync } = require('node:child_process');
const { writeFileSync } = require('node:fs');

const { LIBRECHAT_URL, TIMEOUT_SECONDS } = process.env;
const { DEFAULT_USER_NAME: name, DEFAULT_USER_EMAIL: email, DEFAULT_USER_PASSWORD: password } = process.env;
const deadline = Date.now() + Number(TIMEOUT_SECONDS) * 1000;

function fail(message) {
  console.error(message);
  writeFileSync('/dev/termination-log', message);
  process.exit(1);
}

async function untilServing() {
  for (;;) {
    let seen;
    try {
      const answer = await fetch(`${LIBRECHAT_URL}/health`, { signal: AbortSignal.timeout(5000) });
      if (answer.ok) return;
      seen = `it answers ${answer.status}`;
    } catch (error) {
      seen = error.cause?.code ?? error.message;
    }
    if (Date.now() > deadline) fail(`LibreChat does not serve at ${LIBRECHAT_URL}: ${seen}`);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}

async function login() {
  const answer = await fetch(`${LIBRECHAT_URL}/api/auth/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'User-Agent': 'Mozilla/5.0 (tenant)' },
    body: JSON.stringify({ email, password }),
    signal: AbortSignal.timeout(30000),
  });
  const body = await answer.json().catch(() => ({}));
  return { done: answer.ok && Boolean(body.token), status: answer.status };
}

async function main() {
  await untilServing();
  if ((await login()).done) {
    console.log(`${email} can log in already`);
    return;
  }
  const tool = ['config/create-user.js', email, name, name, '--email-verified=true'];
  const made = spawnSync('node', tool, { cwd: '/app', input: `${password}\n`, encoding: 'utf8', timeout: 120000 });
  const { done, status } = await login();
  if (!done) {
    const told = `${made.stdout ?? ''}${made.stderr ?? ''}`.split('\n').find((line) => line.includes('Error'));
    fail(`${email} cannot log in (${status}); create-user: ${told?.trim() ?? `exit ${made.status}`}`);
  }
  console.log(`${email} made`);
}

main().catch((error) => fail(`${error.message}${error.cause ? `: ${error.cause.code}` : ''}`));
