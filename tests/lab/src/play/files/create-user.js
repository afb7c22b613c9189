// LibreChat's tool of this name, played by the lab's program: arguments and standard input are handed on.
const { spawnSync } = require('node:child_process');

const made = spawnSync('/usr/local/bin/lab', ['play', 'create-user', ...process.argv.slice(2)], { stdio: 'inherit' });
process.exit(made.status ?? 1);
